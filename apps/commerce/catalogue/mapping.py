"""The rows of a product as the input of our services, as the map has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.commerce.catalogue.maps import Map, Number, Parts, Value, Words
from apps.commerce.catalogue.reading import Group, text_of
from apps.commerce.importing import cells
from apps.commerce.importing.mapped import Mapped, Note, Skipped, Target
from apps.commerce.importing.rows import Row
from apps.kernel import text, validation

STATUSES = ("draft", "published", "archived")


def map_group(group: Group, map: Map, target: Target) -> Mapped:
    """Raises Skipped for a product that can't be taken."""
    first, given = group.rows[0], map.product
    columns = {"external_id": _column(given.id, "id"), "title": _column(given.title, "title")}
    columns |= {"sku": _column(map.variant.sku, "sku"), "values": next(iter(map.variant.options), "options")}
    mapped = Mapped(f"{map.source}:{group.id}", group.id, group.rows, columns)
    fields = mapped.fields
    fields["external_id"] = mapped.external_id
    fields["translations"] = _translations(mapped, first, map, target)
    for name in ("vendor", "product_type"):
        if (value := getattr(given, name)) is not None:
            fields[name] = text.to_one_line(text_of(value, first))
    if given.status is not None:
        fields["status"] = _status(mapped, first, given.status)
    if given.tags is not None:
        fields["tags"] = parts_of(given.tags, first)
    if given.categories is not None:
        fields["category_ids"] = []
        paths = [part.split(given.categories.path) for part in parts_of(given.categories, first)]
        trimmed = [tuple(name.strip() for name in path if name.strip()) for path in paths]
        mapped.category_paths = list(dict.fromkeys(path for path in trimmed if path))
    if given.images is not None:
        fields["images"] = _images(mapped, group.rows, given.images)
    kept = {name: text_of(value, first) for name, value in map.metadata.items()}
    if kept := {name: value for name, value in kept.items() if value}:
        fields["metadata"] = {map.source: kept}
    _put_variants(mapped, map, target)
    return mapped


def parts_of(value: Parts, row: Row) -> list[str]:
    """The parts of a cell; lists of JSON have a `|` between them."""
    given = text_of(value.model_copy(update={"prefix": ""}), row)
    parts = [part.strip() for part in (given.split(value.split) if value.split else [given])]
    if value.only:
        parts = [part.removeprefix(value.only) for part in parts if part.startswith(value.only)]
    return [f"{value.prefix}{part}" for part in parts if part]


def _translations(mapped: Mapped, row: Row, map: Map, target: Target) -> list[dict[str, Any]]:
    own = _words(map.product, row) | {"locale": target.locale}
    if not own.get("title"):
        column = _column(map.product.title, "title")
        raise Skipped(Note(row.number, column, "", f'product "{mapped.name}" has no title; product skipped'))
    others = [_words(words, row) | {"locale": locale} for locale, words in map.locales.items()]
    return [own, *(entry for entry in others if entry.get("title") and entry["locale"] != target.locale)]


def _words(words: Words, row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in Words.model_fields:
        value = getattr(words, name)
        if value is None:
            continue
        given = text_of(value, row)
        if name == "handle":
            found["handle" if validation.fits(validation.Slug, given) else "handle_source"] = given
        else:
            found[name] = given if name in {"description", "meta_description"} else text.to_one_line(given)
    return found


def _status(mapped: Mapped, row: Row, value: Value) -> str:
    given = text_of(value, row).casefold()
    if given in STATUSES:
        return given
    column = _column(value, "status")
    mapped.note(row, column, f"none of {', '.join(STATUSES)}; imported as a draft", value=given)
    return "draft"


def _images(mapped: Mapped, rows: Sequence[Row], value: Parts) -> list[dict[str, str]]:
    found = []
    for row in rows:
        for url in parts_of(value, row):
            if taken := cells.image_url(mapped, row, value.column or "images", url):
                found.append({"url": taken, "alt": ""})
    return list({image["url"]: image for image in found}.values())


def _put_variants(mapped: Mapped, map: Map, target: Target) -> None:
    chosen = [_chosen(map, row, mapped.rows[0]) for row in mapped.rows]
    names = list(dict.fromkeys(name for own in chosen for name in own))
    variants, seen = [], set[tuple[str, ...]]()
    for row, own in zip(mapped.rows, chosen, strict=True):
        if missing := [name for name in names if not own.get(name)]:
            problem = f'the variant has no {missing[0]}; product "{mapped.name}" skipped'
            raise Skipped(Note(row.number, missing[0], "", problem))
        values = tuple(own[name] for name in names)
        if values in seen:
            problem = "the product has a variant with these option values already; variant skipped"
            mapped.note(row, _column(map.product.id, "id"), problem, value=" / ".join(values))
            continue
        seen.add(values)
        mapped.variant_rows.append(row)
        variants.append(_variant(mapped, map, row, values, target))
    mapped.fields["options"] = [
        {
            "names": {target.locale: name},
            "values": [
                {"names": {target.locale: value}}
                for value in dict.fromkeys(entry["values"][index] for entry in variants)
            ],
        }
        for index, name in enumerate(names)
    ]
    mapped.fields["variants"] = variants


def _chosen(map: Map, row: Row, first: Row) -> dict[str, str]:
    """The values of the row by the names of their options."""
    found = {name: text.to_one_line(text_of(value, row)) for name, value in map.variant.options.items()}
    if (both := map.variant.options_in) is not None:
        names = parts_of(both.names, row) or parts_of(both.names, first)
        values = parts_of(both.values, row)
        found |= {name: values[index] if index < len(values) else "" for index, name in enumerate(names)}
    return {name: value for name, value in found.items() if value or len(found) > 1}


def _variant(mapped: Mapped, map: Map, row: Row, values: tuple[str, ...], target: Target) -> dict[str, Any]:
    given = map.variant
    variant: dict[str, Any] = {"values": list(values)}
    if given.sku is not None:
        variant["sku"] = cells.sku(mapped, *_cell(given.sku, row))
    if given.barcode is not None:
        variant["barcode"] = text.to_one_line(text_of(given.barcode, row))
    if given.price is not None:
        variant["prices"] = _prices(mapped, map, row, target)
    if given.quantity is not None:
        quantity = cells.quantity(mapped, *_cell(given.quantity, row), mark=given.quantity.mark or "")
        variant["manage_inventory"] = quantity is not None
        if quantity is not None:
            variant["stock"] = [{"location": target.location, "quantity": quantity}]
    if given.weight is not None:
        place = _cell(given.weight, row)
        variant["weight_grams"] = cells.weight(mapped, *place, unit=given.weight.unit, mark=given.weight.mark or "")
    if given.image is not None and (url := text_of(given.image, row)):
        variant["image"] = cells.image_url(mapped, row, _column(given.image, "image"), url) or None
        images = mapped.fields.setdefault("images", [])
        if variant["image"] and all(image["url"] != variant["image"] for image in images):
            images.append({"url": variant["image"], "alt": ""})
    return variant


def _prices(mapped: Mapped, map: Map, row: Row, target: Target) -> list[Any]:
    given = map.variant.price or Number()
    before = map.variant.compare_at
    price_row, key = _cell(given, row)
    if before is None:
        found = cells.amount(mapped, price_row, key, target.currency, mark=given.mark or "")
        if found is None:
            raise Skipped(Note(row.number, key, "", f'a variant without a price; product "{mapped.name}" skipped'))
        return [cells.priced(target.currency, found, None)]
    keys = key, before.column or "compare_at"
    return [cells.price(mapped, price_row, keys, target.currency, mark=given.mark or "")]


def _cell(value: Value, row: Row) -> tuple[Row, str]:
    """A row whose cell is what the map makes of it."""
    key = _column(value, "constant")
    if value.column and not (value.values or value.prefix or value.constant):
        return row, key
    header = row.header
    changed = list(row.cells)
    if value.column:
        changed[header.fields[value.column]] = text_of(value, row)
        return Row(row.number, changed, header), key
    constant = type(header)([key], {}, {key: 0})
    return Row(row.number, [text_of(value, row)], constant), key


def _column(value: Value | None, otherwise: str) -> str:
    return value.column if value is not None and value.column else otherwise
