"""Which products show an asset of the media library."""

from __future__ import annotations

import uuid

from apps.commerce import models
from apps.kernel import ids
from apps.media import usage
from apps.tenants.models import loaded_words


def products_with(asset_id: uuid.UUID, limit: int) -> list[usage.Use]:
    """Products with the asset among their images, oldest first."""
    images = models.ProductImage.objects.filter(asset=asset_id)
    products = models.Product.objects.filter(id__in=images.values("product")).prefetch_related("translations")
    return [
        usage.Use("product", ids.encode("prod", product.id), loaded_words(product, "title"))
        for product in products.order_by("id")[:limit]
    ]


PRODUCTS = usage.Source("products", True, products_with)
