"""Products as rows of Shopify's CSV, which Shopify takes and our importer reads back to the same."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.commerce import models, snapshots
from apps.commerce.importing.mapped import Target
from apps.commerce.shopify.columns import NAMES
from apps.kernel import money

COLUMNS = tuple(NAMES[key][0] for key in NAMES)
OPTIONS = 3
_PREFIX = "shopify:"
# With a unit, which ours has not, and with who sends it, so that Shopify takes the file.
_OF_SHOPIFY = {"Variant Fulfillment Service": "manual", "Variant Weight Unit": "g"}


@dataclass(slots=True)
class Extras:
    """Columns that only some products fill: metafields and prices of markets, by the names they had."""

    metafields: dict[str, str] = field(default_factory=dict)
    markets: dict[str, None] = field(default_factory=dict)

    def learn(self, product_metadata: Mapping[str, Any], variant_metadata: Iterable[Mapping[str, Any]]) -> None:
        for name in product_metadata.get("shopify", {}).get("metafields", {}):
            self.metafields.setdefault(name, f"{name} (product.metafields.{name})")
        for metadata in variant_metadata:
            self.markets |= dict.fromkeys(metadata.get("shopify", {}).get("markets", {}))

    def columns(self) -> list[str]:
        return [*COLUMNS, *_OF_SHOPIFY, *self.metafields.values(), *self.markets]


def find_extras() -> Extras:
    """From what is stored."""
    extras = Extras()
    for metadata in models.Product.objects.filter(metadata__has_key="shopify").values_list("metadata", flat=True):
        extras.learn(metadata, ())
    for metadata in models.Variant.objects.filter(metadata__has_key="shopify").values_list("metadata", flat=True):
        extras.learn({}, [metadata])
    return extras


def rows(
    snapshot: snapshots.Snapshot,
    *,
    target: Target,
    location_id: uuid.UUID | None,
    paths: Mapping[uuid.UUID, str],
    extras: Extras,
) -> Iterator[dict[str, str]]:
    """The rows of a product: a variant and a picture in each, as long as there are any."""
    handle = _handle(snapshot, target.locale)
    for index in range(max(len(snapshot.variants), len(snapshot.images))):
        row: dict[str, str] = {NAMES["handle"][0]: handle}
        if index == 0:
            row |= _product(snapshot, target, paths, extras)
        if index < len(snapshot.variants):
            row |= _variant(snapshot, snapshot.variants[index], target, location_id, is_first=index == 0)
        if index < len(snapshot.images):
            image = snapshot.images[index]
            row |= _named({"image": image.url, "image_position": str(index + 1), "image_alt": image.alt})
        yield row


def what_is_lost(snapshot: snapshots.Snapshot, target: Target, paths: Mapping[uuid.UUID, str]) -> list[str]:
    """What of a product such a file has no place for."""
    lost = []
    if len(snapshot.options) > OPTIONS:
        lost.append(f"{len(snapshot.options)} options; Shopify has {OPTIONS}")
    if len([path for id in snapshot.category_ids if (path := paths.get(id))]) > 1:
        lost.append("more than one category; the first is written")
    if any(target.currency not in variant.prices for variant in snapshot.variants):
        lost.append(f"a variant without a price in {target.currency}")
    if target.locale not in snapshot.translations:
        lost.append(f"no texts in {target.locale}; those of another language are written")
    return lost


def _handle(snapshot: snapshots.Snapshot, locale: str) -> str:
    """The one it came with; else ours."""
    external_id = snapshot.product.external_id or ""
    return external_id.removeprefix(_PREFIX) if external_id.startswith(_PREFIX) else _words(snapshot, locale).handle


def _words(snapshot: snapshots.Snapshot, locale: str) -> models.ProductTranslation:
    return snapshot.translations.get(locale) or snapshot.translations[min(snapshot.translations)]


def _product(
    snapshot: snapshots.Snapshot, target: Target, paths: Mapping[uuid.UUID, str], extras: Extras
) -> dict[str, str]:
    product, words = snapshot.product, _words(snapshot, target.locale)
    found = _named(
        {
            "title": words.title,
            "body": words.description,
            "vendor": product.vendor,
            "category": next((paths[id] for id in snapshot.category_ids if id in paths), ""),
            "type": product.product_type,
            "tags": ", ".join(product.tags),
            "published": _flag(product.status == "published"),
            "status": "active" if product.status == "published" else product.status,
            "gift_card": _flag(product.is_gift_card),
            "seo_title": words.meta_title,
            "seo_description": words.meta_description,
        }
    )
    kept = product.metadata.get("shopify", {}).get("metafields", {})
    return found | {extras.metafields[name]: value for name, value in kept.items() if name in extras.metafields}


def _variant(
    snapshot: snapshots.Snapshot,
    variant: snapshots.Variant,
    target: Target,
    location_id: uuid.UUID | None,
    *,
    is_first: bool,
) -> dict[str, str]:
    row, price = variant.row, variant.prices.get(target.currency)
    level = variant.levels.get(location_id) if location_id else None
    before = price.compare_at if price else None
    found = {
        "sku": row.sku or "",
        "barcode": row.barcode,
        "grams": "" if row.weight_grams is None else str(row.weight_grams),
        "tracker": "shopify" if row.manage_inventory else "",
        "quantity": str(level.stocked) if level and row.manage_inventory else "",
        "policy": row.inventory_policy,
        "price": money.to_decimal_text(price.amount, target.currency) if price else "",
        "compare_at": "" if before is None else money.to_decimal_text(before, target.currency),
        "requires_shipping": _flag(row.requires_shipping),
        "variant_image": next((image.url for image in snapshot.images if image.id == row.image_id), ""),
    }
    found |= _options(snapshot, variant, target.locale, is_first=is_first)
    markets: dict[str, str] = row.metadata.get("shopify", {}).get("markets", {})
    return _named(found) | _OF_SHOPIFY | markets


def _options(
    snapshot: snapshots.Snapshot, variant: snapshots.Variant, locale: str, *, is_first: bool
) -> dict[str, str]:
    """Shopify calls the only variant of a product without options `Default Title`."""
    if not snapshot.options:
        return {"option1_name": "Title" if is_first else "", "option1_value": "Default Title"}
    found: dict[str, str] = {}
    for number, option in enumerate(snapshot.options[:OPTIONS], start=1):
        found[f"option{number}_name"] = _name(option.names, locale) if is_first else ""
        value = next((value for value in option.values if value.row.id in variant.value_ids), None)
        found[f"option{number}_value"] = _name(value.names, locale) if value else ""
    return found


def _name(names: Mapping[str, str], locale: str) -> str:
    return names.get(locale) or names[min(names)]


def _named(values: Mapping[str, str]) -> dict[str, str]:
    return {NAMES[key][0]: value for key, value in values.items()}


def _flag(value: bool) -> str:
    return "true" if value else "false"


def paths_of(locale: str) -> dict[uuid.UUID, str]:
    """Every category as `A > B > C`."""
    categories = {row.id: row for row in models.Category.objects.prefetch_related("translations")}
    found = {}
    for category in categories.values():
        line: list[models.Category] = [category]
        while (parent_id := line[-1].parent_id) in categories:
            line.append(categories[parent_id])
        found[category.id] = " > ".join(_category_name(entry, locale) for entry in reversed(line))
    return found


def _category_name(category: models.Category, locale: str) -> str:
    names: Sequence[Any] = sorted(category.translations.all(), key=lambda row: (row.locale != locale, row.locale))
    return str(names[0].name)
