from __future__ import annotations

import json
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.consumers import models, operations
from apps.kernel import context
from apps.kernel.commands import readable_errors


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Show, retry or skip events that could not be applied. An aggregate waits from its first such event on; all "
        "others go on. Every retry and skip is recorded. Exit codes: 0 done, 1 refused, 3 something is still parked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|retry|skip")
        shown = actions.add_parser("list", help="what is parked")
        again = actions.add_parser("retry", help="apply it again, in order")
        over = actions.add_parser("skip", help="pass one event over for good, in every generation")
        shown.add_argument("--consumer", metavar="NAME", help="only of this consumer")
        again.add_argument("consumer", help="name of the consumer")
        again.add_argument("--aggregate", metavar="ID", help="only this aggregate (its UUID)")
        again.add_argument("--reason", default="", help="kept with the action")
        over.add_argument("consumer", help="name of the consumer")
        over.add_argument("--position", type=int, required=True, help="position of the event")
        over.add_argument("--reason", required=True, help="kept with the action")
        for action in (shown, again, over):
            action.add_argument("--json", action="store_true", help="machine-readable output")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        with context.use(actor="command:events_park"):
            if options["action"] == "list":
                self._list(options)
                return
            if options["action"] == "retry":
                aggregate_id = _uuid(options["aggregate"]) if options["aggregate"] else None
                done = operations.retry(
                    consumer=options["consumer"], aggregate_id=aggregate_id, reason=options["reason"]
                )
            else:
                done = operations.skip(
                    consumer=options["consumer"], position=options["position"], reason=options["reason"]
                )
        if options["json"]:
            self.stdout.write(
                json.dumps({"released": done.released, "still_parked": done.still_parked, "error": done.error})
            )
        else:
            self.stdout.write(str(done))
        if done.still_parked:
            raise SystemExit(3)

    def _list(self, options: dict[str, Any]) -> None:
        rows = models.Parked.objects.order_by("consumer", "generation", "position")
        if options["consumer"]:
            operations.get(options["consumer"])
            rows = rows.filter(consumer=options["consumer"])
        if options["json"]:
            fields = ("consumer", "generation", "tenant_id", "aggregate_type", "aggregate_id", "position", "attempts")
            more = ("state", "error", "reason", "parked_at")
            self.stdout.write(json.dumps(list(rows.values(*fields, *more)), default=str))
            return
        for row in rows:
            why = f"skipped: {row.reason}" if row.state == "skipped" else row.error
            self.stdout.write(
                f"{row.consumer} generation {row.generation}, position {row.position:,}: {row.aggregate_type} "
                f"{row.aggregate_id} of tenant {row.tenant_id}, {row.attempts} attempts, {why}"
            )
        if not rows:
            self.stdout.write("Nothing is parked.")


def _uuid(value: str) -> uuid.UUID:
    try:
        return uuid.UUID(value)
    except ValueError:
        raise CommandError(f'--aggregate: "{value}" is not a UUID; events_park list shows the ids.') from None
