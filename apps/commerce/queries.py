"""Reads of commerce's own tables, for the management API and the importers."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from django.db.models import QuerySet, Window
from django.db.models.functions import RowNumber

from apps.accounts.access import limiting
from apps.commerce import errors, models, permitted, snapshots
from apps.kernel import ids, wording


def get_product(*, product_id: uuid.UUID) -> snapshots.Snapshot:
    """Raises ProductNotFound, NotPermitted."""
    snapshot = snapshots.get(product_id)
    permitted.check_readable(
        snapshot,
        errors.ProductNotFound(wording.say("There is no product {product}.", product=ids.encode("prod", product_id))),
    )
    return snapshot


def get_variant(*, variant_id: uuid.UUID) -> tuple[snapshots.Snapshot, snapshots.Variant]:
    """The variant with its product. Raises VariantNotFound, NotPermitted."""
    snapshot, variant = snapshots.get_by_variant(variant_id)
    permitted.check_readable(
        snapshot,
        errors.VariantNotFound(wording.say("There is no variant {variant}.", variant=ids.encode("var", variant_id))),
    )
    return snapshot, variant


def product_of_variant(*, variant_id: uuid.UUID) -> uuid.UUID:
    """The id of the product the variant belongs to. Raises VariantNotFound."""
    found = models.Variant.objects.filter(id=variant_id).values_list("product_id", flat=True).first()
    if found is None:
        raise errors.VariantNotFound(
            wording.say("There is no variant {variant}.", variant=ids.encode("var", variant_id))
        )
    return found


def list_products() -> QuerySet[models.Product, models.Product]:
    """In whatever status. Raises NotPermitted."""
    return limiting.visible(models.Product.objects.all(), "products:list", permitted.COLUMNS)


def export_products() -> QuerySet[models.Product, models.Product]:
    """In whatever status. Raises NotPermitted."""
    return limiting.visible(models.Product.objects.all(), "products:export", permitted.COLUMNS)


def find_products(product_ids: Iterable[uuid.UUID]) -> QuerySet[models.Product, models.Product]:
    """Those of the products the request at work may read."""
    rows = models.Product.objects.filter(id__in=list(product_ids))
    return limiting.among(rows, "products:read", permitted.COLUMNS)


def first_products(collection_ids: Sequence[uuid.UUID], *, limit: int) -> Mapping[uuid.UUID, list[uuid.UUID]]:
    """The first products of each of the collections, in its order."""
    rows = models.CollectionProduct.objects.filter(collection_id__in=collection_ids)
    place = Window(RowNumber(), partition_by="collection_id", order_by=["position", "id"])
    found: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    placed = rows.annotate(place=place).filter(place__lte=limit).order_by("place")
    for collection_id, product_id in placed.values_list("collection_id", "product_id"):
        found[collection_id].append(product_id)
    return found


def images_elsewhere() -> Iterator[tuple[uuid.UUID, list[str]]]:
    """Each product that has images outside of the media library, with their addresses."""
    rows = models.ProductImage.objects.filter(asset__isnull=True).order_by("product_id", "position")
    for product_id, images in groupby(rows.values_list("product_id", "url"), key=itemgetter(0)):
        yield product_id, [url for _, url in images]


def load_products(products: Iterable[models.Product]) -> list[snapshots.Snapshot]:
    """Each product whole, in a fixed number of queries."""
    return snapshots.load(products)


def list_variants(*, product_id: uuid.UUID) -> QuerySet[models.Variant, models.Variant]:
    """Of one product."""
    return models.Variant.objects.filter(product_id=product_id)


def list_levels(*, variant_id: uuid.UUID) -> QuerySet[models.InventoryLevel, models.InventoryLevel]:
    """The variant's stock at each location. Raises VariantNotFound."""
    if not models.Variant.objects.filter(id=variant_id).exists():
        raise errors.VariantNotFound(
            wording.say("There is no variant {variant}.", variant=ids.encode("var", variant_id))
        )
    levels = models.InventoryLevel.objects.filter(variant_id=variant_id)
    return levels.select_related("location").order_by("location__code")


def get_category(*, category_id: uuid.UUID) -> models.Category:
    """With its translations. Raises CategoryNotFound."""
    category = models.Category.objects.prefetch_related("translations").filter(id=category_id).first()
    if category is None:
        raise errors.CategoryNotFound(
            wording.say("There is no category {category}.", category=ids.encode("cat", category_id))
        )
    return category


def get_collection(*, collection_id: uuid.UUID) -> models.Collection:
    """With its translations and products. Raises CollectionNotFound."""
    collections = models.Collection.objects.prefetch_related("translations", "products")
    collection = collections.filter(id=collection_id).first()
    if collection is None:
        raise errors.CollectionNotFound(
            wording.say("There is no collection {collection}.", collection=ids.encode("coll", collection_id))
        )
    return collection


def list_categories() -> QuerySet[models.Category, models.Category]:
    """With their translations."""
    return models.Category.objects.prefetch_related("translations")


def list_collections() -> QuerySet[models.Collection, models.Collection]:
    """With their translations."""
    return models.Collection.objects.prefetch_related("translations")


def list_locations() -> QuerySet[models.StockLocation, models.StockLocation]:
    return models.StockLocation.objects.all()


def find_sku_owners(*, skus: Iterable[str]) -> dict[str, str | None]:
    """Which of the SKUs are in use, each with the external id of the product that has it."""
    variants = models.Variant.objects.filter(sku__in=list(skus))
    return {sku: owner for sku, owner in variants.values_list("sku", "product__external_id") if sku}


def find_external_ids(*, external_ids: Iterable[str]) -> set[str | None]:
    """Which of the external ids have a product."""
    products = models.Product.objects.filter(external_id__in=list(external_ids))
    return set(products.values_list("external_id", flat=True))
