"""Which pages mention an asset of the media library in their texts."""

from __future__ import annotations

import uuid

from apps.content import models
from apps.kernel import ids
from apps.media import usage
from apps.media.models import Asset
from apps.tenants.models import loaded_words


def nodes_with(asset_id: uuid.UUID, limit: int) -> list[usage.Use]:
    """Nodes whose bodies name the asset by its id, or by where its files are; oldest first.

    Texts are looked through one by one: for who asks about one asset, not for lists.
    """
    named = [ids.encode("asset", asset_id), str(asset_id)]
    nodes = set()
    for text in [*named, *_places(asset_id)]:
        nodes |= set(models.Body.objects.filter(body__contains=text).values_list("node", flat=True)[:limit])
    found = models.Node.objects.filter(id__in=nodes).prefetch_related("translations").order_by("id")[:limit]
    return [usage.Use("node", ids.encode("node", node.id), loaded_words(node, "title")) for node in found]


def _places(asset_id: uuid.UUID) -> list[str]:
    return [f"/assets/{place}/" for place in Asset.objects.filter(id=asset_id).values_list("place", flat=True)]


NODES = usage.Source("nodes", False, nodes_with)
