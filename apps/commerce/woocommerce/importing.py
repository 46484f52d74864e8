"""A WooCommerce export as a run of the importer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from apps.commerce.importing.mapped import Mapped
from apps.commerce.importing.rows import Header
from apps.commerce.importing.tables import TableImporter
from apps.commerce.importing.writing import Refused
from apps.commerce.woocommerce.columns import read_header
from apps.commerce.woocommerce.grouping import Group, hold_variations, read_groups
from apps.commerce.woocommerce.mapping import map_group
from apps.kernel.imports import Source
from apps.kernel.records import Record, read_records


class WooCommerceImporter(TableImporter):
    def read_header(self, cells: Sequence[str]) -> Header:
        return read_header(cells)

    def grouped(self, records: Iterator[Record]) -> Iterator[tuple[int, Any]]:
        with Source(self.path) as again:
            others = read_records(again, self.layout)
            next(others, None)
            held = hold_variations(others, self.header)
        for number, group in read_groups(records, self.header, held, self.complain):
            yield number, group or Refused()

    def map(self, product: Group) -> Mapped:
        return map_group(product, self.target, self.now)
