from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.imports import commanding, models, queries
from apps.kernel import context
from apps.kernel.commands import readable_errors
from apps.tenants import queries as tenants
from apps.tenants import scope

SHOWN = 50


class Command(BaseCommand):
    tenancy = "tenant"
    help = (
        "List the imports of a tenant, the newest first, or undo one: what it made goes, what it changed is as it was, "
        "and what was changed since by others is left and named. Exit codes: 0 done, 3 undone, but something was left."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="slug or id of the tenant")
        parser.add_argument("--undo", metavar="ID", help="put back what a run has written: its id, or last")
        parser.add_argument("--quiet", action="store_true", help="with --undo: no progress and no summary")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        at_work = tenants.scope_for_command(slug_or_id=options["tenant"])
        with scope.use(at_work), context.use(actor="command:imports"):
            if options["undo"]:
                commanding.undo(self, queries.get_run(named=options["undo"]), quiet=options["quiet"])
                return
            runs = list(queries.list_runs()[:SHOWN])
            for run in runs:
                self.stdout.write(_line(run))
            if not runs:
                self.stdout.write("Nothing was imported yet, or it is longer than 30 days ago.")


def _line(run: models.Run) -> str:
    what = "dry run" if run.is_dry_run else f"{run.touched:,} objects written"
    left = f", {run.left:,} left" if run.left else ""
    share = f"{run.done:,} of {run.total:,}"
    return (
        f"{run}  {run.created_at:%Y-%m-%d %H:%M}  {run.format:<12}{run.status:<8}{share}, {what}, "
        f"{run.skipped:,} skipped{left}  {run.file_name}"
    )
