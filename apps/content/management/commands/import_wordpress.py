from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from apps.audit import recording as audit
from apps.content.wordpress import importing, reading
from apps.kernel import context, imports
from apps.kernel.commands import interruptible, readable_errors
from apps.kernel.progress import Progress
from apps.tenants import modules, queries, scope

HELP = """\
Import a WordPress export (WXR 1.0 to 1.2, .gz too): pages, posts, custom types, attachments, comments, terms.

The file is read twice: once to see that all of it can be read, then in batches, each one transaction. What was
imported before is found again by its id: what the file says differently is changed, all else is left alone, so that
the same file again changes nothing. Menus are not taken yet; each of their items is a row of the report.

Exit codes: 0 everything was taken, perhaps with notes in the report; 1 refused, nothing was imported;
3 imported, but some objects were skipped, each a row of the report; 130 interrupted: what was written stays, run it
again to go on.
"""


def _batch_size(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:9]) <= 1000:
        raise ArgumentTypeError(f'"{value}" is not a whole number from 1 to 1000')
    return int(value)


class Command(BaseCommand):
    tenancy = "tenant"
    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **options)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the export, .xml or .wxr, gzipped or not")
        parser.add_argument("--tenant", required=True, help="slug or id of the tenant")
        parser.add_argument("--locale", help="language of the content (default: the tenant's)")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="do everything in one transaction and undo it; the tenant's editors wait meanwhile",
        )
        parser.add_argument("--report", type=Path, help="write what was not taken as it stands, .csv or .json")
        parser.add_argument("--quiet", action="store_true", help="no progress and no summary")
        parser.add_argument(
            "--batch-size", type=_batch_size, default=50, help="objects in one transaction, 1 to 1000 (default: 50)"
        )

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        at_work = queries.scope_for_command(slug_or_id=options["tenant"])
        locale = queries.locale_for_command(at_work=at_work, locale=options["locale"])
        with (
            context.use(actor="command:import_wordpress"),
            scope.use(at_work),
            imports.Report(options["report"]) as report,
        ):
            modules.require("content")
            site = reading.survey(options["file"])
            progress = Progress("Importing", unit="items", total=site.item_count, quiet=options["quiet"])
            importer = importing.Importer(
                path=options["file"],
                site=site,
                locale=locale,
                now=timezone.now(),
                report=report,
                batch_size=options["batch_size"],
                on_item=progress.add,
            )
            with interruptible(lambda: _so_far(importer, is_dry_run=options["dry_run"])), progress:
                if options["dry_run"]:
                    with transaction.atomic():
                        importer.run()
                        transaction.set_rollback(True)
                else:
                    _run(importer)
        if not options["quiet"]:
            self._summarise(importer, locale, progress, report, is_dry_run=options["dry_run"])
        if importer.failed:
            raise CommandError(f"Skipped objects: {importer.failed:,}; {_where(report)} says why.", returncode=3)

    def _summarise(
        self,
        importer: importing.Importer,
        locale: str,
        progress: Progress,
        report: imports.Report,
        *,
        is_dry_run: bool,
    ) -> None:
        site = importer.site
        self.stdout.write(
            f'{"Would import" if is_dry_run else "Imported"} {site.item_count:,} items of "{site.title}" '
            f"(WXR {site.version}) into {locale} in {progress.elapsed_seconds:.1f} s, {progress.rate:,.0f} items/s."
        )
        for line in importer.tally.lines():
            self.stdout.write(f"  {line}")
        language = site.language.partition("-")[0].lower()
        if language and language != locale.partition("-")[0]:
            self.stdout.write(f'  note: the file says its language is "{site.language}"; it was taken as "{locale}".')
        if importer.mapper.kept_private:
            self.stdout.write(
                f"  note: {importer.mapper.kept_private:,} custom fields with addresses or passwords were left out."
            )
        if report.count:
            self.stdout.write(f"  notes: {report.count:,}, in {_where(report)}. The first of them:")
            for problem in report.examples:
                self.stdout.write(f"    row {problem.row}, {problem.column}, {problem.value}: {problem.problem}")


def _run(importer: importing.Importer) -> None:
    """The audit log has one account of the run, and not one for each object."""
    tenant_id = scope.current_id()
    with audit.run(
        action="content.import", tenant_id=tenant_id, object_type="file", object_id=importer.path.name
    ) as told:
        try:
            importer.run()
        finally:
            told.result |= importer.tally.as_dict()


def _so_far(importer: importing.Importer, *, is_dry_run: bool) -> str:
    if is_dry_run:
        return "nothing was written, as it was a dry run"
    return f"written so far: {'; '.join(importer.tally.lines()) or 'nothing'}"


def _where(report: imports.Report) -> str:
    return f"the report {report.path}" if report.path else "a report (--report FILE)"
