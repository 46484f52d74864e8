"""What a map makes of the first products, for whoever writes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from apps.commerce.catalogue.importing import CatalogueImporter
from apps.commerce.importing.mapped import Skipped
from apps.commerce.importing.writing import Refused

_LONGEST = 100


def lines(importer: CatalogueImporter, products: Sequence[Any]) -> Iterator[str]:
    """Field by field, with the notes; then the columns the map has no use for."""
    for product in products:
        if isinstance(product, Refused):
            continue
        try:
            mapped = importer.map(product)
        except Skipped as skipped:
            yield f"{product.id}: not taken: {skipped.note.problem} ({skipped.note.key})"
            continue
        yield f"{mapped.external_id}, rows {mapped.rows[0].number} to {mapped.rows[-1].number}"
        for path, value in _flat(mapped.fields | {"categories": [" > ".join(path) for path in mapped.category_paths]}):
            shown = str(value)
            yield f"  {path} = {shown[:_LONGEST]}{'…' if len(shown) > _LONGEST else ''}"
        for note in mapped.notes:
            yield f"  note, row {note.row}, {note.key}: {note.problem}"
    if ignored := importer.header.ignored_note():
        yield ignored


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _flat(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _flat(entry, f"{path}.{index}")
    elif value not in (None, ""):
        yield path, value
