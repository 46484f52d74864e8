from __future__ import annotations

import json
import math
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.consumers import status
from apps.kernel.commands import readable_errors


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Prove the log and the read models: positions are 1..N, every committed event has one, versions are in order, "
        "documents equal the fold of the log. Exit codes: 0 all promises hold, 1 some are broken (each is named)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        parser.add_argument(
            "--wait",
            type=float,
            default=30,
            metavar="SECONDS",
            help="how long running workers may take for what was committed before (default: 30; 0: not at all)",
        )

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["wait"] < math.inf:
            raise CommandError(f"--wait {options['wait']:g}: give 0 or more seconds.")
        quiet = options["json"]
        broken = status.verify(
            wait_seconds=options["wait"], report=lambda line: None if quiet else self.stdout.write(line)
        )
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not broken, "broken": broken}))
        elif broken:
            for line in broken:
                self.stderr.write(f"BROKEN: {line}")
        else:
            self.stdout.write("All promises hold.")
        if broken:
            sys.exit(1)
