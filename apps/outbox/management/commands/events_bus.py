from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.events import bus
from apps.kernel.commands import readable_errors
from apps.outbox import cursors, models, readers, relay, sequencer


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Show the bus, fill it again from the log, or let go of a reader. The bus is transport: emptying it loses "
        "nothing. Exit codes: 0 done, 1 refused or the bus can't be reached."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="status|refill|retire")
        shown = actions.add_parser("status", help="streams, the relay and the declared readers")
        shown.add_argument("--json", action="store_true", help="machine-readable output")
        again = actions.add_parser("refill", help="empty the bus and have the relay publish again from a position")
        again.add_argument("--from", dest="start", type=_position, required=True, metavar="POSITION")
        gone = actions.add_parser("retire", help="no longer keep messages for a declared reader")
        gone.add_argument("reader", help="name of the reader")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            match options["action"]:
                case "status":
                    self._show(as_json=options["json"])
                case "refill":
                    relay.refill(bus.default(), start=options["start"])
                    self.stdout.write(f"The bus is empty; the relay publishes again from position {options['start']}.")
                case "retire":
                    readers.retire(options["reader"])
                    self.stdout.write(f"{options['reader']}: retired")
        except bus.BusUnavailable as error:
            raise CommandError(f"the bus can't be reached: {error}") from error

    def _show(self, *, as_json: bool) -> None:
        transport, head = bus.default(), sequencer.head()
        declared = list(models.BusReader.objects.order_by("name").values("name", "position"))
        streams: list[dict[str, int]] = [
            {"shard": shard.shard, "lane_low": shard.lane_low, "lane_high": shard.lane_high, "position": shard.position,
             "last": transport.last(shard=shard.shard) if shard.shard < transport.shards else 0}
            for shard in cursors.all_of(cursors.BUS)
        ]  # fmt: skip
        if as_json:
            self.stdout.write(json.dumps({"head": head, "streams": streams, "readers": declared}))
            return
        self.stdout.write(f"head {head}")
        for stream in streams:
            self.stdout.write(
                "stream {shard}, lanes {lane_low} to {lane_high}: relay at {position}, ends at {last}".format(**stream)
            )
        for reader in declared:
            self.stdout.write(f"reader {reader['name']} at {reader['position']}")
        if not declared:
            self.stdout.write("no declared readers")


def _position(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f'"{text}" is not a position: give a whole number from 1 on')
    return int(text)
