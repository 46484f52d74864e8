"""The file as it comes: bytes to lines, lines to records, records to the rows of one product after another."""

from __future__ import annotations

import codecs
import csv
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from gzip import BadGzipFile

from apps.commerce.shopify.columns import Header, read_header
from apps.kernel import text, validation
from apps.kernel.imports import ImportRefused, Report, Source

MAXIMUM_FIELD_LENGTH = 1_000_000
MAXIMUM_RECORD_LENGTH = 8 * 1024 * 1024
MAXIMUM_ROWS_OF_A_PRODUCT = 5_000
MAXIMUM_PRODUCT_LENGTH = 32 * 1024 * 1024
_PIECE = 64 * 1024
_SHOWN_OF_A_BROKEN_LINE = 10_000


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the file. `broken` says why it could not be split; then `cells` holds what its first line shows."""

    number: int
    cells: list[str]
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a product, by the names of `columns.NAMES`."""

    number: int
    cells: list[str]
    header: Header

    def get(self, key: str) -> str:
        """The trimmed cell; empty when the file has no such column."""
        index = self.header.fields.get(key)
        return "" if index is None else self.cells[index].strip()

    def line(self, key: str) -> str:
        """The cell as one line: exports break titles and names in the middle."""
        return text.to_one_line(self.get(key))


@dataclass(slots=True)
class Group:
    """The rows of one product, in order. With `refusal` it is not to be imported, and the report says why already."""

    handle: str
    rows: list[Row] = field(default_factory=list)
    refusal: bool = False
    length: int = 0


@dataclass(frozen=True, slots=True)
class Survey:
    header: Header
    rows: int


def survey(source: Source) -> Survey:
    """Look through the whole file before anything is written. Raises ImportRefused for a file that can't be read."""
    records = read_records(source)
    header = _header_of(records, source)
    return Survey(header, sum(1 for _ in records))


def read_groups(source: Source, report: Report) -> Iterator[tuple[int, Group]]:
    """Each product's rows with the number of the last one; what is wrong with rows as such goes to the report."""
    records = read_records(source)
    header = _header_of(records, source)
    grouping = _Grouping(header, report)
    for record in records:
        if (group := grouping.take(record)) is not None:
            yield record.number, group
    if (group := grouping.finish()) is not None:
        yield grouping.last_number, group


def read_records(source: Source) -> Iterator[Record]:
    """Every record, the header first with number 0. A record with broken quoting is one that says so.

    Raises ImportRefused for one that is longer than memory should hold.
    """
    csv.field_size_limit(MAXIMUM_FIELD_LENGTH)
    lines = _Lines(source)
    reader = csv.reader(lines, strict=True)
    number = 0
    while True:
        lines.mark()
        try:
            yield Record(number, next(reader))
        except StopIteration:
            return
        except _TooLong:
            raise ImportRefused(
                f'"{source.path}": row {number:,} is longer than {MAXIMUM_RECORD_LENGTH:,} bytes. Is this a product '
                "export? Perhaps a quote is missing; mend the file and import it again."
            ) from None
        except csv.Error as error:
            first, line_number = lines.give_back()
            cells = next(csv.reader([first[:_SHOWN_OF_A_BROKEN_LINE]]), [])
            yield Record(number, cells, broken=f"line {line_number}: {error}")
            reader = csv.reader(lines, strict=True)
        number += 1


class _TooLong(Exception):
    """A record exceeds MAXIMUM_RECORD_LENGTH."""


class _Lines:
    """Decoded lines with their ends; those read since the last mark can be given back. Raises _TooLong."""

    def __init__(self, source: Source) -> None:
        self._lines = _decode(source)
        self._taken: list[str] = []
        self._returned: deque[str] = deque()
        self._number = 0
        self._length = 0

    def mark(self) -> None:
        self._taken.clear()
        self._length = 0

    def give_back(self) -> tuple[str, int]:
        """Return all lines since the mark but the first, which is the answer, with its number in the file."""
        self._returned.extendleft(reversed(self._taken[1:]))
        self._number -= len(self._taken) - 1
        return self._taken[0], self._number

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self._taken.append(line)
        self._number += 1
        self._length += len(line)
        if self._length > MAXIMUM_RECORD_LENGTH:
            raise _TooLong
        return line


def _decode(source: Source) -> Iterator[str]:
    offset = 0
    try:
        for line in _split(source):
            start = len(codecs.BOM_UTF8) if offset == 0 and line.startswith(codecs.BOM_UTF8) else 0
            try:
                yield line[start:].decode("utf-8")
            except UnicodeDecodeError as error:
                at = offset + start + error.start
                raise ImportRefused(
                    f'"{source.path}" is not UTF-8: byte {at:,} is 0x{line[start + error.start]:02x}. '
                    "Save the file as UTF-8 and import it again."
                ) from None
            offset += len(line)
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise ImportRefused(f'"{source.path}" is damaged: {error}. Fetch the file again.') from None


def _split(source: Source) -> Iterator[bytes]:
    """Lines that end in LF, CRLF or CR, never more than a piece beyond MAXIMUM_RECORD_LENGTH in memory."""
    held = b""
    while piece := source.stream.readline(_PIECE):
        line = held + piece if held else piece
        held = b""
        is_whole = line.endswith(b"\n")
        if line.count(b"\r") > line.endswith(b"\r\n"):
            lines = line.splitlines(keepends=True)
            if not is_whole:
                held = lines.pop()  # also one that ends in CR: an LF may follow
            yield from lines
        elif is_whole:
            yield line
        else:
            held = line
        if len(held) > MAXIMUM_RECORD_LENGTH:
            raise _TooLong
    if held:
        yield held


def _header_of(records: Iterator[Record], source: Source) -> Header:
    first = next(records, None)
    if first is None or first.broken:
        raise ImportRefused(f'"{source.path}" has no readable header row{f": {first.broken}" if first else ""}.')
    return read_header(first.cells)


class _Grouping:
    """Consecutive rows with one handle are a product."""

    def __init__(self, header: Header, report: Report) -> None:
        self._header = header
        self._report = report
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
        if not handle:
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
        column = self._header.names[min(len(record.cells), self._width) - 1]
        detail = f'broken quoting ({record.broken}); double the quotes within a quoted cell. Product "{handle}" skipped'
        self._report.add(row=record.number, column=column, value=record.cells[-1], problem=detail)
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
        self._report.add(row=record.number, column=self._header.name(key), value=value, problem=problem)
