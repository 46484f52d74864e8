"""The rows of one product after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from apps.commerce.importing.mapped import Note
from apps.commerce.importing.rows import Header, Row
from apps.kernel import text, validation
from apps.kernel.records import Record

MAXIMUM_ROWS_OF_A_PRODUCT = 5_000
MAXIMUM_PRODUCT_LENGTH = 32 * 1024 * 1024

type Complain = Callable[[Note], None]


@dataclass(slots=True)
class Group:
    """The rows of one product, in order. With `refusal` it is not to be imported, and the report says why already."""

    handle: str
    rows: list[Row] = field(default_factory=list)
    refusal: bool = False
    length: int = 0


def read_groups(records: Iterator[Record], header: Header, complain: Complain) -> Iterator[tuple[int, Group]]:
    """Each product's rows with the number of the last one; what is wrong with rows as such is complained of."""
    grouping = _Grouping(header, complain)
    for record in records:
        if (group := grouping.take(record)) is not None:
            yield record.number - 1, group
    if (group := grouping.finish()) is not None:
        yield grouping.last_number, group


class _Grouping:
    """Consecutive rows with one handle are a product."""

    def __init__(self, header: Header, complain: Complain) -> None:
        self._header = header
        self._tell = complain
        self._width = len(header.names)
        self._handle_index = header.fields["handle"]
        self._group: Group | None = None
        self._seen: set[int] = set()
        self._is_lost = False
        self.last_number = 0

    def take(self, record: Record) -> Group | None:
        """The product that this row ends, if it does."""
        self.last_number = record.number
        handle = record.cells[self._handle_index].strip() if len(record.cells) > self._handle_index else ""
        if record.broken:
            return self._take_broken(record, handle)
        if not any(cell.strip() for cell in record.cells):
            return None
        if self._is_lost and (len(record.cells) != self._width or not handle):
            return None  # the remains of a broken row
        self._is_lost = False
        cells = self._fit(record)
        if not handle and not (handle := self._handle_of_title(record, cells)):
            self._complain(record, "handle", "", "the row has no handle, so it belongs to no product; row skipped")
            return None
        ended = self._turn_to(handle, record) if self._group is None or self._group.handle != handle else None
        group = self._group
        if group is None:
            raise RuntimeError("a row always belongs to a group here")
        if cells is None:
            group.refusal = True
        elif not group.refusal:
            group.rows.append(Row(record.number, cells, self._header))
            group.length += sum(map(len, cells))
            if len(group.rows) > MAXIMUM_ROWS_OF_A_PRODUCT or group.length > MAXIMUM_PRODUCT_LENGTH:
                limit = f"{MAXIMUM_ROWS_OF_A_PRODUCT:,} rows or {MAXIMUM_PRODUCT_LENGTH:,} characters"
                self._complain(record, "handle", handle, f"more than {limit}; product skipped")
                group.refusal = True
                group.rows.clear()
        return ended

    def finish(self) -> Group | None:
        group, self._group = self._group, None
        return group

    def _take_broken(self, record: Record, handle: str) -> Group | None:
        """The product of the row is refused, and lines are passed over until a whole row comes, or another broken one
        that looks like the start of a product."""
        is_start = len(record.cells) > 2 and validation.fits(validation.Slug, handle)
        if self._is_lost and not is_start:
            return None
        self._is_lost = True
        column = self._header.names[max(min(len(record.cells), self._width) - 1, 0)]
        value = record.cells[-1] if record.cells else ""
        self._tell(Note(record.number, column, value, f'{record.broken}. Product "{handle}" skipped'))
        ended = self._turn_to(handle, record) if self._group is None or self._group.handle != handle else None
        if self._group is not None:
            self._group.refusal = True
        return ended

    def _turn_to(self, handle: str, record: Record) -> Group | None:
        ended = self.finish()
        self._group = Group(handle)
        key = hash(handle)
        if key in self._seen:
            self._complain(
                record, "handle", handle, "the handle comes back after another product; these rows are skipped"
            )
            self._group.refusal = True
        self._seen.add(key)
        return ended

    def _fit(self, record: Record) -> list[str] | None:
        """The cells at the width of the header, or None where there is something beyond it."""
        cells, missing = record.cells, self._width - len(record.cells)
        if missing > 0:
            detail = f"the row has {len(cells)} of {self._width} columns; the others are taken as empty"
            self._complain(record, "handle", cells[0], detail)
            return cells + [""] * missing
        if missing < 0 and any(cell.strip() for cell in cells[self._width :]):
            detail = f"the row has {len(cells)} columns where the header has {self._width}; product skipped"
            self._complain(record, "handle", cells[self._width], detail)
            return None
        return cells[: self._width] if missing < 0 else cells

    def _complain(self, record: Record, key: str, value: str, problem: str) -> None:
        self._tell(Note(record.number, key, value, problem))

    def _handle_of_title(self, record: Record, cells: list[str] | None) -> str:
        """What Shopify would make of the title where the row has one; rows with one title are one product."""
        title = Row(record.number, cells, self._header).line("title") if cells else ""
        handle = text.to_slug(title)
        if handle:
            self._complain(record, "handle", "", f'the row has no handle; taken as "{handle}", of its title')
        return handle
