"""Which products show an asset of the media library."""

from __future__ import annotations

import uuid

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from apps.commerce import models
from apps.kernel import ids
from apps.media import usage
from apps.tenants.models import loaded_words


def products_with(asset_id: uuid.UUID, limit: int) -> list[usage.Use]:
    """Products with the asset among their images, or that show it to search engines; oldest first."""
    images = models.ProductImage.objects.filter(asset=asset_id)
    products = models.Product.objects.annotate(told=Cast("seo", TextField()))
    products = products.filter(Q(id__in=images.values("product")) | Q(told__contains=str(asset_id)))
    return [
        usage.Use("product", ids.encode("prod", product.id), loaded_words(product, "title"))
        for product in products.prefetch_related("translations").order_by("id")[:limit]
    ]


PRODUCTS = usage.Source("products", True, products_with)
