"""Products in tables: the header row, and records below it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.commerce.importing.mapped import Target
from apps.commerce.importing.rows import Header
from apps.commerce.importing.writing import ProductsImporter
from apps.kernel import records
from apps.kernel.imports import ImportRefused, Source


class TableImporter(ProductsImporter):
    """A subclass knows the columns, and which rows are a product."""

    def __init__(self, path: Path, target: Target, found: Mapping[str, Any], *, encoding: str = "") -> None:
        self._named_encoding = encoding
        super().__init__(path, target, found)

    @abstractmethod
    def read_header(self, cells: Sequence[str]) -> Header:
        """Raises ImportRefused for the header of another format."""

    @abstractmethod
    def grouped(self, rows: Iterator[records.Record]) -> Iterator[tuple[int, Any]]:
        """The records below the header as products: see `products`."""

    def survey(self, found: Mapping[str, Any]) -> None:
        if "encoding" in found:
            self.layout = records.Layout(found["encoding"], found["separator"], found["is_guess"])
            self.total = found["rows"]
            with Source(self.path) as source:
                self.header = self._header_of(records.read_records(source, self.layout))
        else:
            with Source(self.path) as source:
                self.layout = records.find_layout(source, encoding=self._named_encoding)
            with Source(self.path) as source:
                rows = records.read_records(source, self.layout)
                self.header = self._header_of(rows)
                self.total = sum(1 for _ in rows)
        self._found = {
            "encoding": self.layout.encoding,
            "separator": self.layout.separator,
            "is_guess": self.layout.is_guess,
            "rows": self.total,
        }

    def products(self, source: Source) -> Iterator[tuple[int, Any]]:
        rows = records.read_records(source, self.layout)
        self._header_of(rows)
        yield from self.grouped(rows)

    def _header_of(self, rows: Iterator[records.Record]) -> Header:
        first = next(rows, None)
        if first is None or first.broken:
            raise ImportRefused(f'"{self.path}" has no readable header row{f": {first.broken}" if first else ""}.')
        return self.read_header(first.cells)
