"""What every importer shares: opening the file, the report of rows not taken as they are, and the summary."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Self, cast

import orjson

from apps.kernel import errors, text

_GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 64 * 1024
# Exports pack to a fifteenth at best, a file that is made to hurt to a thousandth. What is as large as this counts as
# little, packed or not.
HIGHEST_RATIO = 200
RATIO_COUNTS_FROM = 64 * 2**20
MOST_UNPACKED = 8 * 2**30
_SHOWN_VALUE_LENGTH = 200


class ImportRefused(errors.DomainError):
    """The file as a whole can't be imported; nothing was written."""

    code = "import_refused"


class Source:
    """A file to import, gunzipped on the fly. `size` and `position` count bytes of the file as it lies on disk."""

    def __init__(self, path: Path) -> None:
        """Raises ImportRefused when there is no such readable, non-empty file."""
        self.path = path
        try:
            self._file: BinaryIO = path.open("rb")
            self.size = path.stat().st_size
            magic = self._file.read(2)
        except OSError as error:
            raise ImportRefused(f'"{path}" can\'t be read: {error.strerror}. Give the path of a file.') from None
        if not magic:
            self._file.close()
            raise ImportRefused(f'"{path}" is empty.')
        self._file.seek(0)
        self.stream: BinaryIO = self._file
        if magic == _GZIP_MAGIC:
            self.stream = cast(BinaryIO, io.BufferedReader(_Unpacked(path, self._file), _PIECE))

    @property
    def position(self) -> int:
        return self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class _Unpacked(io.RawIOBase):
    """What a gzipped file holds, unless it unpacks to more than an export would."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file, self._gzip = path, file, gzip.GzipFile(fileobj=file)
        self._unpacked = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Raises ImportRefused beyond MOST_UNPACKED, and beyond HIGHEST_RATIO of what was read."""
        count = self._gzip.readinto(buffer)
        self._unpacked += count
        is_bomb = self._unpacked > max(RATIO_COUNTS_FROM, self._file.tell() * HIGHEST_RATIO)
        if is_bomb or self._unpacked > MOST_UNPACKED:
            raise ImportRefused(
                f'"{self._path}" unpacks to more than {self._unpacked - count:,} bytes, as no export of its size '
                "does. Export it again, or import the unpacked file."
            )
        return count


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was not taken as it stands. `row` counts data rows (CSV) or items (XML) from 1."""

    row: int
    column: str
    value: str
    problem: str


class Report:
    """Problems, written to a CSV or JSON file as they come (by its ending) and counted; flat in memory."""

    def __init__(self, path: Path | None) -> None:
        """Raises ImportRefused for another ending or a folder that can't be written."""
        self.path = path
        self.count = 0
        self.examples: list[Problem] = []
        self._file: IO[str] | None = None
        if path is None:
            return
        if path.suffix not in {".csv", ".json"}:
            raise ImportRefused(f'"{path}": the report is CSV or JSON by its ending; use .csv or .json.')
        try:
            self._file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise ImportRefused(f'"{path}" can\'t be written: {error.strerror}.') from None
        if path.suffix == ".csv":
            self._csv = csv.writer(self._file)
            self._csv.writerow(["row", "column", "value", "problem"])
        else:
            self._file.write("[")

    def add(self, *, row: int, column: str, value: object, problem: str) -> None:
        shown = "" if value is None else str(value)
        if len(shown) > _SHOWN_VALUE_LENGTH:
            shown = shown[:_SHOWN_VALUE_LENGTH] + "…"
        entry = Problem(row, column, shown, problem)
        self.count += 1
        if len(self.examples) < 5:
            self.examples.append(entry)
        if self._file is None or self.path is None:
            return
        if self.path.suffix == ".csv":
            self._csv.writerow([entry.row, *map(text.to_cell, (entry.column, entry.value, entry.problem))])
        else:
            self._file.write(",\n" if self.count > 1 else "\n")
            self._file.write(orjson.dumps(asdict(entry)).decode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            if self.path is not None and self.path.suffix == ".json":
                self._file.write("\n]\n")
            self._file.close()


class Tally:
    """What became of the objects of a file: `tally["products", "created"] += 1`."""

    OUTCOMES = ("created", "updated", "unchanged", "skipped")
    RARE_OUTCOMES = ("removed",)  # told only where it happened

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, outcome: str, count: int = 1) -> None:
        self.counts[kind, outcome] += count

    def lines(self) -> list[str]:
        """One line a kind: `products: 20 created, 0 updated, 0 unchanged, 1 skipped`."""
        return [
            f"{kind}: " + ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
            for kind, counts in self.as_dict().items()
        ]

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Counts by kind and outcome."""
        kinds = list(dict.fromkeys(kind for kind, _ in self.counts))
        return {kind: {outcome: self.counts[kind, outcome] for outcome in self._outcomes_of(kind)} for kind in kinds}

    def _outcomes_of(self, kind: str) -> list[str]:
        return [*self.OUTCOMES, *(outcome for outcome in self.RARE_OUTCOMES if self.counts[kind, outcome])]
