from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.consumers import status
from apps.kernel.commands import readable_errors
from apps.outbox import sequencer


class Command(BaseCommand):
    tenancy = "platform"
    help = "Show the head of the log and how far each consumer is. Exit code 0."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        found = status.status()
        if options["json"]:
            self.stdout.write(json.dumps(found))
            return
        if found["is_foreign"]:
            self.stderr.write(sequencer.FOREIGN)
        for table, count in found["strays"].items():
            if count:
                self.stderr.write(f"{table}: {count:,} ROWS WITHOUT A PARTITION; run events_partition ensure")
        self.stdout.write(f"head {found['head']:,}, {found['unpositioned']:,} committed events without a position")
        self.stdout.write(f"relay at {found['relay']['position']:,}, {found['relay']['lag_events']:,} behind")
        for consumer in found["consumers"]:
            self.stdout.write(_consumer(consumer))
        for generation in found["generations"]:
            if generation["state"] != "live":
                self.stdout.write(_generation(generation))


def _consumer(found: dict[str, Any]) -> str:
    shards = f" in {found['shards']} shards" if found["shards"] > 1 else ""
    parts = [
        f"{found['name']} (generation {found['generation']}{shards}) at {found['position']:,}: "
        f"{found['lag_events']:,} events and {found['lag_seconds']:.1f} s behind",
        f"{found['parked']:,} parked",
    ]
    if "effects" in found:
        parts += [f"effects above {found['effect_floor']:,}:"]
        parts[-1] += "".join(f" {count:,} {state}" for state, count in found["effects"].items())
    if found["status"] != "active":
        parts.append(f"{found['status'].upper()}: {found['reason']}")
    if found["needs_rebuild"]:
        parts.append("NEEDS A REBUILD (its code changed)")
    return ", ".join(parts)


def _generation(found: dict[str, Any]) -> str:
    built = f", {found['built_share']:.0%} of its lanes folded" if found["state"] == "building" else ""
    wanted = ", a worker builds it" if found["is_wanted"] else ""
    problem = f", {found['problem']}" if found["problem"] else ""
    return (
        f"{found['projection']} generation {found['number']} (code {found['code_version']}, "
        f"from the {found['source']}) is {found['state']} at {found['position']:,}{built}{wanted}{problem}"
    )
