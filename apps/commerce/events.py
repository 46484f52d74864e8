"""What is published about commerce. Variants, prices and stock belong to their product's stream, so that a product
document can be built from events alone. Amounts are integer minor units of an ISO 4217 currency."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from apps.events import registry

PRODUCT = "commerce.product"
CATEGORY = "commerce.category"
COLLECTION = "commerce.collection"
LOCATION = "commerce.location"


class ProductTranslation(registry.Payload):
    """`description` is sanitised HTML."""

    locale: str
    title: str
    subtitle: str
    handle: str
    description: str
    meta_title: str
    meta_description: str


class OptionValue(registry.Payload):
    """`names` is the value by locale, such as {"en": "Red", "de": "Rot"}."""

    id: uuid.UUID
    position: int
    names: dict[str, str]


class Option(registry.Payload):
    """`names` is the option's name by locale, such as {"en": "Colour"}."""

    id: uuid.UUID
    position: int
    names: dict[str, str]
    values: list[OptionValue]


class Image(registry.Payload):
    id: uuid.UUID
    url: str
    alt: str
    position: int


class Price(registry.Payload):
    currency: str
    amount: int
    compare_at: int | None


class Stock(registry.Payload):
    """`stocked` counts what is there, `reserved` what of it is promised."""

    location_id: uuid.UUID
    stocked: int
    reserved: int


class VariantFields(registry.Payload):
    """A variant without its prices and stock, which have events of their own. `value_ids` follow the options' order."""

    id: uuid.UUID
    position: int
    sku: str | None
    barcode: str
    value_ids: list[uuid.UUID]
    weight_grams: int | None
    inventory_policy: str
    manage_inventory: bool
    requires_shipping: bool
    image_id: uuid.UUID | None
    metadata: dict[str, Any]


class Variant(VariantFields):
    prices: list[Price]
    stock: list[Stock]


class ProductFields(registry.Payload):
    """A product without its variants."""

    vendor: str
    product_type: str
    tags: list[str]
    metadata: dict[str, Any]
    is_gift_card: bool
    category_ids: list[uuid.UUID]
    translations: list[ProductTranslation]
    options: list[Option]
    images: list[Image]


@registry.event("commerce.product.created")
class ProductCreated(ProductFields):
    """A product exists as a draft with all its variants; publishing is an event of its own."""

    variants: list[Variant]


@registry.event("commerce.product.updated")
class ProductUpdated(ProductFields):
    """Something of the product but its variants changed; carries all of that."""


@registry.event("commerce.product.published")
class ProductPublished(registry.Payload):
    published_at: datetime


@registry.event("commerce.product.unpublished")
class ProductUnpublished(registry.Payload):
    """Back to draft."""


@registry.event("commerce.product.archived")
class ProductArchived(registry.Payload):
    pass


@registry.event("commerce.product.deleted")
class ProductDeleted(registry.Payload):
    pass


@registry.event("commerce.variant.created")
class VariantCreated(Variant):
    """A variant was added to an existing product."""


@registry.event("commerce.variant.updated")
class VariantUpdated(VariantFields):
    """Carries the variant but for its prices and stock."""


@registry.event("commerce.variant.deleted")
class VariantDeleted(registry.Payload):
    variant_id: uuid.UUID


@registry.event("commerce.price.updated")
class PriceUpdated(registry.Payload):
    """The price in one currency; `new_amount` None means it was removed."""

    variant_id: uuid.UUID
    currency: str
    old_amount: int | None
    new_amount: int | None
    new_compare_at: int | None


@registry.event("commerce.inventory.updated")
class InventoryUpdated(registry.Payload):
    """The quantity at a location was set or adjusted; `reserved` is what is promised of it afterwards."""

    variant_id: uuid.UUID
    location_id: uuid.UUID
    old_quantity: int
    new_quantity: int
    reserved: int
    reason: str


def _low_named(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 did not name what is low: readers get empty names and look at the ids."""
    return data | {"sku": None, "product_title": "", "variant_title": "", "location_name": ""}


@registry.event("commerce.inventory.low", version=2, upcasters={1: _low_named})
class InventoryLow(registry.Payload):
    """The available quantity fell to or below the level's threshold. Named in the tenant's default locale."""

    variant_id: uuid.UUID
    location_id: uuid.UUID
    remaining: int
    threshold: int
    sku: str | None
    product_title: str
    variant_title: str
    location_name: str


@registry.event("commerce.inventory.reserved")
class InventoryReserved(registry.Payload):
    """`reserved` is the level's total after this reservation."""

    variant_id: uuid.UUID
    location_id: uuid.UUID
    reservation_id: uuid.UUID
    quantity: int
    reserved: int
    expires_at: datetime


@registry.event("commerce.inventory.released")
class InventoryReleased(registry.Payload):
    """A reservation ended without a sale; `reason` is `released` or `expired`."""

    variant_id: uuid.UUID
    location_id: uuid.UUID
    reservation_id: uuid.UUID
    quantity: int
    reserved: int
    reason: str


class CategoryTranslation(registry.Payload):
    locale: str
    name: str
    handle: str
    description: str


class CategoryState(registry.Payload):
    parent_id: uuid.UUID | None
    position: int
    depth: int
    is_active: bool
    translations: list[CategoryTranslation]


@registry.event("commerce.category.created")
class CategoryCreated(CategoryState):
    pass


@registry.event("commerce.category.updated")
class CategoryUpdated(CategoryState):
    """Carries the whole category."""


@registry.event("commerce.category.deleted")
class CategoryDeleted(registry.Payload):
    pass


class CollectionTranslation(registry.Payload):
    locale: str
    title: str
    handle: str
    description: str


class CollectionState(registry.Payload):
    translations: list[CollectionTranslation]


@registry.event("commerce.collection.created")
class CollectionCreated(CollectionState):
    pass


@registry.event("commerce.collection.updated")
class CollectionUpdated(CollectionState):
    """Carries the whole collection but its products."""


@registry.event("commerce.collection.deleted")
class CollectionDeleted(registry.Payload):
    pass


@registry.event("commerce.collection.product_added")
class CollectionProductAdded(registry.Payload):
    product_id: uuid.UUID
    position: int


@registry.event("commerce.collection.product_removed")
class CollectionProductRemoved(registry.Payload):
    product_id: uuid.UUID


@registry.event("commerce.location.created")
class LocationCreated(registry.Payload):
    """A place where stock is kept."""

    code: str
    name: str
