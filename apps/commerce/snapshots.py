"""A product with everything that belongs to it, loaded in a fixed number of queries, and its events' payloads."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model

from apps.commerce import errors, events, models
from apps.kernel import ids as identifiers
from apps.kernel import wording
from apps.media import models as media
from apps.media import shown as library_shown

_PLAIN = (bool, int, str, list, dict)


@dataclass(slots=True, eq=False)
class Value:
    """An option value and its names by locale."""

    row: models.OptionValue
    names: dict[str, str]


@dataclass(slots=True, eq=False)
class Option:
    """An option, its names by locale and its values in order."""

    row: models.Option
    names: dict[str, str]
    values: list[Value]


@dataclass(slots=True, eq=False)
class Variant:
    """A variant, its option values in the options' order, prices by currency and levels by location."""

    row: models.Variant
    value_ids: list[uuid.UUID]
    prices: dict[str, models.Price] = field(default_factory=dict)
    levels: dict[uuid.UUID, models.InventoryLevel] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Snapshot:
    """Translations by locale; options, images and variants in order."""

    product: models.Product
    translations: dict[str, models.ProductTranslation] = field(default_factory=dict)
    options: list[Option] = field(default_factory=list)
    images: list[models.ProductImage] = field(default_factory=list)
    category_ids: list[uuid.UUID] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)

    @property
    def id(self) -> uuid.UUID:
        return self.product.id

    def variant(self, variant_id: uuid.UUID) -> Variant:
        """Raises VariantNotFound."""
        for variant in self.variants:
            if variant.row.id == variant_id:
                return variant
        raise errors.VariantNotFound(
            wording.say("There is no variant {variant}.", variant=identifiers.encode("var", variant_id))
        )

    def sort_values(self, value_ids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
        """The value ids in the options' order."""
        order = {value.row.id: index for index, option in enumerate(self.options) for value in option.values}
        return sorted(value_ids, key=lambda value_id: order.get(value_id, len(order)))


def get(product_id: uuid.UUID, *, lock: bool = False) -> Snapshot:
    """The product as it is stored; with `lock` until the transaction ends no other service changes it.

    Raises ProductNotFound.
    """
    products = models.Product.objects.filter(id=product_id)
    loaded = load(products.select_for_update(no_key=True) if lock else products)
    if not loaded:
        raise errors.ProductNotFound(
            wording.say("There is no product {product}.", product=identifiers.encode("prod", product_id))
        )
    return loaded[0]


def get_by_variant(variant_id: uuid.UUID, *, lock: bool = False) -> tuple[Snapshot, Variant]:
    """The product of a variant, and the variant. Raises VariantNotFound."""
    product_id = models.Variant.objects.filter(id=variant_id).values_list("product_id", flat=True).first()
    if product_id is None:
        raise errors.VariantNotFound(
            wording.say("There is no variant {variant}.", variant=identifiers.encode("var", variant_id))
        )
    try:
        snapshot = get(product_id, lock=lock)
    except errors.ProductNotFound:
        raise errors.VariantNotFound(
            wording.say("There is no variant {variant}.", variant=identifiers.encode("var", variant_id))
        ) from None
    return snapshot, snapshot.variant(variant_id)


def load(products: Iterable[models.Product]) -> list[Snapshot]:
    """Each product whole: twelve queries, however many there are, and two more where images are of the library."""
    snapshots = {product.id: Snapshot(product) for product in products}
    if not snapshots:
        return []
    product_ids = list(snapshots)
    for translation in models.ProductTranslation.objects.filter(product_id__in=product_ids).order_by("locale"):
        snapshots[translation.product_id].translations[translation.locale] = translation
    images = models.ProductImage.objects.filter(product_id__in=product_ids).select_related("asset")
    in_library = images.prefetch_related("asset__translations", "asset__renditions", "asset__sources")
    for image in in_library.order_by("position", "id"):
        snapshots[image.product_id].images.append(image)
    placed = models.ProductCategory.objects.filter(product_id__in=product_ids).order_by("category_id")
    for product_id, category_id in placed.values_list("product_id", "category_id"):
        snapshots[product_id].category_ids.append(category_id)
    _load_options(snapshots)
    _load_variants(snapshots)
    return list(snapshots.values())


def _load_options(snapshots: dict[uuid.UUID, Snapshot]) -> None:
    options: dict[uuid.UUID, Option] = {}
    for row in models.Option.objects.filter(product_id__in=list(snapshots)).order_by("position", "id"):
        options[row.id] = Option(row, {}, [])
        snapshots[row.product_id].options.append(options[row.id])
    if not options:
        return
    names = models.OptionTranslation.objects.filter(option_id__in=list(options)).order_by("locale")
    for option_id, locale, name in names.values_list("option_id", "locale", "name"):
        options[option_id].names[locale] = name
    values: dict[uuid.UUID, Value] = {}
    for value in models.OptionValue.objects.filter(option_id__in=list(options)).order_by("position", "id"):
        values[value.id] = Value(value, {})
        options[value.option_id].values.append(values[value.id])
    value_names = models.OptionValueTranslation.objects.filter(value_id__in=list(values)).order_by("locale")
    for value_id, locale, name in value_names.values_list("value_id", "locale", "name"):
        values[value_id].names[locale] = name


def _load_variants(snapshots: dict[uuid.UUID, Snapshot]) -> None:
    variants: dict[uuid.UUID, Variant] = {}
    for row in models.Variant.objects.filter(product_id__in=list(snapshots)).order_by("position", "id"):
        variants[row.id] = Variant(row, [])
        snapshots[row.product_id].variants.append(variants[row.id])
    variant_ids = list(variants)
    chosen: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    links = models.VariantOptionValue.objects.filter(variant_id__in=variant_ids)
    for variant_id, value_id in links.values_list("variant_id", "value_id"):
        chosen[variant_id].append(value_id)
    for variant_id, value_ids in chosen.items():
        variant = variants[variant_id]
        variant.value_ids = snapshots[variant.row.product_id].sort_values(value_ids)
    for price in models.Price.objects.filter(variant_id__in=variant_ids).order_by("currency"):
        variants[price.variant_id].prices[price.currency] = price
    for level in models.InventoryLevel.objects.filter(variant_id__in=variant_ids).order_by("id"):
        variants[level.variant_id].levels[level.location_id] = level


def product_fields(snapshot: Snapshot) -> dict[str, Any]:
    """The fields of events.ProductFields."""
    product = snapshot.product
    return {
        "vendor": product.vendor,
        "product_type": product.product_type,
        "tags": product.tags,
        "metadata": product.metadata,
        "is_gift_card": product.is_gift_card,
        "category_ids": sorted(snapshot.category_ids),
        "translations": [
            events.ProductTranslation(
                locale=locale,
                title=row.title,
                subtitle=row.subtitle,
                handle=row.handle,
                description=row.description,
                meta_title=row.meta_title,
                meta_description=row.meta_description,
            )
            for locale, row in sorted(snapshot.translations.items())
        ],
        "options": [_option(option) for option in snapshot.options],
        "images": [
            events.Image(id=image.id, url=image.url, alt=image.alt, position=image.position, **_of_library(image.asset))
            for image in snapshot.images
        ],
    }


def _of_library(asset: media.Asset | None) -> dict[str, Any]:
    """What the media library knows of an image."""
    if asset is None:
        return {"asset_id": None, "alts": {}, "renditions": []}
    shown = library_shown.asset(asset)
    return {
        "asset_id": asset.id,
        "alts": {each["locale"]: each["alt"] for each in shown["translations"] if each["alt"]},
        "renditions": [
            events.ImageRendition(name=each["name"], url=each["url"], width=each["width"], height=each["height"])
            for each in shown["renditions"]
        ],
    }


def variant_fields(variant: Variant) -> dict[str, Any]:
    """The fields of events.VariantFields."""
    row = variant.row
    return {
        "id": row.id,
        "position": row.position,
        "sku": row.sku,
        "barcode": row.barcode,
        "value_ids": variant.value_ids,
        "weight_grams": row.weight_grams,
        "inventory_policy": row.inventory_policy,
        "manage_inventory": row.manage_inventory,
        "requires_shipping": row.requires_shipping,
        "image_id": row.image_id,
        "metadata": row.metadata,
    }


def whole_variant(variant: Variant) -> dict[str, Any]:
    """The fields of events.Variant, prices and stock included."""
    return variant_fields(variant) | {
        "prices": [
            events.Price(currency=currency, amount=price.amount, compare_at=price.compare_at)
            for currency, price in sorted(variant.prices.items())
        ],
        "stock": [
            events.Stock(location_id=location_id, stocked=level.stocked, reserved=level.reserved)
            for location_id, level in sorted(variant.levels.items())
        ],
    }


def _option(option: Option) -> events.Option:
    return events.Option(
        id=option.row.id,
        position=option.row.position,
        names=option.names,
        values=[
            events.OptionValue(id=value.row.id, position=value.row.position, names=value.names)
            for value in option.values
        ],
    )


def combination(value_ids: Sequence[uuid.UUID]) -> str:
    """The text by which the database tells two variants of a product apart."""
    return ".".join(sorted(value_id.hex for value_id in value_ids))


def dump(snapshot: Snapshot) -> dict[str, Any]:
    """All of it as JSON can hold it, with the identity of each part; `load_dump` reads it again."""
    return {
        "product": _columns(snapshot.product),
        "translations": [_columns(row) for row in snapshot.translations.values()],
        "options": [
            _columns(option.row)
            | {"names": option.names}
            | {"values": [_columns(value.row) | {"names": value.names} for value in option.values]}
            for option in snapshot.options
        ],
        "images": [_columns(row) for row in snapshot.images],
        "category_ids": [str(category_id) for category_id in snapshot.category_ids],
        "variants": [
            _columns(variant.row)
            | {
                "value_ids": [str(value_id) for value_id in variant.value_ids],
                "prices": [_columns(row) for row in variant.prices.values()],
                "levels": [_columns(row) for row in variant.levels.values()],
            }
            for variant in snapshot.variants
        ],
    }


def load_dump(state: dict[str, Any]) -> Snapshot:
    """What `dump` has written, as rows that are not those of the database."""
    snapshot = Snapshot(_row(models.Product, state["product"]))
    for row in state["translations"]:
        snapshot.translations[row["locale"]] = _row(models.ProductTranslation, row)
    for given in state["options"]:
        values = [Value(_row(models.OptionValue, value), value["names"]) for value in given["values"]]
        snapshot.options.append(Option(_row(models.Option, given), given["names"], values))
    snapshot.images = [_row(models.ProductImage, row) for row in state["images"]]
    snapshot.category_ids = [uuid.UUID(category_id) for category_id in state["category_ids"]]
    for given in state["variants"]:
        prices = {row["currency"]: _row(models.Price, row) for row in given["prices"]}
        levels = [_row(models.InventoryLevel, row) for row in given["levels"]]
        value_ids = [uuid.UUID(value_id) for value_id in given["value_ids"]]
        variant = _row(models.Variant, given)
        snapshot.variants.append(Variant(variant, value_ids, prices, {row.location_id: row for row in levels}))
    return snapshot


def _columns(row: Model) -> dict[str, Any]:
    found = {}
    for column in row._meta.concrete_fields:
        value = getattr(row, column.attname)
        found[column.attname] = value if value is None or isinstance(value, _PLAIN) else str(value)
    return found


def _row[Row: Model](model: type[Row], values: dict[str, Any]) -> Row:
    names = {column.attname: column for column in model._meta.concrete_fields}
    return model(**{name: names[name].to_python(value) for name, value in values.items() if name in names})
