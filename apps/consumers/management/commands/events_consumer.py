from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.consumers import operations
from apps.kernel import context
from apps.kernel.commands import readable_errors

CHANGES = {
    "pause": (operations.pause, "paused"),
    "retire": (operations.retire, "retired"),
    "start": (operations.start, "started"),
}


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Pause a consumer, retire one that nothing should wait for any more, or start one that was paused, retired or "
        "stopped itself; each is recorded. Exit codes: 0 done, 1 refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=list(CHANGES))
        parser.add_argument("consumer", help="name of the consumer")
        parser.add_argument("--reason", required=True, help="kept with the action")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        change, done = CHANGES[options["action"]]
        with context.use(actor="command:events_consumer"):
            change(consumer=options["consumer"], reason=options["reason"])
        self.stdout.write(f"{options['consumer']}: {done}")
