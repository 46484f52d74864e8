"""The page of a product as calls of services, in an order in which each finds what it needs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.accounts.desk.asking import Asked, number, within
from apps.commerce import queries, services, snapshots
from apps.commerce.admin.product_document import WORDS
from apps.kernel import errors, validation, wording

_OF_VARIANT = (
    "sku", "barcode", "weight_grams", "inventory_policy", "manage_inventory", "requires_shipping", "image", "metadata",
    "values",
)  # fmt: skip

_ONLY_FLAGS = {"inventory_policy", "manage_inventory", "requires_shipping"}


def create(asked: Asked, *, now: datetime) -> uuid.UUID:
    """Raises what `create_product` raises."""
    values = _product(asked)
    variants = {row: _new_variant(asked, row) for row in _filled(asked)}
    values["variants"] = asked.listed("variants", variants)
    snapshot = services.create_product(new=validation.parse(services.NewProduct, values), now=now)
    _place(snapshot.id, asked)
    return snapshot.id


def update(product_id: uuid.UUID, asked: Asked, *, now: datetime) -> None:
    """Raises what the services of products, variants, prices and stock raise."""
    snapshot = queries.get_product(product_id=product_id)
    rows, before = _filled(asked), [variant.row.id.hex for variant in snapshot.variants]
    gone = [row for row in before if row not in rows]
    is_any_left = len(gone) < len(before)
    if is_any_left:
        _remove(gone)
    values = _product(asked)
    changed = [name for name in values if asked.changes(name)]
    final = values["options"]
    if "options" in changed:
        values["options"] = _with_those_in_use(snapshot, final)
    _update_product(product_id, values, changed)
    for position, row in enumerate(rows):
        with within(f"variants/{row}"):
            if row in before:
                _update_variant(asked, row, position=position, moved=before.index(row) != position or bool(gone))
            else:
                new = validation.parse(services.VariantInput, _new_variant(asked, row))
                services.add_variant(product_id=product_id, new=new, now=now)
        if row in before:
            _count(asked, row, now=now)
    if not is_any_left:
        _remove(gone)
    if "options" in changed and values["options"] != final:
        _update_product(product_id, {"options": final}, ["options"])
    _place(product_id, asked)


def _update_product(product_id: uuid.UUID, values: Mapping[str, Any], names: list[str]) -> None:
    if names:
        changes = validation.parse(services.ProductChanges, {name: values[name] for name in names})
        services.update_product(product_id=product_id, changes=changes)


def _product(asked: Asked) -> dict[str, Any]:
    words = {
        locale: {"locale": locale, **{name: fields.get(name, "") for name in WORDS}}
        for locale, fields in asked.group("translations").items()
        if any(str(value).strip() for value in fields.values())
    }
    options = {row: _option(asked, row) for row in asked.many("options")}
    images = {
        row: {"url": asked.text(f"images/{row}/url").strip(), "alt": asked.text(f"images/{row}/alt")}
        for row in asked.many("images")
    }
    return {
        "vendor": asked.text("vendor"),
        "product_type": asked.text("product_type"),
        "tags": [tag.strip() for tag in asked.text("tags").split(",") if tag.strip()],
        "is_gift_card": asked.flag("is_gift_card"),
        "seo": asked.json("seo"),
        "fields": asked.json("fields"),
        "metadata": asked.json("metadata"),
        "category_ids": asked.many("category_ids"),
        "translations": asked.listed("translations", words),
        "options": asked.listed("options", options),
        "images": asked.listed("images", images),
    }


def _option(asked: Asked, row: str) -> dict[str, Any]:
    """Names by language; the values of each language are those on the same lines."""
    names = {locale: text.strip() for locale, text in _texts(asked, f"options/{row}/names").items() if text.strip()}
    lines = {
        locale: [line.strip() for line in text.strip().split("\n")]
        for locale, text in _texts(asked, f"options/{row}/values").items()
        if text.strip()
    }
    if len(lengths := {len(each) for each in lines.values()}) > 1:
        shortest = min(lines, key=lambda locale: len(lines[locale]))
        raise errors.ValidationFailed.for_field(
            f"/options/{row}/values/{shortest}",
            "values_do_not_match",
            wording.say("every language has as many lines as the others; the longest has {count}.", count=max(lengths)),
        )
    values = [
        {"names": {locale: each[index] for locale, each in lines.items() if each[index]}}
        for index in range(max(lengths, default=0))
    ]
    return {"names": names, "values": values}


def _texts(asked: Asked, path: str) -> dict[str, str]:
    return {
        name.removeprefix(f"{path}/"): str(value)
        for name, value in asked.document.items()
        if name.startswith(f"{path}/")
    }


def _with_those_in_use(snapshot: snapshots.Snapshot, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The wanted options with the values variants still have: these can go once the variants have others."""
    used = {value_id for variant in snapshot.variants for value_id in variant.value_ids}
    names_wanted = [{pair for value in option["values"] for pair in value["names"].items()} for option in wanted]
    widened = []
    for index, option in enumerate(wanted):
        stored = snapshot.options[index].values if index < len(snapshot.options) else []
        kept = [
            {"names": value.names}
            for value in stored
            if value.row.id in used and not names_wanted[index] & set(value.names.items())
        ]
        widened.append({**option, "values": [*option["values"], *kept]} if kept else option)
    return widened


def _filled(asked: Asked) -> list[str]:
    """The rows of variants without new ones nobody wrote anything into; the only one stays, as it is the default."""
    rows = asked.many("variants")
    written = asked.group("variants")
    blank = {
        row
        for row in rows
        if row.startswith("new")
        and not any(str(value).strip() for name, value in written.get(row, {}).items() if name not in _ONLY_FLAGS)
    }
    return [row for row in rows if row not in blank] or rows[:1]


def _variant(asked: Asked, row: str) -> dict[str, Any]:
    at = f"variants/{row}"
    with within(at):
        metadata = _metadata(asked, at)
    return {
        "sku": asked.maybe(f"{at}/sku"),
        "barcode": asked.text(f"{at}/barcode"),
        "weight_grams": number(asked.maybe(f"{at}/weight_grams")),
        "inventory_policy": "continue" if asked.flag(f"{at}/inventory_policy") else "deny",
        "manage_inventory": asked.flag(f"{at}/manage_inventory"),
        "requires_shipping": asked.flag(f"{at}/requires_shipping"),
        "image": asked.maybe(f"{at}/image"),
        "metadata": metadata,
        "values": _values(asked, at),
    }


def _metadata(asked: Asked, at: str) -> Any:
    return Asked({"metadata": asked.text(f"{at}/metadata")}).json("metadata")


def _values(asked: Asked, at: str) -> list[str]:
    values = [asked.text(f"{at}/values/{index}").strip() for index in range(len(asked.many("options")))]
    while values and not values[-1]:
        values.pop()
    return values


def _new_variant(asked: Asked, row: str) -> dict[str, Any]:
    at = f"variants/{row}"
    stock = {
        code: {"location": code, "quantity": number(text.strip())}
        for code, text in _texts(asked, f"{at}/stock").items()
        if text.strip()
    }
    return {**_variant(asked, row), "prices": _prices(asked, row), "stock": asked.listed(f"{at}/stock", stock)}


def _prices(asked: Asked, row: str) -> list[dict[str, Any]]:
    path = f"variants/{row}/prices"
    prices = {
        currency: {
            "currency": currency,
            "amount": str(fields.get("amount", "")).strip(),
            "compare_at": str(fields.get("compare_at", "")).strip() or None,
        }
        for currency, fields in asked.group(path).items()
        if any(str(value).strip() for value in fields.values())
    }
    return asked.listed(path, prices)


def _update_variant(asked: Asked, row: str, *, position: int, moved: bool) -> None:
    at = f"variants/{row}"
    values = _variant(asked, row)
    changed = {name: values[name] for name in _OF_VARIANT if asked.changes(f"{at}/{name}")}
    if moved:
        changed["position"] = position
    if changed:
        changes = validation.parse(services.VariantChanges, changed)
        services.update_variant(variant_id=uuid.UUID(row), changes=changes)
    if asked.changes(f"{at}/prices"):
        prices = validation.parse(services.PriceList, {"prices": _prices(asked, row), "replace": True})
        services.set_prices(variant_id=uuid.UUID(row), prices=prices)


def _count(asked: Asked, row: str, *, now: datetime) -> None:
    path = f"variants/{row}/stock"
    for code, text in _texts(asked, path).items():
        if text.strip() and asked.changes(f"{path}/{code}"):
            with within(f"{path}/{code}"):
                count = validation.parse(services.InventoryCount, {"quantity": number(text.strip()), "location": code})
                services.set_inventory(variant_id=uuid.UUID(row), count=count, now=now)


def _remove(rows: list[str]) -> None:
    for row in rows:
        services.remove_variant(variant_id=uuid.UUID(row))


def _place(product_id: uuid.UUID, asked: Asked) -> None:
    """Into the collections chosen, and out of the others."""
    if not asked.changes("collections"):
        return
    before, after = set(asked.before.get("collections", [])), set(asked.many("collections"))
    with within("collections"):
        for collection in sorted(before - after):
            services.remove_from_collection(collection_id=_uuid(collection), product_id=product_id)
        for collection in sorted(after - before):
            services.add_to_collection(collection_id=_uuid(collection), product_id=product_id)


def _uuid(text: str) -> uuid.UUID:
    found: uuid.UUID = validation.check(uuid.UUID, text, field="collections")
    return found
