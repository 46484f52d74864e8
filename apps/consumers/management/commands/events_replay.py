from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.consumers import effects, operations, projections, replay
from apps.kernel.commands import readable_errors
from apps.kernel.progress import Progress


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Send a range of the log through consumers once more. Projections build every aggregate the range touches "
        "anew; effects stay silent and tell how much they would have done. "
        "Exit codes: 0 replayed, 1 refused or failed, 130 interrupted (the message tells where to go on)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        start = parser.add_mutually_exclusive_group(required=True)
        start.add_argument("--from", dest="first", type=int, metavar="POSITION", help="first position")
        start.add_argument("--since", metavar="TIME", help="first position handed out at or after this ISO 8601 time")
        parser.add_argument("--to", dest="last", type=int, metavar="POSITION", help="last position (default: the head)")
        parser.add_argument(
            "--consumer", action="append", metavar="NAME", help="may be repeated (default: all projections)"
        )
        parser.add_argument("--rate", type=float, metavar="N", help="most events a second (default: unlimited)")
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if options["rate"] is not None and options["rate"] <= 0:
            raise CommandError(f"--rate {options['rate']}: give a number of events a second above 0.")
        start = options["first"] if options["since"] is None else replay.position_at(_moment(options["since"]))
        first, last = replay.check_range(start, options["last"])
        named = [operations.get(name) for name in options["consumer"] or ()]
        consumers: list[projections.Projection | effects.Effect] = named or [*projections.all_projections()]
        results = []
        for consumer in consumers:
            progress = Progress(
                consumer.name, unit="positions", total=last - first + 1, quiet=options["quiet"] or options["json"]
            )
            reached = first - 1

            def show(position: int, progress: Progress = progress) -> None:
                nonlocal reached
                reached = position
                progress.to(position - first + 1)

            try:
                done = replay.replay(consumer, first=first, last=last, rate=options["rate"], on_progress=show)
            except KeyboardInterrupt:
                self.stderr.write(
                    f"{consumer.name}: interrupted; go on with --from {reached + 1} --consumer {consumer.name}"
                )
                raise SystemExit(130) from None
            progress.finish()
            results.append(asdict(done))
            if not options["json"]:
                what = (
                    f"{done.aggregates:,} aggregates built anew"
                    if isinstance(consumer, projections.Projection)
                    else f"{done.suppressed:,} effects suppressed, 0 written"
                )
                self.stdout.write(f"{done.consumer}: positions {first:,} to {last:,}, {done.events:,} events, {what}")
        if options["json"]:
            self.stdout.write(json.dumps(results))


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise CommandError(f'--since: "{value}" is not an ISO 8601 time such as 2026-01-31T12:00:00+00:00.') from None
    return moment if moment.tzinfo else timezone.make_aware(moment)
