"""A Shopify export as a run of the importer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from apps.commerce.importing.mapped import Mapped
from apps.commerce.importing.rows import Header
from apps.commerce.importing.tables import TableImporter
from apps.commerce.importing.writing import Refused
from apps.commerce.shopify.columns import read_header
from apps.commerce.shopify.grouping import Group, read_groups
from apps.commerce.shopify.mapping import map_group
from apps.kernel.records import Record


class ShopifyImporter(TableImporter):
    def read_header(self, cells: Sequence[str]) -> Header:
        return read_header(cells)

    def grouped(self, records: Iterator[Record]) -> Iterator[tuple[int, Any]]:
        for number, group in read_groups(records, self.header, self.complain):
            yield number, Refused() if group.refusal else group

    def map(self, product: Group) -> Mapped:
        return map_group(product, self.target)
