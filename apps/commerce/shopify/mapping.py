"""The rows of a product in Shopify's words as the input of our services in ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.commerce.importing import cells
from apps.commerce.importing.mapped import Mapped, Note, Skipped, Target
from apps.commerce.importing.rows import Row
from apps.commerce.shopify.columns import MARKETS, METAFIELDS
from apps.commerce.shopify.grouping import Group
from apps.kernel import validation

_LAST_POSITION = 1_000_000
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


def map_group(group: Group, target: Target) -> Mapped:
    """Raises Skipped for a product that can't be taken."""
    # What a product is stands in its first row with a title: rows of images may come before it.
    first = next((row for row in group.rows if row.line("title")), group.rows[0])
    header = first.header
    mapped = Mapped(f"shopify:{group.handle}", group.handle, group.rows, _COLUMN_OF, is_whole=header.has("price"))
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
        fields["is_gift_card"] = cells.flag(mapped, first, "gift_card", default=False)
    if header.has("category"):
        fields["category_ids"] = []
        path = tuple(name.strip() for name in first.line("category").split(">") if name.strip())
        mapped.category_paths = [path] if path else []
    if header.has("published") or header.has("status"):
        fields["status"] = _status(mapped, first)
    if kept := _product_metadata(group.handle, first):
        fields["metadata"] = {"shopify": kept}
    if header.has("image"):
        fields["images"] = _images(mapped)
    _put_variants(mapped, first, target)
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
    if metafields := first.others(METAFIELDS):
        kept["metafields"] = metafields
    return kept


def _status(mapped: Mapped, first: Row) -> str:
    status = first.get("status").casefold()
    is_published = cells.flag(mapped, first, "published", default=True)
    if status in {"", "active"}:
        return "published" if is_published else "draft"
    if status in {"draft", "archived"}:
        return status
    if status == "unlisted":
        mapped.note(first, "status", "for those who have its address only, which we do not have; imported as a draft")
    elif status != "unpublished":
        mapped.note(first, "status", "a status we do not have; imported as a draft")
    return "draft"


def _images(mapped: Mapped) -> list[dict[str, str]]:
    """In the order of their positions, those without one after the others, each as often as it is listed."""
    found: list[tuple[int, int, dict[str, str]]] = []
    for row in mapped.rows:
        given = row.get("image")
        url = cells.image_url(mapped, row, "image", given) if given else ""
        if not url:
            continue
        place = row.get("image_position")
        position = int(place) if place.isascii() and place.isdigit() else _LAST_POSITION
        found.append((position, len(found), {"url": url, "alt": row.get("image_alt")}))
    return [image for _, _, image in sorted(found, key=lambda entry: entry[:2])]


def _put_variants(mapped: Mapped, first: Row, target: Target) -> None:
    header = first.header
    rows = [row for row in mapped.rows if row is first or _has_variant(row)]
    numbers = {row.number for row in rows}
    for row in mapped.rows:
        if row.number not in numbers and not row.get("image"):
            problem = "the row has neither a variant nor an image; row skipped"
            mapped.note(row, "handle", problem, value=mapped.name)
    options = _option_keys(rows)
    seen: set[tuple[str, ...]] = set()
    variants, combinations = [], []
    for row in rows:
        values = _values(mapped, row, options)
        if values in seen:
            problem = "the product has a variant with these option values already; variant skipped"
            mapped.note(row, "option1_value", problem, value=" / ".join(values))
            continue
        seen.add(values)
        combinations.append(values)
        mapped.variant_rows.append(row)
        variants.append(_variant(mapped, row, values, target))
    if header.has("option1_name") or header.has("option1_value"):
        mapped.fields["options"] = _options(first, options, combinations, target)
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
            Note(row.number, f"option{number}_value", "", f'the variant has no option value; "{mapped.name}" skipped')
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
        variant["sku"] = cells.sku(mapped, row, "sku")
    if header.has("barcode"):
        variant["barcode"] = row.line("barcode").lstrip("'").strip()
    if header.has("grams"):
        variant["weight_grams"] = cells.weight(mapped, row, "grams")
    if header.has("policy"):
        variant["inventory_policy"] = _policy(mapped, row)
    if header.has("tracker"):
        variant["manage_inventory"] = bool(row.get("tracker"))
    if header.has("requires_shipping"):
        variant["requires_shipping"] = cells.flag(mapped, row, "requires_shipping", default=True)
    if header.has("variant_image"):
        variant["image"] = _variant_image(mapped, row)
    if header.has("price"):
        variant["prices"] = [cells.price(mapped, row, ("price", "compare_at"), target.currency)]
    quantity = cells.quantity(mapped, row, "quantity")
    if quantity is not None and variant.get("manage_inventory", True):
        variant["stock"] = [{"location": target.location, "quantity": quantity}]
    if markets := row.others(MARKETS):
        variant["metadata"] = {"shopify": {"markets": markets}}
    return variant


def _policy(mapped: Mapped, row: Row) -> str:
    given = row.get("policy").casefold()
    if given in {"continue"} | cells.YES:
        return "continue"
    if given not in {"", "deny"} | cells.NO:
        mapped.note(row, "policy", "neither deny nor continue; imported as deny")
    return "deny"


def _variant_image(mapped: Mapped, row: Row) -> str | None:
    """The picture of the variant, which is put among those of the product where it is missing."""
    given = row.get("variant_image")
    url = cells.image_url(mapped, row, "variant_image", given) if given else ""
    if not url:
        return None
    images = mapped.fields.setdefault("images", [])
    if all(image["url"] != url for image in images):
        images.append({"url": url, "alt": ""})
        mapped.note(row, "variant_image", "not among the images of the product; added to them", value=url)
    return url
