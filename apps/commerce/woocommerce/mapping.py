"""A product in WooCommerce's words as the input of our services in ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from apps.commerce.importing import cells
from apps.commerce.importing.mapped import Mapped, Note, Skipped, Target
from apps.commerce.importing.rows import Header, Row
from apps.commerce.services import inputs
from apps.commerce.woocommerce.columns import ATTRIBUTE_NAMES, ATTRIBUTE_VALUES, META, unit_of
from apps.commerce.woocommerce.grouping import Group, types_of
from apps.kernel import text

_COLUMN_OF = {
    "title": "name",
    "description": "description",
    "subtitle": "short",
    "external_id": "sku",
    "sku": "sku",
    "barcode": "gtin",
    "tags": "tags",
    "images": "images",
    "vendor": "brands",
    "values": "name",
    "options": "name",
    "prices": "regular_price",
}
_ANY = "Any"
_LONGEST_SUBTITLE = 255
_MOST_META = 10_000
_COMMA = re.compile(r"(?<!\\),")
_PARTS = {"grouped": "a grouped product: what it groups is kept in its metadata; imported as a draft",
          "external": "sold elsewhere: its address is kept in its metadata; imported as a draft"}  # fmt: skip


def map_group(group: Group, target: Target, now: datetime) -> Mapped:
    """Raises Skipped for a product that can't be taken."""
    row, header = group.row, group.row.header
    title = row.line("name")
    name = row.get("sku") or (f"id:{row.get('id')}" if row.get("id") else text.to_slug(title))
    mapped = Mapped(f"woocommerce:{name}", title or name, [row], _COLUMN_OF, is_whole=_has_prices(header))
    if not title:
        raise Skipped(Note(row.number, "name", "", f'product "{name}" has no name; product skipped'))
    types = types_of(row)
    fields = mapped.fields
    fields["external_id"] = mapped.external_id
    fields["translations"] = [_translation(row, title, target)]
    fields["status"] = _status(mapped, row, types)
    if header.has("brands"):
        fields["vendor"] = ", ".join(_list(row.line("brands")))[:255]
    if header.has("tags"):
        fields["tags"] = _list(row.line("tags"))
    if header.has("categories"):
        fields["category_ids"] = []
        mapped.category_paths = list(dict.fromkeys(_paths(row.line("categories"))))
    if header.has("images"):
        fields["images"] = [{"url": url, "alt": ""} for url in _image_urls(mapped, row)]
    if "variable" in types or group.variations:
        _put_variations(mapped, row, group.variations, target, now)
    else:
        mapped.variant_rows = [row]
        fields["options"] = []
        fields["variants"] = [_variant(mapped, row, (), target, now)]
    if kept := _metadata(row, types, mapped):
        fields["metadata"] = {"woocommerce": kept}
    return mapped


def _has_prices(header: Header) -> bool:
    return header.has("regular_price") or header.has("sale_price")


def _translation(row: Row, title: str, target: Target) -> dict[str, Any]:
    translation: dict[str, Any] = {"locale": target.locale, "title": title}
    long, short = _lines(row.get("description")), _lines(row.get("short"))
    if row.header.has("description") or row.header.has("short"):
        translation["description"] = long or short
    if row.header.has("short"):
        plain = text.to_plain_text(short) if long else ""
        translation["subtitle"] = plain if len(plain) <= _LONGEST_SUBTITLE else ""
    return translation


def _status(mapped: Mapped, row: Row, types: set[str]) -> str:
    for type, problem in _PARTS.items():
        if type in types:
            mapped.note(row, "type", problem)
            return "draft"
    if unknown := types - {"simple", "variable", "virtual", "downloadable"}:
        mapped.note(row, "type", f"{', '.join(sorted(unknown))} is a type we do not have; imported as a simple product")
    published = row.get("published")
    if published in {"-1", "0"}:
        return "draft"
    return "published" if not published or cells.flag(mapped, row, "published", default=True) else "draft"


def _metadata(row: Row, types: set[str], mapped: Mapped) -> dict[str, Any]:
    """What has no place of its own and is not to be lost."""
    used = {option["names"][next(iter(option["names"]))].casefold() for option in mapped.fields.get("options", ())}
    attributes = {name: values for name, values in _attributes(row).items() if name.casefold() not in used}
    short = _lines(row.get("short"))
    sizes = {key: row.get(key) for key in ("length", "width", "height")}
    kept: dict[str, Any] = {
        "id": row.get("id"),
        "type": ", ".join(sorted(types - {"simple", "variable"})),
        "visibility": row.get("visibility") if row.get("visibility") != "visible" else "",
        "short_description": short if len(text.to_plain_text(short)) > _LONGEST_SUBTITLE else "",
        "attributes": attributes,
        "dimensions": {
            key: f"{size} {unit_of(row.header, key, otherwise='cm')}" for key, size in sizes.items() if size
        },
        "grouped": _list(row.get("grouped")) if "grouped" in types else [],
        "external_url": row.get("external_url") if "external" in types else "",
        "button_text": row.get("button") if "external" in types else "",
        "meta": {name: value for name, value in row.others(META).items() if len(value) <= _MOST_META},
    }
    return {key: value for key, value in kept.items() if value}


def _put_variations(mapped: Mapped, row: Row, variations: Sequence[Row], target: Target, now: datetime) -> None:
    if not variations:
        raise Skipped(
            Note(row.number, "type", row.get("type"), f'"{mapped.name}" has no variations in the file; skipped')
        )
    known = _attributes(row)
    names = {name.casefold(): name for name in known}
    chosen = [
        {names.get(name.casefold(), name): values[0] for name, values in _attributes(variation).items() if values}
        for variation in variations
    ]
    used = list(dict.fromkeys(name for own in chosen for name in own))
    used.sort(key=lambda name: list(known).index(name) if name in known else len(known))
    seen: set[tuple[str, ...]] = set()
    variants, combinations = [], []
    for variation, own in zip(variations, chosen, strict=True):
        values = tuple(own.get(name, _ANY) for name in used)
        if missing := [name for name in used if name not in own]:
            mapped.note(variation, "name", f'stands for any {", ".join(missing)}; taken as "{_ANY}"')
        if variation.get("published") in {"0", "-1"}:
            mapped.note(variation, "published", "the variation is switched off; variation skipped")
        elif values in seen:
            mapped.note(
                variation, "name", f"the product has a variation {' / '.join(values)} already; variation skipped"
            )
        else:
            seen.add(values)
            combinations.append(values)
            mapped.variant_rows.append(variation)
            variants.append(_variant(mapped, variation, values, target, now, parent=row))
    if not variants:
        raise Skipped(
            Note(row.number, "type", row.get("type"), f'no variation of "{mapped.name}" can be taken; skipped')
        )
    mapped.fields["options"] = _options(used, known, combinations, target)
    mapped.fields["variants"] = variants


def _options(
    used: Sequence[str], known: dict[str, list[str]], combinations: Sequence[tuple[str, ...]], target: Target
) -> list[dict[str, Any]]:
    """With the values that variants have, in the order of the parent."""
    found = []
    for index, name in enumerate(used):
        values = list(dict.fromkeys(combination[index] for combination in combinations))
        order = {value: place for place, value in enumerate(known.get(name, ()))}
        values.sort(key=lambda value, order=order: order.get(value, len(order)))  # type: ignore[misc]
        found.append(
            {"names": {target.locale: name}, "values": [{"names": {target.locale: value}} for value in values]}
        )
    return found


def _variant(
    mapped: Mapped, row: Row, values: tuple[str, ...], target: Target, now: datetime, *, parent: Row | None = None
) -> dict[str, Any]:
    header, types = row.header, types_of(row)
    variant: dict[str, Any] = {"values": list(values)}
    if header.has("sku"):
        variant["sku"] = cells.sku(mapped, row, "sku")
    if header.has("gtin"):
        variant["barcode"] = row.line("gtin").lstrip("'").strip()
    if header.has("weight"):
        heavy = row if row.get("weight") or parent is None else parent
        unit = unit_of(header, "weight", otherwise="kg")
        variant["weight_grams"] = cells.weight(mapped, heavy, "weight", unit=unit if unit in cells.GRAMS else "kg")
    if header.has("type"):
        variant["requires_shipping"] = not ({"virtual", "downloadable"} & types)
    if header.has("backorders"):
        variant["inventory_policy"] = (
            "continue" if row.get("backorders").casefold() in {*cells.YES, "notify"} else "deny"
        )
    if parent is not None and header.has("images"):
        variant["image"] = _variant_image(mapped, row)
    if _has_prices(header):
        variant["prices"] = _prices(mapped, row, target, now)
    _put_stock(mapped, row, variant, target)
    return variant


def _put_stock(mapped: Mapped, row: Row, variant: dict[str, Any], target: Target) -> None:
    """A number is a stock; without one there is as much as wanted, or nothing where it is out of stock."""
    if not row.header.has("stock") and not row.header.has("in_stock"):
        return
    given = row.get("stock").casefold()
    is_out = row.get("in_stock").casefold() in cells.NO
    if given == "parent":
        mapped.note(row, "stock", "the stock is kept for all variations together; imported without one")
        given = ""
    found = cells.quantity(mapped, row, "stock") if given else (0 if is_out else None)
    variant["manage_inventory"] = found is not None
    if found is not None:
        threshold = row.get("low_stock")
        level: dict[str, Any] = {"location": target.location, "quantity": found}
        if threshold.isascii() and threshold.isdigit() and len(threshold) < 10:
            level["low_stock_threshold"] = int(threshold)
        variant["stock"] = [level]


def _prices(mapped: Mapped, row: Row, target: Target, now: datetime) -> list[inputs.PriceInput]:
    """The sale price with the regular one before it, while the sale lasts."""
    regular = cells.amount(mapped, row, "regular_price", target.currency)
    sale = cells.amount(mapped, row, "sale_price", target.currency) if _is_on_sale(mapped, row, now) else None
    amount = regular if sale is None else sale
    if amount is None:
        if "grouped" not in types_of(row):
            mapped.note(row, "regular_price", "no price; imported without one")
        return []
    before = regular if sale is not None and regular is not None and regular > sale else None
    if sale is not None and regular is not None and regular < sale:
        mapped.note(row, "regular_price", "the regular price is below the sale price; imported without it")
    return [inputs.PriceInput.model_construct(currency=target.currency, amount=amount, compare_at=before)]


def _is_on_sale(mapped: Mapped, row: Row, now: datetime) -> bool:
    if not row.get("sale_price"):
        return False
    starts, ends = _moment(row.get("sale_starts")), _moment(row.get("sale_ends"), is_end=True)
    if (starts and starts > now) or (ends and ends < now):
        mapped.note(row, "sale_price", "the sale is over, or has not begun; imported with the regular price")
        return False
    if starts or ends:
        mapped.note(row, "sale_price", "the sale is limited in time, which is not kept; import again when it is over")
    return True


def _moment(given: str, *, is_end: bool = False) -> datetime | None:
    try:
        found = parse_datetime(given)
        day = parse_date(given)
    except ValueError:
        return None
    if found is None and day is not None:
        found = datetime.combine(day, time(23, 59) if is_end else time())
    return found if found is None or timezone.is_aware(found) else timezone.make_aware(found)


def _attributes(row: Row) -> dict[str, list[str]]:
    """Values by the name of the attribute, in the order of their numbers."""
    names = {number: row.cells[index].strip() for index, number in row.header.extras.get(ATTRIBUTE_NAMES, ())}
    values = {number: row.cells[index].strip() for index, number in row.header.extras.get(ATTRIBUTE_VALUES, ())}
    return {
        text.to_one_line(name): _list(text.to_one_line(values.get(number, "")))
        for number, name in sorted(names.items(), key=lambda pair: int(pair[0]))
        if name
    }


def _image_urls(mapped: Mapped, row: Row) -> list[str]:
    given = [url.strip() for url in re.split(r"[,\n]", row.get("images"))]
    urls = [cells.image_url(mapped, row, "images", url) for url in given if url]
    return list(dict.fromkeys(url for url in urls if url))


def _variant_image(mapped: Mapped, row: Row) -> str | None:
    """The first picture of the variation, which is put among those of the product."""
    urls = _image_urls(mapped, row)
    if not urls:
        return None
    images = mapped.fields.setdefault("images", [])
    if all(image["url"] != urls[0] for image in images):
        images.append({"url": urls[0], "alt": ""})
    return urls[0]


def _paths(given: str) -> list[tuple[str, ...]]:
    found = (tuple(name.strip() for name in path.split(">") if name.strip()) for path in _list(given))
    return [path for path in found if path]


def _list(given: str) -> list[str]:
    """Parts between commas; a comma within a part has a backslash before it."""
    return [part.replace("\\,", ",").strip() for part in _COMMA.split(given) if part.strip()]


def _lines(given: str) -> str:
    """WooCommerce writes line breaks as a backslash and an n."""
    return given.replace("\\r\\n", "\n").replace("\\n", "\n")
