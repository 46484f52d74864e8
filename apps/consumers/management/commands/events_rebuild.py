from __future__ import annotations

import json
import uuid
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.consumers import generations, healing, operations, projections, rebuild
from apps.kernel.commands import readable_errors
from apps.kernel.progress import Progress


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Rebuild projections beside the live ones, then swap; readers never notice and nothing is told to the outside. "
        "May be stopped at any moment and taken up with --resume; the former generation stays for --rollback. "
        "Exit codes: 0 done, 1 refused or failed (the live generation is untouched), 130 interrupted (resume it)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("projection", nargs="*", help="names of projections; all when none is given")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--tenant", metavar="ID", help="only this tenant (its UUID), in place in the live generation")
        what.add_argument("--aggregate", metavar="TENANT/ID", help="only this aggregate (two UUIDs), in place")
        what.add_argument("--resume", action="store_true", help="go on with the unfinished generation")
        what.add_argument("--rollback", action="store_true", help="make the generation that was live before live again")
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--from-log", dest="source", action="store_const", const="log", help="fold all events")
        source.add_argument(
            "--from-state",
            dest="source",
            action="store_const",
            const="state",
            help="render the states the live generation has kept; right when only the rendering changed",
        )
        parser.set_defaults(source="log")
        parser.add_argument("--shards", type=int, default=1, metavar="N", help="processes that fold (default: 1)")
        parser.add_argument("--no-swap", action="store_true", help="stop when the generation is ready")
        parser.add_argument(
            "--accept-parked", action="store_true", help="swap even when aggregates that were readable can't be folded"
        )
        parser.add_argument("--dry-run", action="store_true", help="tell what would be done and do nothing")
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        parser.add_argument("--quiet", action="store_true", help="no progress")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            wanted = [projections.get(name) for name in options["projection"]] or projections.all_projections()
        except LookupError as error:
            raise CommandError(str(error)) from None
        if not 1 <= options["shards"] <= 64:
            raise CommandError(
                f"--shards {options['shards']}: give 1 to 64 processes, about as many as there are cores."
            )
        wanted = _those_concerned(wanted, options)
        results = []
        for projection in wanted:
            try:
                results.append(self._one(projection, options))
            except KeyboardInterrupt:
                self.stderr.write(
                    f"{projection.name}: interrupted; go on with events_rebuild {projection.name} --resume"
                )
                raise SystemExit(130) from None
        if options["json"]:
            self.stdout.write(json.dumps(results))

    def _one(self, projection: projections.Projection, options: dict[str, Any]) -> dict[str, Any]:
        if options["dry_run"]:
            return self._tell_forecast(projection, options)
        if options["tenant"] or options["aggregate"]:
            return self._heal(projection, options)
        if options["rollback"]:
            number = operations.roll_back(projection=projection, reason="events_rebuild --rollback")
            self._say(options, f"{projection.name}: generation {number} is live again")
            return {"projection": projection.name, "generation": number}
        return self._rebuild(projection, options)

    def _rebuild(self, projection: projections.Projection, options: dict[str, Any]) -> dict[str, Any]:
        progress = Progress(projection.name, unit="events", quiet=options["quiet"] or options["json"])
        step_in_hand = ""

        def show(step: str, done: int, total: int) -> None:
            nonlocal step_in_hand
            if step != step_in_hand:
                step_in_hand = step
                progress.relabel(f"{projection.name}, {step}")
            progress.total = total
            progress.to(done)

        done = rebuild.rebuild(
            projection,
            source=options["source"],
            shards=options["shards"],
            resume=options["resume"],
            swap=not options["no_swap"],
            accept_parked=options["accept_parked"],
            on_progress=show,
        )
        progress.finish()
        note = f"; note: {done.note}" if done.note else ""
        self._say(
            options,
            f"{done.projection}: generation {done.generation} is {done.state}, {done.aggregates:,} aggregates "
            f"up to position {done.position:,} in {progress.elapsed_seconds:.1f} s{note}",
        )
        return asdict(done)

    def _heal(self, projection: projections.Projection, options: dict[str, Any]) -> dict[str, Any]:
        live = generations.live_number(projection)
        if options["tenant"]:
            progress = Progress(projection.name, unit="lanes", quiet=options["quiet"] or options["json"])

            def show(done: int, total: int) -> None:
                progress.total = total
                progress.to(done)

            tenant_id = _uuid("--tenant", options["tenant"])
            count = healing.heal_tenant(projection, live, tenant_id, on_progress=show)
            progress.finish()
        else:
            count = healing.heal_aggregates(projection, live, [_key(options["aggregate"])])
        self._say(options, f"{projection.name}: {count:,} aggregates built anew in generation {live}")
        return {"projection": projection.name, "generation": live, "aggregates": count}

    def _tell_forecast(self, projection: projections.Projection, options: dict[str, Any]) -> dict[str, Any]:
        planned = rebuild.forecast(projection, source=options["source"])
        unit = "events to fold" if planned.source == "log" else "states to render"
        unfinished = f"; generation {planned.unfinished} is unfinished" if planned.unfinished else ""
        self._say(
            options,
            f"{planned.projection}: {planned.events:,} {unit} beside generation {planned.live}{unfinished}. "
            "Nothing was done.",
        )
        return asdict(planned)

    def _say(self, options: dict[str, Any], line: str) -> None:
        if not options["json"]:
            self.stdout.write(line)


def _those_concerned(wanted: list[projections.Projection], options: dict[str, Any]) -> list[projections.Projection]:
    """The projections that follow what is asked for. Raises CommandError when the log does not know it."""
    if tenant := options["tenant"]:
        if not healing.is_known(_uuid("--tenant", tenant)):
            raise CommandError(
                f"--tenant {tenant}: the log has no event of this tenant. Give the id as the log has it."
            )
    elif aggregate := options["aggregate"]:
        following = [projection for projection in wanted if healing.follows(projection, *_key(aggregate))]
        if not following:
            names = ", ".join(projection.name for projection in wanted)
            raise CommandError(f"--aggregate {aggregate}: the log has no event of it that {names} follows.")
        return following
    return wanted


def _key(aggregate: str) -> tuple[uuid.UUID, uuid.UUID]:
    tenant_id, _, aggregate_id = aggregate.partition("/")
    return _uuid("--aggregate", tenant_id), _uuid("--aggregate", aggregate_id)


def _uuid(option: str, value: str) -> uuid.UUID:
    try:
        return uuid.UUID(value)
    except ValueError:
        raise CommandError(
            f'{option}: "{value}" is not a UUID such as 0193a1b2-…; give the id as the log has it.'
        ) from None
