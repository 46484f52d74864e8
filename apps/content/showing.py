"""Which pages mention an asset of the media library, in their texts or to search engines."""

from __future__ import annotations

import uuid

from django.db.models import Exists, OuterRef, Prefetch, Q, TextField
from django.db.models.functions import Cast

from apps.accounts.access import limiting
from apps.content import models, permitted
from apps.kernel import ids
from apps.media import usage
from apps.media.models import Asset
from apps.tenants.models import loaded_words


def nodes_with(asset_id: uuid.UUID, limit: int) -> list[usage.Use]:
    """Nodes that name the asset by its id, or by where its files are: those that may be read first, oldest first.

    Texts are looked through one by one: for who asks about one asset, not for lists.
    """
    mentions = Q(seo_text__contains=str(asset_id))
    places = Asset.objects.filter(id=asset_id).values_list("place", flat=True)
    named = Q(body__contains=ids.encode("asset", asset_id)) | Q(body__contains=str(asset_id))
    for place in places:
        named |= Q(body__contains=f"/assets/{place}/")
    mentions |= Q(id__in=models.Body.objects.filter(named).values("node"))
    nodes = models.Node.objects.annotate(seo_text=Cast("seo", TextField())).filter(mentions)
    readable = limiting.among(models.Node.objects.filter(id=OuterRef("id")), "nodes:read", permitted.COLUMNS)
    texts = limiting.among(models.NodeTranslation.objects.all(), "nodes:read", permitted.OF_TEXT)
    found = nodes.annotate(is_told=Exists(readable)).prefetch_related(Prefetch("translations", texts))
    return [
        usage.Use("node", ids.encode("node", node.id), loaded_words(node, "title"))
        if node.is_told
        else usage.Use("node")
        for node in found.order_by("-is_told", "id")[:limit]
    ]


NODES = usage.Source("nodes", False, nodes_with)
