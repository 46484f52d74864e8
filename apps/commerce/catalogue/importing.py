"""A catalogue with its map as a run of the importer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from apps.commerce.catalogue import reading
from apps.commerce.catalogue.mapping import map_group
from apps.commerce.catalogue.maps import Map, columns_of
from apps.commerce.importing.mapped import Mapped, Target
from apps.commerce.importing.rows import Header, Row
from apps.commerce.importing.writing import ProductsImporter, Refused
from apps.kernel import records
from apps.kernel.imports import ImportRefused, Source

_BY_LINE = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
_AS_ONE = (".json", ".json.gz")


class CatalogueImporter(ProductsImporter):
    def __init__(self, path: Path, map: Map, target: Target, found: Mapping[str, Any]) -> None:
        self.how = map
        super().__init__(path, target, found)

    def survey(self, found: Mapping[str, Any]) -> None:
        self._kind = self.how.file.kind or _kind_of(self.path)
        if self._kind != "table":
            columns = columns_of(self.how)
            self.header = Header(columns, {}, {name: index for index, name in enumerate(columns)})
            self.total = sum(1 for _ in reading.objects(self.path, self.how, is_by_line=self._kind == "ndjson"))
            return
        with Source(self.path) as source:
            self._layout = records.find_layout(source, encoding=self.how.file.encoding)
        with Source(self.path) as source:
            rows = records.read_records(source, self._layout)
            self.header = self._header_of(rows)
            self.total = sum(1 for _ in rows)
        self._found = {"encoding": self._layout.encoding, "is_guess": self._layout.is_guess}

    def products(self, source: Source) -> Iterator[tuple[int, Any]]:
        rows = self._table(source) if self._kind == "table" else self._objects()
        for number, group in reading.read_groups(rows, self.how, self.complain):
            yield number, Refused() if group.refusal else group

    def map(self, product: reading.Group) -> Mapped:
        return map_group(product, self.how, self.target)

    def _table(self, source: Source) -> Iterator[Row]:
        found = records.read_records(source, self._layout)
        self._header_of(found)
        for record in found:
            row = records.fitted(record, len(self.header.names), self.complain_of)
            if row is not None:
                yield Row(record.number, row, self.header)

    def _objects(self) -> Iterator[Row]:
        found = reading.objects(self.path, self.how, is_by_line=self._kind == "ndjson")
        for number, entry in enumerate(found, start=1):
            yield Row(number, reading.cells_of(entry, self.header.names), self.header)

    def _header_of(self, rows: Iterator[records.Record]) -> Header:
        first = next(rows, None)
        if first is None or first.broken:
            raise ImportRefused(f'"{self.path}" has no readable header row.')
        return reading.header_of(self.how, [cell.strip() for cell in first.cells])


def _kind_of(path: Path) -> str:
    name = path.name.lower()
    return "ndjson" if name.endswith(_BY_LINE) else "json" if name.endswith(_AS_ONE) else "table"
