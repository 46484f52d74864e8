"""Products with their variations, which stand anywhere in the file and name their parent by its SKU or `id:42`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from apps.commerce.importing.mapped import Note
from apps.commerce.importing.rows import Header, Row
from apps.kernel.imports import ImportRefused
from apps.kernel.records import Record

MAXIMUM_HELD = 128 * 1024 * 1024
VARIATION = "variation"

type Complain = Callable[[Note], None]


@dataclass(slots=True)
class Group:
    """A row of a product and the rows of its variations, in the order of the file."""

    row: Row
    variations: list[Row] = field(default_factory=list)


def types_of(row: Row) -> set[str]:
    """`simple, downloadable, virtual` as a set; without one it is simple, or a variation where it has a parent."""
    found = {name.strip().casefold() for name in row.get("type").split(",") if name.strip()}
    return found or ({VARIATION} if row.get("parent") else {"simple"})


def fit(record: Record, header: Header, complain: Complain) -> Row | None:
    """The row at the width of the header; None where it is blank, broken or too wide, which is complained of."""
    width = len(header.names)
    if record.broken:
        column, value = header.names[max(min(len(record.cells), width) - 1, 0)], (record.cells or [""])[-1]
        complain(Note(record.number, column, value, f"{record.broken}. Row skipped"))
        return None
    if not any(cell.strip() for cell in record.cells):
        return None
    cells = record.cells[:width] + [""] * (width - len(record.cells))
    if any(cell.strip() for cell in record.cells[width:]):
        detail = f"the row has {len(record.cells)} columns where the header has {width}; row skipped"
        complain(Note(record.number, "name", record.cells[width], detail))
        return None
    if len(record.cells) < width - 1:
        detail = f"the row has {len(record.cells)} of {width} columns; the others are taken as empty"
        complain(Note(record.number, "name", record.cells[0], detail))
    return Row(record.number, cells, header)


def hold_variations(records: Iterator[Record], header: Header) -> dict[str, list[Row]]:
    """The variations of a file by what they call their parent. Raises ImportRefused for more than fits."""
    held: dict[str, list[Row]] = {}
    length = 0
    for record in records:
        row = fit(record, header, lambda note: None)
        if row is None or VARIATION not in types_of(row):
            continue
        held.setdefault(row.get("parent"), []).append(row)
        length += sum(map(len, row.cells)) + 100
        if length > MAXIMUM_HELD:
            raise ImportRefused("The file has more variations than fit into memory: split it, variations with parents.")
    return held


def read_groups(
    records: Iterator[Record], header: Header, held: dict[str, list[Row]], complain: Complain
) -> Iterator[tuple[int, Group | None]]:
    """Each product, and None for one whose row can't be read, with the number of its row; at the end it is complained
    of variations without a parent."""
    seen: set[str] = set()
    waiting, last = set(held), 0
    for record in records:
        last = record.number
        broken = bool(record.broken)
        row = fit(record, header, complain)
        if row is None:
            if broken:
                yield record.number, None
            continue
        if VARIATION in types_of(row):
            continue
        names = [name for name in (row.get("sku"), f"id:{row.get('id')}" if row.get("id") else "") if name]
        if names and names[0] in seen:
            complain(Note(row.number, "sku", names[0], "another product of the file has this SKU already; skipped"))
            yield record.number, None
            continue
        seen.update(names[:1])
        variations = [variation for name in names for variation in held.get(name, ())]
        waiting.difference_update(names)
        yield record.number, Group(row, sorted(variations, key=lambda row: row.number))
    for row in (row for name in sorted(waiting) for row in held[name]):
        detail = "its parent is not in the file; variation skipped"
        complain(Note(min(row.number, last), "parent", row.get("parent"), detail))
