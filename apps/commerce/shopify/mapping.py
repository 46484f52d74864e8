"""The rows of a product in Shopify's words as the input of our services in ours."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from apps.commerce.services import inputs
from apps.commerce.shopify.columns import NAMES, Header
from apps.commerce.shopify.reading import Group, Row
from apps.kernel import money, validation
from apps.kernel.errors import DomainError, ValidationFailed

_YES = {"true", "yes", "1", "y", "t"}
_NO = {"false", "no", "0", "n", "f"}
_LAST_POSITION = 1_000_000
_MOST_DIGITS = 15
_COLUMN_OF = {
    "title": "title",
    "description": "body",
    "meta_title": "seo_title",
    "meta_description": "seo_description",
    "product_type": "type",
    "alt": "image_alt",
    "external_id": "handle",
    "values": "option1_value",
    "options": "option1_value",
    "names": "option1_name",
}


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the report: `key` is a name of `columns.NAMES`."""

    row: int
    key: str
    value: str
    problem: str


class Skipped(Exception):
    """The product can't be taken."""

    def __init__(self, note: Note) -> None:
        super().__init__(note.problem)
        self.note = note


@dataclass(frozen=True, slots=True)
class Target:
    """What the file does not say: the language of its texts, the currency of its prices, where its stock is."""

    locale: str
    currency: str
    location: str


@dataclass(slots=True)
class Mapped:
    """A product on its way: the fields of its input, and what the report says about it."""

    handle: str
    rows: Sequence[Row]
    fields: dict[str, Any]
    category_path: tuple[str, ...] = ()
    notes: list[Note] = field(default_factory=list)
    variant_rows: list[Row] = field(default_factory=list)

    @property
    def external_id(self) -> str:
        return f"shopify:{self.handle}"

    def build(self, category_id: uuid.UUID | None) -> inputs.NewProduct:
        """The input. Raises Skipped for what no product may be."""
        if "category_ids" in self.fields:
            self.fields["category_ids"] = [category_id] if category_id else []
        try:
            return validation.parse(inputs.NewProduct, self.fields)
        except ValidationFailed as failure:
            raise Skipped(self.note_of(failure)) from None

    def note_of(self, failure: DomainError) -> Note:
        """The first wrong field as a line of the report."""
        problem = failure.problems[0] if failure.problems else None
        parts = problem.pointer.split("/")[1:] if problem else []
        name = next((part for part in reversed(parts) if part in _COLUMN_OF or part in NAMES), "handle")
        key = _COLUMN_OF.get(name, name)
        row = self.rows[0]
        if parts[:1] == ["variants"] and len(parts) > 1:
            row = self.variant_rows[int(parts[1])]
        detail = (problem.detail if problem else failure.detail).rstrip(".")
        return Note(row.number, key, row.get(key), f'{detail}; product "{self.handle}" skipped')


def map_group(group: Group, target: Target) -> Mapped:
    """Raises Skipped for a product that can't be taken."""
    first = group.rows[0]
    header = first.header
    mapped = Mapped(group.handle, group.rows, {})
    if not first.line("title"):
        raise Skipped(Note(first.number, "title", "", f'product "{group.handle}" has no title; product skipped'))
    fields = mapped.fields
    fields["external_id"] = mapped.external_id
    fields["translations"] = [_translation(group.handle, first, target)]
    for key, name in (("vendor", "vendor"), ("type", "product_type")):
        if header.has(key):
            fields[name] = first.line(key)
    if header.has("tags"):
        fields["tags"] = [tag.strip() for tag in first.line("tags").split(",") if tag.strip()]
    if header.has("gift_card"):
        fields["is_gift_card"] = _flag(mapped, first, "gift_card", default=False)
    if header.has("category"):
        fields["category_ids"] = []
        mapped.category_path = tuple(name.strip() for name in first.line("category").split(">") if name.strip())
    if header.has("published") or header.has("status"):
        fields["status"] = _status(mapped, first)
    if kept := _product_metadata(group.handle, first):
        fields["metadata"] = {"shopify": kept}
    if header.has("image"):
        fields["images"] = _images(mapped)
    _put_variants(mapped, target)
    return mapped


def _translation(handle: str, first: Row, target: Target) -> dict[str, Any]:
    translation: dict[str, Any] = {"locale": target.locale, "title": first.line("title")}
    if validation.fits(validation.Slug, handle):
        translation["handle"] = handle
    else:
        translation["handle_source"] = handle
    for key, name in (("body", "description"), ("seo_description", "meta_description")):
        if first.header.has(key):
            translation[name] = first.get(key)
    if first.header.has("seo_title"):
        translation["meta_title"] = first.line("seo_title")
    return translation


def _product_metadata(handle: str, first: Row) -> dict[str, Any]:
    """What has no place of its own and is not to be lost."""
    kept: dict[str, Any] = {}
    if not validation.fits(validation.Slug, handle):
        kept["handle"] = handle
    metafields = {name: first.cells[index].strip() for index, name in first.header.metafields}
    if metafields := {name: value for name, value in metafields.items() if value}:
        kept["metafields"] = metafields
    return kept


def _status(mapped: Mapped, first: Row) -> str:
    status = first.get("status").casefold()
    is_published = _flag(mapped, first, "published", default=True)
    if status in {"", "active"}:
        return "published" if is_published else "draft"
    if status in {"draft", "archived"}:
        return status
    if status != "unpublished":
        problem = "a status we do not have; imported as a draft"
        mapped.notes.append(Note(first.number, "status", first.get("status"), problem))
    return "draft"


def _images(mapped: Mapped) -> list[dict[str, str]]:
    """In the order of their positions, those without one after the others, each as often as it is listed."""
    found: list[tuple[int, int, dict[str, str]]] = []
    for row in mapped.rows:
        url = row.get("image")
        if not url or not _is_usable(mapped, row, "image", url):
            continue
        text = row.get("image_position")
        position = int(text) if text.isascii() and text.isdigit() else _LAST_POSITION
        found.append((position, len(found), {"url": url, "alt": row.get("image_alt")}))
    return [image for _, _, image in sorted(found, key=lambda entry: entry[:2])]


def _put_variants(mapped: Mapped, target: Target) -> None:
    header = mapped.rows[0].header
    rows = [row for index, row in enumerate(mapped.rows) if index == 0 or _has_variant(row)]
    numbers = {row.number for row in rows}
    for row in mapped.rows:
        if row.number not in numbers and not row.get("image"):
            problem = "the row has neither a variant nor an image; row skipped"
            mapped.notes.append(Note(row.number, "handle", mapped.handle, problem))
    options = _option_keys(rows)
    seen: set[tuple[str, ...]] = set()
    variants, combinations = [], []
    for row in rows:
        values = _values(mapped, row, options)
        if values in seen:
            problem = "the product has a variant with these option values already; variant skipped"
            mapped.notes.append(Note(row.number, "option1_value", " / ".join(values), problem))
            continue
        seen.add(values)
        combinations.append(values)
        mapped.variant_rows.append(row)
        variants.append(_variant(mapped, row, values, target))
    if header.has("option1_name") or header.has("option1_value"):
        mapped.fields["options"] = _options(mapped.rows[0], options, combinations, target)
    mapped.fields["variants"] = variants


def _has_variant(row: Row) -> bool:
    return any(row.get(key) for key in ("option1_value", "option2_value", "option3_value", "price", "sku"))


def _option_keys(rows: Sequence[Row]) -> list[int]:
    """The numbers of the options in use; the placeholder of a product without options is none."""
    used = [number for number in (1, 2, 3) if any(row.get(f"option{number}_value") for row in rows)]
    if used == [1] and {row.get("option1_value") for row in rows} == {"Default Title"}:
        return []
    return used


def _values(mapped: Mapped, row: Row, options: Sequence[int]) -> tuple[str, ...]:
    values = [row.line(f"option{number}_value") for number in options]
    while values and not values[-1]:
        values.pop()
    if "" in values:
        number = options[values.index("")]
        raise Skipped(
            Note(row.number, f"option{number}_value", "", f'the variant has no option value; "{mapped.handle}" skipped')
        )
    return tuple(values)


def _options(
    first: Row, options: Sequence[int], combinations: Sequence[tuple[str, ...]], target: Target
) -> list[dict[str, Any]]:
    found = []
    for index, number in enumerate(options):
        names = dict.fromkeys(values[index] for values in combinations if len(values) > index)
        found.append(
            {
                "names": {target.locale: first.line(f"option{number}_name") or f"Option {number}"},
                "values": [{"names": {target.locale: name}} for name in names],
            }
        )
    return found


def _variant(mapped: Mapped, row: Row, values: tuple[str, ...], target: Target) -> dict[str, Any]:
    header = row.header
    variant: dict[str, Any] = {"values": list(values)}
    if header.has("sku"):
        variant["sku"] = _sku(mapped, row)
    if header.has("barcode"):
        variant["barcode"] = row.line("barcode").lstrip("'").strip()
    if header.has("grams"):
        variant["weight_grams"] = _grams(mapped, row)
    if header.has("policy"):
        variant["inventory_policy"] = _policy(mapped, row)
    if header.has("tracker"):
        variant["manage_inventory"] = bool(row.get("tracker"))
    if header.has("requires_shipping"):
        variant["requires_shipping"] = _flag(mapped, row, "requires_shipping", default=True)
    if header.has("variant_image"):
        variant["image"] = _variant_image(mapped, row)
    if header.has("price"):
        variant["prices"] = [_price(mapped, row, target)]
    quantity = _quantity(mapped, row)
    if quantity is not None and variant.get("manage_inventory", True):
        variant["stock"] = [{"location": target.location, "quantity": quantity}]
    markets = {name: row.cells[index].strip() for index, name in header.markets}
    if markets := {name: value for name, value in markets.items() if value}:
        variant["metadata"] = {"shopify": {"markets": markets}}
    return variant


def _sku(mapped: Mapped, row: Row) -> str | None:
    """As it is kept here, so that those of other variants are found. One that can't be kept costs no variant."""
    text = row.get("sku").lstrip("'").strip()
    try:
        sku: str | None = validation.check(validation.OptionalSku, text, field="sku")
    except ValidationFailed as failure:
        problem = f"{failure.problems[0].detail}; imported without a SKU"
        mapped.notes.append(Note(row.number, "sku", text, problem))
        return None
    return sku


def _price(mapped: Mapped, row: Row, target: Target) -> inputs.PriceInput:
    amount = _amount(row, "price", target)
    if amount is None:
        raise Skipped(Note(row.number, "price", "", f'a variant without a price; product "{mapped.handle}" skipped'))
    compare_at = _amount(row, "compare_at", target)
    if compare_at is not None and compare_at < amount:
        problem = "the compare-at price is below the price; imported without it"
        mapped.notes.append(Note(row.number, "compare_at", row.get("compare_at"), problem))
        compare_at = None
    return inputs.PriceInput.model_construct(currency=target.currency, amount=amount, compare_at=compare_at)


def _amount(row: Row, key: str, target: Target) -> int | None:
    text = row.get(key)
    if not text:
        return None
    try:
        return money.to_minor_units(text, target.currency)
    except money.InvalidAmount as error:
        raise Skipped(Note(row.number, key, text, f"{error.detail.rstrip('.')}; product skipped")) from None


def _grams(mapped: Mapped, row: Row) -> int | None:
    text = row.get("grams")
    if not text:
        return None
    number = _decimal(text)
    if number is None or not validation.fits(inputs.Grams, round(number)):
        mapped.notes.append(Note(row.number, "grams", text, "not a weight in grams; imported without a weight"))
        return None
    return round(number)


def _quantity(mapped: Mapped, row: Row) -> int | None:
    text = row.get("quantity")
    if not text:
        return None
    number = _decimal(text)
    if number is not None and number < 0:
        mapped.notes.append(Note(row.number, "quantity", text, "the stock is negative; imported as 0"))
        return 0
    if number is None or number != number.to_integral_value() or not validation.fits(validation.Quantity, int(number)):
        mapped.notes.append(Note(row.number, "quantity", text, "not a quantity; imported without stock"))
        return None
    return int(number)


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text if text.isascii() else "")
    except InvalidOperation:
        return None
    # 1e999999 is quickly read, and takes forever to be written out.
    return number if number.is_finite() and number.adjusted() <= _MOST_DIGITS else None


def _policy(mapped: Mapped, row: Row) -> str:
    text = row.get("policy").casefold()
    if text in {"continue"} | _YES:
        return "continue"
    if text not in {"", "deny"} | _NO:
        mapped.notes.append(Note(row.number, "policy", text, "neither deny nor continue; imported as deny"))
    return "deny"


def _variant_image(mapped: Mapped, row: Row) -> str | None:
    """The picture of the variant, which is put among those of the product where it is missing."""
    url = row.get("variant_image")
    if not url or not _is_usable(mapped, row, "variant_image", url):
        return None
    images = mapped.fields.setdefault("images", [])
    if all(image["url"] != url for image in images):
        images.append({"url": url, "alt": ""})
        problem = "not among the images of the product; added to them"
        mapped.notes.append(Note(row.number, "variant_image", url, problem))
    return url


def _is_usable(mapped: Mapped, row: Row, key: str, url: str) -> bool:
    if url.startswith(("https://", "http://", "//")) and validation.fits(inputs.ImageUrl, url):
        return True
    problem = "not an address that starts with https:// or http://, without spaces; imported without this image"
    mapped.notes.append(Note(row.number, key, url, problem))
    return False


def _flag(mapped: Mapped, row: Row, key: str, *, default: bool) -> bool:
    text = row.get(key).casefold()
    if text in _YES:
        return True
    if text in _NO or not text:
        return default if not text else False
    mapped.notes.append(Note(row.number, key, row.get(key), "neither true nor false; taken as false"))
    return False


def ignored_note(header: Header) -> str:
    """One sentence for the summary about the columns nothing is taken from; empty when there are none."""
    if not header.ignored:
        return ""
    counted = "1 column is" if len(header.ignored) == 1 else f"{len(header.ignored)} columns are"
    return f"{counted} not imported: {', '.join(header.ignored)}."
