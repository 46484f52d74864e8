from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.consumers import status


class Command(BaseCommand):
    help = "Show the head of the log and how far each consumer is. Exit code 0."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    def handle(self, *args: Any, **options: Any) -> None:
        found = status.status()
        if options["json"]:
            self.stdout.write(json.dumps(found))
            return
        self.stdout.write(f"head {found['head']:,}, {found['unpositioned']:,} committed events without a position")
        self.stdout.write(f"relay at {found['relay']['position']:,}, {found['relay']['lag_events']:,} behind")
        for consumer in found["consumers"]:
            rebuild = ", NEEDS A REBUILD (its code changed)" if consumer["needs_rebuild"] else ""
            self.stdout.write(
                f"{consumer['name']} (generation {consumer['generation']}) at {consumer['position']:,}: "
                f"{consumer['lag_events']:,} events and {consumer['lag_seconds']:.1f} s behind, "
                f"{consumer['parked']:,} parked{rebuild}"
            )
