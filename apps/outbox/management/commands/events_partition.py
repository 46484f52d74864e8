from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from apps.kernel.commands import readable_errors
from apps.outbox import partitions


class Command(BaseCommand):
    help = (
        "Look after the partitions of the log. list: what there is; ensure: make those of the coming time and bring "
        "home rows that had to do without one. Exit codes: 0 done, 1 refused (nothing is lost, try again), 3 rows "
        "stand in a default partition (list)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|ensure")
        shown = actions.add_parser("list", help="the partitions, and rows that stand in none")
        made = actions.add_parser("ensure", help="make the partitions of the coming time")
        made.add_argument("--dry-run", action="store_true", help="tell what would be made and do nothing")
        for action in (shown, made):
            action.add_argument("--json", action="store_true", help="machine-readable output")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        {"list": self._list, "ensure": self._ensure}[options["action"]](options)

    def _list(self, options: dict[str, Any]) -> None:
        strays = partitions.count_strays()
        found = {table.name: partitions.leaves(table) for table in (partitions.LOG, partitions.POSITION)}
        if options["json"]:
            tables = {name: [asdict(leaf) for leaf in leaves] for name, leaves in found.items()}
            self.stdout.write(json.dumps({"partitions": tables, "strays": strays}))
        else:
            for leaf in (leaf for leaves in found.values() for leaf in leaves):
                size = leaf.bytes / 2**20
                self.stdout.write(f"{leaf.name}: {leaf.low:,} to {leaf.high - 1:,}, {size:,.1f} MiB")
            for name, count in strays.items():
                if count:
                    self.stderr.write(f"{name}: {count:,} ROWS WITHOUT A PARTITION; run events_partition ensure")
        if any(strays.values()):
            raise SystemExit(3)

    def _ensure(self, options: dict[str, Any]) -> None:
        made = partitions.ensure(is_dry_run=options["dry_run"])
        if options["json"]:
            self.stdout.write(json.dumps([asdict(entry) for entry in made]))
            return
        verb = "would be made" if options["dry_run"] else "made"
        for entry in made:
            rescued = f", {entry.rescued:,} rows from the default partition" if entry.rescued else ""
            self.stdout.write(f"{entry.name}: {entry.low:,} to {entry.high - 1:,} {verb}{rescued}")
        if not made:
            self.stdout.write("There are enough partitions.")
