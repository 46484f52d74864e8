"""The header row: which column is which, under the names of older and newer exports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.kernel.imports import ImportRefused

NAMES: dict[str, tuple[str, ...]] = {
    "handle": ("Handle", "URL handle"),
    "title": ("Title",),
    "body": ("Body (HTML)", "Description"),
    "vendor": ("Vendor",),
    "category": ("Product Category",),
    "type": ("Type",),
    "tags": ("Tags",),
    "published": ("Published", "Published on online store"),
    "status": ("Status",),
    "option1_name": ("Option1 Name",),
    "option1_value": ("Option1 Value",),
    "option2_name": ("Option2 Name",),
    "option2_value": ("Option2 Value",),
    "option3_name": ("Option3 Name",),
    "option3_value": ("Option3 Value",),
    "sku": ("Variant SKU", "SKU"),
    "grams": ("Variant Grams", "Weight value (grams)"),
    "tracker": ("Variant Inventory Tracker", "Inventory tracker"),
    "quantity": ("Variant Inventory Qty", "Inventory quantity"),
    "policy": ("Variant Inventory Policy", "Continue selling when out of stock"),
    "price": ("Variant Price", "Price"),
    "compare_at": ("Variant Compare At Price", "Compare-at price"),
    "requires_shipping": ("Variant Requires Shipping", "Requires shipping"),
    "barcode": ("Variant Barcode", "Barcode"),
    "image": ("Image Src", "Product image URL"),
    "image_position": ("Image Position",),
    "image_alt": ("Image Alt Text",),
    "variant_image": ("Variant Image", "Variant image URL"),
    "gift_card": ("Gift Card",),
    "seo_title": ("SEO Title",),
    "seo_description": ("SEO Description",),
}
_FIELDS = {name.casefold(): key for key, names in NAMES.items() for name in names}
_METAFIELD = re.compile(r"\(product\.metafields\.([^()]+)\)$")
_MARKET = re.compile(r"(Included|Price|Compare At Price) / .+", re.IGNORECASE)


@dataclass(slots=True)
class Header:
    """Where the columns are. `ignored` are those nothing is taken from."""

    names: list[str]
    fields: dict[str, int] = field(default_factory=dict)
    metafields: list[tuple[int, str]] = field(default_factory=list)
    markets: list[tuple[int, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def has(self, key: str) -> bool:
        return key in self.fields

    def name(self, key: str) -> str:
        """The column's name in this file, or its usual one."""
        return self.names[self.fields[key]] if key in self.fields else NAMES[key][0]


def read_header(cells: Sequence[str]) -> Header:
    """Raises ImportRefused when it is not the header of such a file."""
    names = [cell.strip() for cell in cells]
    header = Header(names)
    for index, name in enumerate(names):
        key = _FIELDS.get(name.casefold())
        if key is not None and key not in header.fields:
            header.fields[key] = index
        elif match := _METAFIELD.search(name):
            header.metafields.append((index, match[1]))
        elif _MARKET.fullmatch(name):
            header.markets.append((index, name))
        elif name:
            header.ignored.append(name)
    missing = [" or ".join(NAMES[key]) for key in ("handle", "title") if not header.has(key)]
    if missing:
        found = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        hint = ""
        if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
            hint = " The columns are to be separated by commas: export the file again as CSV."
        raise ImportRefused(
            f'The first row has no column {" and no column ".join(missing)}: found "{found[:300]}"; '
            f"expected the header row of a Shopify product export.{hint}"
        )
    return header
