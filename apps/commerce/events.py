"""What is published about commerce. Variants, prices and stock belong to their product's stream, so that a product
document can be built from events alone. Amounts are integer minor units of an ISO 4217 currency."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from apps.events import fields, registry

PRODUCT = "commerce.product"
CATEGORY = "commerce.category"
COLLECTION = "commerce.collection"
LOCATION = "commerce.location"


class ProductTranslation(registry.Payload):
    """The words of a product in one language."""

    locale: fields.Locale
    title: str
    subtitle: str
    handle: fields.Slug
    description: fields.Html
    meta_title: str
    meta_description: str


class OptionValue(registry.Payload):
    """One value of an option, such as red."""

    id: uuid.UUID
    position: fields.Order
    names: Annotated[dict[str, str], Field(description='By locale, such as {"en": "Red", "de": "Rot"}.')]


class Option(registry.Payload):
    """What the variants of a product differ in, such as the colour."""

    id: uuid.UUID
    position: fields.Order
    names: Annotated[dict[str, str], Field(description='By locale, such as {"en": "Colour"}.')]
    values: list[OptionValue]


class ImageRendition(registry.Payload):
    """A picture in another size."""

    name: str
    url: str
    width: int
    height: int


class Image(registry.Payload):
    """A picture of a product, where it lies and what it shows."""

    id: uuid.UUID
    url: str
    alt: str
    position: fields.Order
    asset_id: Annotated[uuid.UUID | None, Field(description="In the media library; null for one elsewhere.")]
    alts: Annotated[dict[str, str], Field(description="What the library says, by locale, where `alt` is empty.")]
    renditions: Annotated[list[ImageRendition], Field(description="Those of the library, from small to large.")]


class Price(registry.Payload):
    """What a variant costs in one currency."""

    currency: fields.Currency
    amount: fields.MinorUnits
    compare_at: Annotated[int | None, Field(description="The price before, in minor units; null when not on sale.")]


class Stock(registry.Payload):
    """How much of a variant there is at one location."""

    location_id: uuid.UUID
    stocked: Annotated[int, Field(description="What is there.")]
    reserved: Annotated[int, Field(description="What of it is promised.")]


class VariantFields(registry.Payload):
    """A variant without its prices and stock, which have events of their own."""

    id: uuid.UUID
    position: fields.Order
    sku: str | None
    barcode: str
    value_ids: Annotated[list[uuid.UUID], Field(description="One value of each option, in the options' order.")]
    weight_grams: int | None
    inventory_policy: Annotated[str, Field(description="`deny` sells no more than there is, `continue` does.")]
    manage_inventory: Annotated[bool, Field(description="Whether stock is counted at all.")]
    requires_shipping: bool
    image_id: uuid.UUID | None
    metadata: fields.Metadata


class Variant(VariantFields):
    """A variant with its prices and stock."""

    prices: list[Price]
    stock: list[Stock]


class ProductFields(registry.Payload):
    """A product without its variants."""

    vendor: str
    product_type: str
    tags: list[str]
    metadata: fields.Metadata
    is_gift_card: bool
    category_ids: list[uuid.UUID]
    translations: list[ProductTranslation]
    options: list[Option]
    images: list[Image]


def _images_elsewhere(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew no media library: its images are elsewhere."""
    images = [image | {"asset_id": None, "alts": {}, "renditions": []} for image in data["images"]]
    return data | {"images": images}


@registry.event("commerce.product.created", version=2, upcasters={1: _images_elsewhere})
class ProductCreated(ProductFields):
    """A product exists as a draft with all its variants; publishing is an event of its own."""

    variants: list[Variant]


@registry.event("commerce.product.updated", version=2, upcasters={1: _images_elsewhere})
class ProductUpdated(ProductFields):
    """Something of the product but its variants changed; carries all of that."""


@registry.event("commerce.product.published")
class ProductPublished(registry.Payload):
    """The product can be seen in the storefront."""

    published_at: fields.PublishedAt


@registry.event("commerce.product.unpublished")
class ProductUnpublished(registry.Payload):
    """The product went back to draft, out of the storefront."""


@registry.event("commerce.product.archived")
class ProductArchived(registry.Payload):
    """The product is out of sight and out of the merchants' way, kept."""


@registry.event("commerce.product.deleted")
class ProductDeleted(registry.Payload):
    """The product is gone with its variants."""


@registry.event("commerce.variant.created", aggregate=PRODUCT)
class VariantCreated(Variant):
    """A variant was added to an existing product."""


@registry.event("commerce.variant.updated", aggregate=PRODUCT)
class VariantUpdated(VariantFields):
    """Something of the variant but its prices and stock changed; carries all of that."""


@registry.event("commerce.variant.deleted", aggregate=PRODUCT)
class VariantDeleted(registry.Payload):
    """A variant is gone from its product."""

    variant_id: uuid.UUID


@registry.event("commerce.price.updated", aggregate=PRODUCT)
class PriceUpdated(registry.Payload):
    """The price of a variant in one currency was set, changed or removed."""

    variant_id: uuid.UUID
    currency: fields.Currency
    old_amount: Annotated[int | None, Field(description="In minor units; null when there was no price.")]
    new_amount: Annotated[int | None, Field(description="In minor units; null when the price was removed.")]
    new_compare_at: Annotated[int | None, Field(description="In minor units; null when not on sale.")]


@registry.event("commerce.inventory.updated", aggregate=PRODUCT)
class InventoryUpdated(registry.Payload):
    """The quantity of a variant at a location was set or adjusted."""

    variant_id: uuid.UUID
    location_id: uuid.UUID
    old_quantity: int
    new_quantity: int
    reserved: Annotated[int, Field(description="What is promised of it afterwards.")]
    reason: Annotated[str, Field(description="The writer's word for why, such as `counted`, `adjusted`, `sold`.")]


def _low_named(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 did not name what is low: readers get empty names and look at the ids."""
    return data | {"sku": None, "product_title": "", "variant_title": "", "location_name": ""}


@registry.event("commerce.inventory.low", version=2, upcasters={1: _low_named}, aggregate=PRODUCT)
class InventoryLow(registry.Payload):
    """The available quantity fell to or below the level's threshold. Named in the tenant's default locale."""

    variant_id: uuid.UUID
    location_id: uuid.UUID
    remaining: Annotated[int, Field(description="What is there and not promised.")]
    threshold: int
    sku: str | None
    product_title: Annotated[str, Field(description="Empty in events of version 1.")]
    variant_title: Annotated[str, Field(description="Empty for the only variant, and in events of version 1.")]
    location_name: Annotated[str, Field(description="Empty in events of version 1.")]


@registry.event("commerce.inventory.reserved", aggregate=PRODUCT)
class InventoryReserved(registry.Payload):
    """Some of a variant's stock at a location is promised until a time."""

    variant_id: uuid.UUID
    location_id: uuid.UUID
    reservation_id: uuid.UUID
    quantity: int
    reserved: Annotated[int, Field(description="The level's total after this reservation.")]
    expires_at: datetime


@registry.event("commerce.inventory.released", aggregate=PRODUCT)
class InventoryReleased(registry.Payload):
    """A reservation ended without a sale."""

    variant_id: uuid.UUID
    location_id: uuid.UUID
    reservation_id: uuid.UUID
    quantity: int
    reserved: Annotated[int, Field(description="The level's total afterwards.")]
    reason: Annotated[str, Field(description="`released` or `expired`.")]


@registry.event("commerce.seo.updated", aggregate=PRODUCT)
class SeoUpdated(registry.Payload):
    """What search engines are told about the product; carries all of it, by locale."""

    seo: dict[str, fields.Seo]


@registry.event("commerce.fields.updated", aggregate=PRODUCT)
class FieldsUpdated(registry.Payload):
    """The values of the fields the tenant has defined for products of this type; carries all of them."""

    fields: Annotated[dict[str, Any], Field(description="By the name of the field.")]


class CategoryTranslation(registry.Payload):
    """The words of a category in one language."""

    locale: fields.Locale
    name: str
    handle: fields.Slug
    description: str


class CategoryState(registry.Payload):
    """The whole category."""

    parent_id: fields.Parent
    position: fields.Order
    depth: fields.Depth
    is_active: bool
    translations: list[CategoryTranslation]


@registry.event("commerce.category.created")
class CategoryCreated(CategoryState):
    """A category of products exists; carries all of it."""


@registry.event("commerce.category.updated")
class CategoryUpdated(CategoryState):
    """Something of the category changed, its place included; carries all of it."""


@registry.event("commerce.category.deleted")
class CategoryDeleted(registry.Payload):
    """The category is gone."""


@registry.event("commerce.category_seo.updated", aggregate=CATEGORY)
class CategorySeoUpdated(SeoUpdated):
    """What search engines are told about the category; carries all of it, by locale."""


class CollectionTranslation(registry.Payload):
    """The words of a collection in one language."""

    locale: fields.Locale
    title: str
    handle: fields.Slug
    description: str


class CollectionState(registry.Payload):
    """The collection but for its products."""

    translations: list[CollectionTranslation]


@registry.event("commerce.collection.created")
class CollectionCreated(CollectionState):
    """A collection exists, still empty."""


@registry.event("commerce.collection.updated")
class CollectionUpdated(CollectionState):
    """Something of the collection but its products changed; carries all of that."""


@registry.event("commerce.collection.deleted")
class CollectionDeleted(registry.Payload):
    """The collection is gone; its products stay."""


@registry.event("commerce.collection.product_added")
class CollectionProductAdded(registry.Payload):
    """A product is in the collection, at this place of it."""

    product_id: uuid.UUID
    position: fields.Order


@registry.event("commerce.collection.product_removed")
class CollectionProductRemoved(registry.Payload):
    """A product is no longer in the collection."""

    product_id: uuid.UUID


@registry.event("commerce.collection_seo.updated", aggregate=COLLECTION)
class CollectionSeoUpdated(SeoUpdated):
    """What search engines are told about the collection; carries all of it, by locale."""


@registry.event("commerce.location.created")
class LocationCreated(registry.Payload):
    """There is a place where stock is kept."""

    code: str
    name: str
