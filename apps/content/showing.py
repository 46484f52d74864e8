"""Which pages mention an asset of the media library, in their texts or to search engines."""

from __future__ import annotations

import uuid

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from apps.content import models
from apps.kernel import ids
from apps.media import usage
from apps.media.models import Asset
from apps.tenants.models import loaded_words


def nodes_with(asset_id: uuid.UUID, limit: int) -> list[usage.Use]:
    """Nodes that name the asset by its id, or by where its files are; oldest first.

    Texts are looked through one by one: for who asks about one asset, not for lists.
    """
    mentions = Q(seo_text__contains=str(asset_id))
    places = Asset.objects.filter(id=asset_id).values_list("place", flat=True)
    named = Q(body__contains=ids.encode("asset", asset_id)) | Q(body__contains=str(asset_id))
    for place in places:
        named |= Q(body__contains=f"/assets/{place}/")
    mentions |= Q(id__in=models.Body.objects.filter(named).values("node"))
    nodes = models.Node.objects.annotate(seo_text=Cast("seo", TextField())).filter(mentions)
    found = nodes.prefetch_related("translations").order_by("id")[:limit]
    return [usage.Use("node", ids.encode("node", node.id), loaded_words(node, "title")) for node in found]


NODES = usage.Source("nodes", False, nodes_with)
