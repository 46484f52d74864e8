"""Tables as they come: bytes to lines in whatever encoding, lines to records with whatever separator."""

from __future__ import annotations

import codecs
import csv
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from gzip import BadGzipFile

from apps.kernel import encodings
from apps.kernel.imports import ImportRefused, Source

MAXIMUM_FIELD_LENGTH = 1_000_000
MAXIMUM_RECORD_LENGTH = 8 * 1024 * 1024
# As many as a spreadsheet has rows; of a longer file half may be blank.
MOST_BLANK_ROWS = 1_048_576
SEPARATORS = (",", ";", "\t", "|")
_PIECE = 64 * 1024
_SHOWN_OF_A_BROKEN_LINE = 10_000
_NAMED_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?')
_IS_SEP = re.compile(r"sep=[,;\t|]?")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read: see `find_layout`."""

    encoding: str
    separator: str
    is_guess: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the file. `broken` says why it could not be split; then `cells` holds what its first line shows."""

    number: int
    cells: list[str]
    broken: str = ""


def find_layout(source: Source, *, encoding: str = "") -> Layout:
    """Look through the whole file for its encoding, and at its first line for what separates columns.

    Raises ImportRefused.
    """
    found = encodings.detect(source, named=encoding)
    with Source(source.path) as again:
        try:
            first, named = _first_line(again, _text_lines(again, found.name))
        except _TooLong:
            raise ImportRefused(
                f'"{source.path}": its first row is longer than {MAXIMUM_RECORD_LENGTH:,} bytes. Is this a table?'
            ) from None
    return Layout(found.name, named or _separator(first), found.is_guess)


def read_records(source: Source, layout: Layout) -> Iterator[Record]:
    """Every record, the header first with number 0. A record with broken quoting is one that says so.

    Raises ImportRefused for one that is longer than memory should hold, and where most of very many are blank.
    """
    csv.field_size_limit(MAXIMUM_FIELD_LENGTH)
    lines = _Lines(source, layout)
    reader = csv.reader(lines, strict=True, delimiter=layout.separator)
    number = blank = 0
    while True:
        lines.mark()
        try:
            cells = next(reader)
            if not any(cell.strip() for cell in cells):
                blank += 1
                if 2 * blank - number > MOST_BLANK_ROWS:
                    raise _blank(source, blank)
            if number == 0 and _is_before_header(cells):
                continue
            yield Record(number, cells)
        except StopIteration:
            return
        except _TooLong:
            raise ImportRefused(
                f'"{source.path}": row {number:,} is longer than {MAXIMUM_RECORD_LENGTH:,} bytes. Is this a product '
                "export? Perhaps a quote is missing; mend the file and import it again."
            ) from None
        except csv.Error as error:
            reader = csv.reader(lines, strict=True, delimiter=layout.separator)
            if lines.mend():
                continue
            first, line_number = lines.give_back()
            shown = csv.reader([first[:_SHOWN_OF_A_BROKEN_LINE]], delimiter=layout.separator)
            yield Record(number, _shown(shown), broken=_reason(error, line_number))
            reader = csv.reader(lines, strict=True, delimiter=layout.separator)
        number += 1


def read_lines(source: Source, layout: Layout) -> Iterator[str]:
    """The lines of a file that is no table. Raises ImportRefused."""
    try:
        yield from _text_lines(source, layout.encoding)
    except _TooLong:
        raise ImportRefused(f'"{source.path}" has a line longer than {MAXIMUM_RECORD_LENGTH:,} bytes.') from None


def fitted(record: Record, width: int, complain: Callable[[Record, str], None]) -> list[str] | None:
    """The cells at the width of the header; None where the row is blank, broken or too wide, which is complained of."""
    if record.broken:
        complain(record, f"{record.broken}. Row skipped")
        return None
    if not any(cell.strip() for cell in record.cells):
        return None
    if any(cell.strip() for cell in record.cells[width:]):
        complain(record, f"the row has {len(record.cells)} columns where the header has {width}; row skipped")
        return None
    if len(record.cells) < width:
        complain(record, f"the row has {len(record.cells)} of {width} columns; the others are taken as empty")
    return record.cells[:width] + [""] * (width - len(record.cells))


def _first_line(source: Source, lines: Iterator[str]) -> tuple[str, str]:
    """The first line with something in it, and the separator that a line before it names, as spreadsheets write it."""
    named = ""
    for number, line in enumerate(lines):
        if match := _NAMED_SEPARATOR.fullmatch(line.strip("\r\n ")):
            named = match[1]
        elif line.strip():
            return line, named
        elif number >= MOST_BLANK_ROWS:
            raise _blank(source, number)
    return "", named


def _is_before_header(cells: Sequence[str]) -> bool:
    return not any(cell.strip() for cell in cells) or (_IS_SEP.fullmatch(cells[0]) is not None and not any(cells[1:]))


def _blank(source: Source, count: int) -> ImportRefused:
    return ImportRefused(f'"{source.path}" has {count:,} blank rows; delete them and import it again.')


def _reason(error: csv.Error, line_number: int) -> str:
    if "field larger" in str(error):
        return f"a cell is longer than {MAXIMUM_FIELD_LENGTH:,} characters (line {line_number})"
    return f"broken quoting (line {line_number}: {error}); double the quotes within a quoted cell"


def _shown(reader: Iterator[list[str]]) -> list[str]:
    try:
        return next(reader, [])
    except csv.Error:
        return []


class _TooLong(Exception):
    """A record exceeds MAXIMUM_RECORD_LENGTH."""


class _Lines:
    """Decoded lines with their ends; those read since the last mark can be given back. Raises _TooLong."""

    def __init__(self, source: Source, layout: Layout) -> None:
        self._lines = _text_lines(source, layout.encoding)
        # Blanks that align the columns of a file, after a closing quote, where no more than a separator may follow.
        self._padding = re.compile(rf'(?<!")"[ \t]+(?={re.escape(layout.separator)}|\r|\n|$)')
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

    def mend(self) -> bool:
        """Return all lines since the mark without padding after quotes; False where there is none to take away."""
        mended = [self._padding.sub('"', line) for line in self._taken]
        if mended == self._taken:
            return False
        self._returned.extendleft(reversed(mended))
        self._number -= len(mended)
        return True

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


def _separator(first: str) -> str:
    outside = _QUOTED.sub("", first)
    counts = {separator: outside.count(separator) for separator in SEPARATORS}
    most = max(counts, key=lambda separator: counts[separator])
    return most if counts[most] else ","


def _text_lines(source: Source, encoding: str) -> Iterator[str]:
    """Lines with their ends, as text. Raises ImportRefused."""
    if encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
        # Their ends are no single bytes.
        decoded = codecs.iterdecode(iter(lambda: source.stream.read(_PIECE), b""), encoding)
        yield from (line.decode("utf-8") for line in _split(piece.encode("utf-8") for piece in decoded))
        return
    offset = 0
    try:
        for line in _split(iter(lambda: source.stream.readline(_PIECE), b"")):
            start = len(codecs.BOM_UTF8) if offset == 0 and line.startswith(codecs.BOM_UTF8) else 0
            try:
                yield line[start:].decode("utf-8" if encoding == "utf-8-sig" else encoding)
            except UnicodeDecodeError as error:
                at = offset + start + error.start
                raise ImportRefused(
                    f'"{source.path}" is not {encoding}: byte {at:,} is 0x{line[start + error.start]:02x}. '
                    "Save the file as UTF-8 and import it again."
                ) from None
            offset += len(line)
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise ImportRefused(f'"{source.path}" is damaged: {error}. Fetch the file again.') from None


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines that end in LF, CRLF or CR, never more than a piece beyond MAXIMUM_RECORD_LENGTH in memory."""
    held = b""
    for piece in pieces:
        line = held + piece if held else piece
        held = b""
        is_whole = line.endswith(b"\n")
        if line.count(b"\r") > line.endswith(b"\r\n") or line.count(b"\n") > is_whole:
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
