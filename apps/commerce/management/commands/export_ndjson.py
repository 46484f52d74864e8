from __future__ import annotations

from typing import IO

from apps.commerce import snapshots
from apps.commerce.api import shown
from apps.commerce.exporting.commanding import ExportCommand
from apps.kernel import streaming


class Command(ExportCommand):
    help = "Write the products of a tenant as NDJSON, a product a line, as the management API shows them."

    def write(self, file: IO[str], page: list[snapshots.Snapshot]) -> None:
        file.write(streaming.NDJSON.lines([shown.product(snapshot) for snapshot in page]).decode())
