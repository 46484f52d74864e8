from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.consumers import operations
from apps.kernel import context
from apps.kernel.commands import readable_errors


class Command(BaseCommand):
    help = (
        "Pause a consumer, or start one that was paused or stopped itself; both are recorded. Exit codes: 0 done, "
        "1 refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["pause", "start"])
        parser.add_argument("consumer", help="name of the consumer")
        parser.add_argument("--reason", required=True, help="kept with the action")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        change = operations.pause if options["action"] == "pause" else operations.start
        with context.use(actor="command:events_consumer"):
            change(consumer=options["consumer"], reason=options["reason"])
        self.stdout.write(f"{options['consumer']}: {'paused' if options['action'] == 'pause' else 'started'}")
