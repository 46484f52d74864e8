"""What the management API answers: ids as typed text, amounts as decimal text."""

from __future__ import annotations

from typing import Annotated, TypedDict

from apps.commerce import models, snapshots
from apps.kernel import ids, money, seo, validation
from apps.kernel.operations import Amount, Free, Id, Moment, Named, one_of
from apps.kernel.seo import SeoWords


class ProductTranslation(TypedDict):
    locale: str
    title: str
    subtitle: str
    handle: str
    description: str
    meta_title: str
    meta_description: str


class OptionValue(TypedDict):
    """`names` by locale."""

    id: Id
    names: Named


class Option(TypedDict):
    """Such as size, with its values in order; `names` by locale."""

    id: Id
    names: Named
    values: list[OptionValue]


class Image(TypedDict):
    """`asset_id` is null for an image that is not in the media library."""

    id: Id
    url: str
    alt: str
    asset_id: Id | None


class Price(TypedDict):
    currency: str
    amount: Amount
    compare_at: Amount | None


class Prices(TypedDict):
    """All of a variant's, by currency."""

    prices: list[Price]


class Variant(TypedDict):
    """`values` has one name by locale for each option; `stocked` and `reserved` count all stock locations together."""

    id: Id
    product_id: Id
    position: int
    sku: str | None
    barcode: str
    values: list[Named]
    weight_grams: int | None
    inventory_policy: Annotated[str, one_of(*models.Variant.InventoryPolicy.values)]
    manage_inventory: bool
    requires_shipping: bool
    image: str | None
    metadata: Free
    prices: list[Price]
    stocked: int
    reserved: int


class Product(TypedDict):
    """A product whole, with its variants and their prices."""

    id: Id
    status: Annotated[str, one_of(*models.Product.Status.values)]
    vendor: str
    product_type: str
    tags: list[str]
    is_gift_card: bool
    metadata: Free
    seo: dict[str, SeoWords]
    fields: Free
    external_id: str | None
    category_ids: list[Id]
    published_at: Moment | None
    created_at: Moment
    updated_at: Moment
    translations: list[ProductTranslation]
    options: list[Option]
    images: list[Image]
    variants: list[Variant]


class StockLevel(TypedDict):
    """What is in stock of a variant at a location; `available` is `stocked` without what is `reserved`."""

    location: str
    location_id: Id
    stocked: int
    reserved: int
    available: int
    incoming: int
    low_stock_threshold: int | None
    allow_backorder: bool


class Reservation(TypedDict):
    id: Id
    variant_id: Id
    location_id: Id
    quantity: int
    status: Annotated[str, one_of(*models.Reservation.Status.values)]
    expires_at: Moment
    reference: str


class StockLocation(TypedDict):
    id: Id
    code: str
    name: str


class ProductCategoryTranslation(TypedDict):
    locale: str
    name: str
    handle: str
    description: str


class ProductCategory(TypedDict):
    """`depth` is 0 at the top of the tree."""

    id: Id
    parent_id: Id | None
    position: int
    depth: int
    is_active: bool
    translations: list[ProductCategoryTranslation]
    seo: dict[str, SeoWords]


class CollectionTranslation(TypedDict):
    locale: str
    title: str
    handle: str
    description: str


class Collection(TypedDict):
    """A collection without its products."""

    id: Id
    translations: list[CollectionTranslation]
    seo: dict[str, SeoWords]


class CollectionPosition(TypedDict):
    product_id: Id
    position: int


class WholeCollection(Collection):
    """A collection with its products in order."""

    products: list[CollectionPosition]


def product(snapshot: snapshots.Snapshot) -> Product:
    row = snapshot.product
    return {
        "id": ids.encode("prod", row.id),
        "status": row.status,
        "vendor": row.vendor,
        "product_type": row.product_type,
        "tags": row.tags,
        "is_gift_card": row.is_gift_card,
        "metadata": row.metadata,
        "seo": seo.shown(row.seo),
        "fields": row.fields,
        "external_id": row.external_id,
        "category_ids": [ids.encode("cat", category_id) for category_id in snapshot.category_ids],
        "published_at": validation.to_text(row.published_at) if row.published_at else None,
        "created_at": validation.to_text(row.created_at),
        "updated_at": validation.to_text(row.updated_at),
        "translations": [
            {
                "locale": translation.locale,
                "title": translation.title,
                "subtitle": translation.subtitle,
                "handle": translation.handle,
                "description": translation.description,
                "meta_title": translation.meta_title,
                "meta_description": translation.meta_description,
            }
            for translation in snapshot.translations.values()
        ],
        "options": [
            {
                "id": ids.encode("opt", option.row.id),
                "names": option.names,
                "values": [{"id": ids.encode("val", value.row.id), "names": value.names} for value in option.values],
            }
            for option in snapshot.options
        ],
        "images": [
            {
                "id": ids.encode("img", image.id),
                "url": image.url,
                "alt": image.alt,
                "asset_id": None if image.asset_id is None else ids.encode("asset", image.asset_id),
            }
            for image in snapshot.images
        ],
        "variants": [variant(snapshot, entry) for entry in snapshot.variants],
    }


def variant(snapshot: snapshots.Snapshot, entry: snapshots.Variant) -> Variant:
    row = entry.row
    names = {value.row.id: value.names for option in snapshot.options for value in option.values}
    images = {image.id: image.url for image in snapshot.images}
    return {
        "id": ids.encode("var", row.id),
        "product_id": ids.encode("prod", row.product_id),
        "position": row.position,
        "sku": row.sku,
        "barcode": row.barcode,
        "values": [names[value_id] for value_id in entry.value_ids],
        "weight_grams": row.weight_grams,
        "inventory_policy": row.inventory_policy,
        "manage_inventory": row.manage_inventory,
        "requires_shipping": row.requires_shipping,
        "image": images.get(row.image_id) if row.image_id else None,
        "metadata": row.metadata,
        "prices": [price(entry.prices[currency]) for currency in sorted(entry.prices)],
        "stocked": sum(level.stocked for level in entry.levels.values()),
        "reserved": sum(level.reserved for level in entry.levels.values()),
    }


def price(row: models.Price) -> Price:
    compare_at = None if row.compare_at is None else money.to_decimal_text(row.compare_at, row.currency)
    return {
        "currency": row.currency,
        "amount": money.to_decimal_text(row.amount, row.currency),
        "compare_at": compare_at,
    }


def level(row: models.InventoryLevel, location: models.StockLocation) -> StockLevel:
    return {
        "location": location.code,
        "location_id": ids.encode("loc", location.id),
        "stocked": row.stocked,
        "reserved": row.reserved,
        "available": row.stocked - row.reserved,
        "incoming": row.incoming,
        "low_stock_threshold": row.low_stock_threshold,
        "allow_backorder": row.allow_backorder,
    }


def reservation(row: models.Reservation) -> Reservation:
    return {
        "id": ids.encode("res", row.id),
        "variant_id": ids.encode("var", row.variant_id),
        "location_id": ids.encode("loc", row.location_id),
        "quantity": row.quantity,
        "status": row.status,
        "expires_at": validation.to_text(row.expires_at),
        "reference": row.reference,
    }


def location(row: models.StockLocation) -> StockLocation:
    return {"id": ids.encode("loc", row.id), "code": row.code, "name": row.name}


def category(row: models.Category) -> ProductCategory:
    return {
        "id": ids.encode("cat", row.id),
        "parent_id": ids.encode("cat", row.parent_id) if row.parent_id else None,
        "position": row.position,
        "depth": row.depth,
        "is_active": row.is_active,
        "seo": seo.shown(row.seo),
        "translations": [
            {
                "locale": translation.locale,
                "name": translation.name,
                "handle": translation.handle,
                "description": translation.description,
            }
            for translation in row.translations.all()
        ],
    }


def collection(row: models.Collection) -> Collection:
    return {
        "id": ids.encode("coll", row.id),
        "seo": seo.shown(row.seo),
        "translations": [
            {
                "locale": translation.locale,
                "title": translation.title,
                "handle": translation.handle,
                "description": translation.description,
            }
            for translation in row.translations.all()
        ],
    }


def whole_collection(row: models.Collection) -> WholeCollection:
    return {
        **collection(row),
        "products": [
            {"product_id": ids.encode("prod", placed.product_id), "position": placed.position}
            for placed in row.products.all()
        ],
    }
