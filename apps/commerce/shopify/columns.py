"""The header row: which column is which, under the names of older and newer exports."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apps.commerce.importing.rows import Header, spelled
from apps.kernel import text
from apps.kernel.imports import ImportRefused

NAMES: dict[str, tuple[str, ...]] = {
    "handle": ("Handle", "URL handle", "Product handle"),
    "title": ("Title", "Product title"),
    "body": ("Body (HTML)", "Description", "Body", "Body HTML", "Description (HTML)"),
    "vendor": ("Vendor",),
    "category": ("Product Category", "Standardized Product Type", "Standard Product Type"),
    "type": ("Type", "Custom Product Type", "Product Type"),
    "tags": ("Tags",),
    "published": ("Published", "Published on online store", "Published on store"),
    "status": ("Status",),
    "option1_name": ("Option1 Name",),
    "option1_value": ("Option1 Value",),
    "option2_name": ("Option2 Name",),
    "option2_value": ("Option2 Value",),
    "option3_name": ("Option3 Name",),
    "option3_value": ("Option3 Value",),
    "sku": ("Variant SKU", "SKU"),
    "grams": ("Variant Grams", "Weight value (grams)", "Grams", "Weight (grams)"),
    "tracker": ("Variant Inventory Tracker", "Inventory tracker"),
    "quantity": ("Variant Inventory Qty", "Inventory quantity", "Variant Inventory Quantity", "Inventory qty"),
    "policy": ("Variant Inventory Policy", "Continue selling when out of stock", "Inventory policy"),
    "price": ("Variant Price", "Price"),
    "compare_at": ("Variant Compare At Price", "Compare-at price"),
    "requires_shipping": ("Variant Requires Shipping", "Requires shipping"),
    "barcode": ("Variant Barcode", "Barcode"),
    "image": ("Image Src", "Product image URL", "Image URL", "Image Source"),
    "image_position": ("Image Position",),
    "image_alt": ("Image Alt Text", "Image alt"),
    "variant_image": ("Variant Image", "Variant image URL"),
    "gift_card": ("Gift Card",),
    "seo_title": ("SEO Title",),
    "seo_description": ("SEO Description",),
}
_FIELDS = {spelled(name): key for key, names in NAMES.items() for name in names}
_METAFIELD = re.compile(r"\(product\.metafields\.([^()]+)\)$")
_MARKET = re.compile(r"(Included|Price|Compare At Price) / .+", re.IGNORECASE)
METAFIELDS, MARKETS = "metafields", "markets"


def read_header(cells: Sequence[str]) -> Header:
    """Raises ImportRefused when it is not the header of such a file."""
    names = [text.to_one_line(cell) for cell in cells]
    header = Header(names, NAMES)
    for index, name in enumerate(names):
        key = _FIELDS.get(spelled(name))
        if key is not None and key not in header.fields:
            header.fields[key] = index
        elif match := _METAFIELD.search(name):
            header.extras.setdefault(METAFIELDS, []).append((index, match[1]))
        elif _MARKET.fullmatch(name):
            header.extras.setdefault(MARKETS, []).append((index, name))
        elif name:
            header.ignored.append(name)
    missing = [" or ".join(NAMES[key][:2]) for key in ("handle", "title") if not header.has(key)]
    if missing:
        found = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise ImportRefused(
            f'The first row has no column {" and no column ".join(missing)}: found "{found[:300]}"; '
            "expected the header row of a Shopify product export."
        )
    return header
