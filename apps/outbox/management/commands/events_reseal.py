from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from apps.kernel.commands import readable_errors
from apps.outbox import resealing


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Begin a new epoch of the log after the database was restored from a dump or upgraded with pg_upgrade: every "
        "event gets its position, and positions go on. Does nothing when there is no need. Exit codes: 0 the log is in "
        "order, 1 refused because transactions are writing events (they are named)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        done = resealing.reseal()
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
        elif done.is_new:
            self.stdout.write(
                f"Epoch {done.epoch} begins: {done.positioned:,} events were without a position, "
                f"the head is {done.position:,}."
            )
        else:
            self.stdout.write(f"Nothing to do: epoch {done.epoch} is of this cluster, the head is {done.position:,}.")
