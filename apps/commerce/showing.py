"""Which products show an asset of the media library, among their images or to search engines."""

from __future__ import annotations

import uuid

from django.db.models import Exists, OuterRef, QuerySet, TextField
from django.db.models.functions import Cast

from apps.accounts.access import limiting
from apps.commerce import models, permitted
from apps.kernel import ids
from apps.media import usage
from apps.tenants.models import loaded_words


def products_with(asset_id: uuid.UUID, limit: int) -> list[usage.Use]:
    """Products with the asset among their images: those that may be read first, oldest first."""
    images = models.ProductImage.objects.filter(asset=asset_id)
    return _uses(models.Product.objects.filter(id__in=images.values("product")), limit)


def found_by(asset_id: uuid.UUID, limit: int) -> list[usage.Use]:
    """Products that search engines are to show with the asset, in the same order."""
    products = models.Product.objects.annotate(seo_text=Cast("seo", TextField()))
    return _uses(products.filter(seo_text__contains=str(asset_id)), limit)


def _uses(products: QuerySet[models.Product], limit: int) -> list[usage.Use]:
    readable = limiting.among(models.Product.objects.filter(id=OuterRef("id")), "products:read", permitted.COLUMNS)
    found = products.annotate(is_told=Exists(readable)).prefetch_related("translations")
    return [
        usage.Use("product", ids.encode("prod", row.id), loaded_words(row, "title"))
        if row.is_told
        else usage.Use("product")
        for row in found.order_by("-is_told", "id")[:limit]
    ]


PRODUCTS = usage.Source("products", True, products_with)
FOUND_PRODUCTS = usage.Source("found_products", False, found_by)
