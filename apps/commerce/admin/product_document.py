"""A product as the document of its page."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from itertools import count, product

from apps.accounts.desk.asking import flag, to_json
from apps.accounts.desk.sheets import Document, newest
from apps.commerce import models, queries, snapshots
from apps.kernel import money
from apps.tenants import scope

_LIKE_THE_FIRST = ("prices/", "manage_inventory", "inventory_policy", "requires_shipping", "weight_grams")
WORDS = ("title", "subtitle", "handle", "description", "meta_title", "meta_description")


def empty() -> Document:
    """What a new product begins with: one variant."""
    return {
        "variants": ["new1"],
        "variants/new1/manage_inventory": flag(True),
        "variants/new1/requires_shipping": flag(True),
    }


def of(snapshot: snapshots.Snapshot) -> Document:
    product = snapshot.product
    found: Document = {
        "vendor": product.vendor,
        "product_type": product.product_type,
        "tags": ", ".join(product.tags),
        "is_gift_card": flag(product.is_gift_card),
        "seo": to_json(product.seo),
        "fields": to_json(product.fields),
        "metadata": to_json(product.metadata),
        "category_ids": [str(category_id) for category_id in snapshot.category_ids],
        "collections": _collections(product),
        "options": [option.row.id.hex for option in snapshot.options],
        "images": [image.id.hex for image in snapshot.images],
        "variants": [variant.row.id.hex for variant in snapshot.variants],
    }
    for locale, row in snapshot.translations.items():
        found |= {f"translations/{locale}/{name}": getattr(row, name) for name in WORDS}
    for option in snapshot.options:
        at = f"options/{option.row.id.hex}"
        for locale in _locales(option):
            found[f"{at}/names/{locale}"] = option.names.get(locale, "")
            found[f"{at}/values/{locale}"] = "\n".join(value.names.get(locale, "") for value in option.values).strip()
    for image in snapshot.images:
        at = f"images/{image.id.hex}"
        found |= {f"{at}/url": image.url, f"{at}/alt": image.alt}
    codes = {location.id: location.code for location in queries.list_locations()}
    for variant in snapshot.variants:
        found |= _variant(snapshot, variant, codes)
    return found


def with_all_combinations(document: Document, most: int) -> Document:
    """With a variant for each combination of the options' values that has none, `most` at most.

    Rows without values are filled in first. New ones cost what the first one does, and are handled as it is.
    """
    path = "options/{}/values/" + scope.current().default_locale
    lines = [str(document.get(path.format(option), "")).split("\n") for option in document.get("options", [])]
    values = [[*dict.fromkeys(line.strip() for line in each if line.strip())] for each in lines]
    rows = [*document.get("variants", [])]
    held = {
        row: tuple(str(document.get(f"variants/{row}/values/{at}", "")) for at in range(len(values))) for row in rows
    }
    blank = iter([row for row, chosen in held.items() if not any(chosen)])
    pattern = {
        name.removeprefix(f"variants/{rows[0]}/"): value
        for name, value in document.items()
        if rows and name.startswith(tuple(f"variants/{rows[0]}/{kept}" for kept in _LIKE_THE_FIRST))
    }
    if not rows:
        pattern = {"manage_inventory": flag(True), "requires_shipping": flag(True)}
    numbers = count(newest(rows) + 1)
    found = {**document}
    for combination in product(*values) if values else ():
        if combination in held.values():
            continue
        if (row := next(blank, None)) is None:
            if len(rows) >= most:
                break
            rows.append(row := f"new{next(numbers)}")
            found |= {f"variants/{row}/{name}": value for name, value in pattern.items()}
        found |= {f"variants/{row}/values/{at}": value for at, value in enumerate(combination)}
    return {**found, "variants": rows}


def _variant(snapshot: snapshots.Snapshot, variant: snapshots.Variant, codes: Mapping[uuid.UUID, str]) -> Document:
    row, at = variant.row, f"variants/{variant.row.id.hex}"
    urls = {image.id: image.url for image in snapshot.images}
    found: Document = {
        f"{at}/sku": row.sku or "",
        f"{at}/barcode": row.barcode,
        f"{at}/weight_grams": "" if row.weight_grams is None else str(row.weight_grams),
        f"{at}/inventory_policy": flag(row.inventory_policy == "continue"),
        f"{at}/manage_inventory": flag(row.manage_inventory),
        f"{at}/requires_shipping": flag(row.requires_shipping),
        f"{at}/image": urls.get(row.image_id, "") if row.image_id else "",
        f"{at}/metadata": to_json(row.metadata),
    }
    names = {value.row.id: _name(value.names) for option in snapshot.options for value in option.values}
    chosen = set(variant.value_ids)
    for index, option in enumerate(snapshot.options):
        found[f"{at}/values/{index}"] = next(
            (names[value.row.id] for value in option.values if value.row.id in chosen), ""
        )
    for currency, price in variant.prices.items():
        found[f"{at}/prices/{currency}/amount"] = money.to_decimal_text(price.amount, currency)
        found[f"{at}/prices/{currency}/compare_at"] = (
            "" if price.compare_at is None else money.to_decimal_text(price.compare_at, currency)
        )
    for location_id, level in variant.levels.items():
        found[f"{at}/stock/{codes[location_id]}"] = str(level.stocked)
    return found


def _collections(product: models.Product) -> list[str]:
    placed = models.CollectionProduct.objects.filter(product=product).order_by("collection_id")
    return [str(collection_id) for collection_id in placed.values_list("collection_id", flat=True)]


def _locales(option: snapshots.Option) -> list[str]:
    used = {locale for value in option.values for locale in value.names}
    return sorted({*scope.current().locales, *option.names, *used})


def _name(names: dict[str, str]) -> str:
    """In the tenant's own language, or else in any."""
    return names.get(scope.current().default_locale) or next(iter(names.values()), "")
