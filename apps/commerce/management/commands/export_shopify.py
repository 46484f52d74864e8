from __future__ import annotations

import csv
from typing import IO

from apps.commerce import models, snapshots
from apps.commerce.exporting import shopify
from apps.commerce.exporting.commanding import ExportCommand
from apps.commerce.importing.mapped import Target


class Command(ExportCommand):
    help = (
        "Write the products of a tenant as a Shopify product CSV, which Shopify takes and import_shopify reads back. "
        "What it has no place for is named. Cells are written as they are: take care with the file in a spreadsheet."
    )

    def begin(self, file: IO[str], target: Target) -> None:
        self._target, self._paths = target, shopify.paths_of(target.locale)
        self._extras = shopify.find_extras()
        location = models.StockLocation.objects.filter(code=target.location).first()
        self._location_id = location.id if location else None
        self._writer = csv.DictWriter(file, self._extras.columns())
        self._writer.writeheader()

    def write(self, file: IO[str], page: list[snapshots.Snapshot]) -> None:
        for snapshot in page:
            for problem in shopify.what_is_lost(snapshot, self._target, self._paths):
                self.tell(f"{snapshot.product.external_id or snapshot.id}: {problem}.")
            self._writer.writerows(
                shopify.rows(
                    snapshot,
                    target=self._target,
                    location_id=self._location_id,
                    paths=self._paths,
                    extras=self._extras,
                )
            )
