from __future__ import annotations

import resource
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.audit import recording as audit
from apps.commerce import services
from apps.commerce.shopify.importing import Import
from apps.commerce.shopify.mapping import Target
from apps.kernel import context, errors, validation
from apps.kernel.commands import interruptible, readable_errors
from apps.kernel.imports import Report
from apps.tenants import modules, queries, scope


class Command(BaseCommand):
    tenancy = "tenant"
    help = (
        "Import products from a Shopify product CSV (.csv, .csv.gz; UTF-8). Products are found again by their handle: "
        "importing a file again changes only what differs. Images are not fetched; cost prices are not taken. "
        "Exit codes: 0 every product was taken (the report may hold notes), "
        "1 refused or nothing could be imported, 3 imported, but some products were skipped (see the report), "
        "130 interrupted (what was written stays; run it again to go on)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the export, .csv or .csv.gz")
        parser.add_argument("--tenant", required=True, help="slug or id of the tenant")
        parser.add_argument("--locale", help="language of the texts (default: the tenant's default locale)")
        parser.add_argument("--currency", help="ISO 4217 code of the prices (default: the tenant's currency)")
        parser.add_argument(
            "--location",
            default=services.DEFAULT_LOCATION,
            help="code of the stock location (default: default, made when needed)",
        )
        parser.add_argument("--dry-run", action="store_true", help="look for problems, write nothing")
        parser.add_argument("--report", type=Path, help="write what was not taken as it is to this .csv or .json file")
        parser.add_argument("--quiet", action="store_true", help="no progress and no summary, errors only")
        parser.add_argument(
            "--batch-size", type=int, default=50, help="products in one transaction, 1 to 1000 (default: 50)"
        )

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["batch_size"] <= 1000:
            raise CommandError(f"--batch-size {options['batch_size']}: give a number from 1 to 1000.")
        at_work = queries.scope_for_command(slug_or_id=options["tenant"])
        with scope.use(at_work), context.use(actor="command:import_shopify"), Report(options["report"]) as report:
            modules.require("commerce")
            modules.require("inventory")
            run = Import(
                path=options["file"],
                target=self._target(at_work, options),
                report=report,
                now=timezone.now(),
                batch_size=options["batch_size"],
                is_dry_run=options["dry_run"],
                quiet=options["quiet"],
            )
            with interruptible(run.so_far), _told(run):
                note = run.run()
        products = run.tally.as_dict()["products"]
        if not products["created"] + products["updated"] + products["unchanged"]:
            reason = _examples(report) or "It has a header row, and no product below it."
            raise CommandError(f"Nothing could be imported from {run.path}. {reason}")
        if not options["quiet"]:
            self._summarise(run, note)
        if products["skipped"]:
            sys.exit(3)

    def _target(self, at_work: scope.Scope, options: dict[str, Any]) -> Target:
        locale = queries.locale_for_command(at_work=at_work, locale=options["locale"])
        currency = _option(validation.Currency, options["currency"] or at_work.currency, "--currency")
        location = _option(validation.ShortSlug, options["location"], "--location")
        if location != services.DEFAULT_LOCATION:
            services.get_location(location)
        return Target(locale, currency, location)

    def _summarise(self, run: Import, note: str) -> None:
        kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if run.is_dry_run:
            self.stdout.write("Dry run: nothing was written.")
        for line in run.tally.lines():
            self.stdout.write(line)
        where = f" in {run.report.path}" if run.report.path else "; give --report FILE to have them all"
        if run.report.count:
            self.stdout.write(f"{run.report.count:,} notes{where}. {_examples(run.report)}")
        if note:
            self.stdout.write(note)
        self.stdout.write(f"{run.rate:,.0f} rows/s, peak memory {kibibytes / 1024:,.0f} MiB.")


def _option(rule: Any, value: str, name: str) -> str:
    try:
        return str(validation.check(rule, value, field=name))
    except errors.ValidationFailed as refusal:
        raise CommandError(f"{name} {refusal.problems[0].detail}") from None


@contextmanager
def _told(run: Import) -> Iterator[None]:
    """The audit log has one account of the run, and not one for each product; nothing of a dry one."""
    if run.is_dry_run:
        yield
        return
    tenant_id = scope.current_id()
    with audit.run(action="commerce.import", tenant_id=tenant_id, object_type="file", object_id=run.path.name) as told:
        try:
            yield
        finally:
            told.result |= run.tally.as_dict()


def _examples(report: Report) -> str:
    return " ".join(
        f'Row {entry.row}, {entry.column} "{entry.value}": {entry.problem}.' for entry in report.examples[:3]
    )
