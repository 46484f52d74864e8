from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import CommandError

from apps.imports import formats, models
from apps.imports.commanding import ImportCommand, tally_of
from apps.kernel.imports import Report
from apps.kernel.progress import Progress
from apps.tenants import scope

HELP = """\
Import a WordPress export (WXR 1.0 to 1.2, .gz too): pages, posts, custom types, attachments, comments, terms.

The file is read twice: once to see that all of it can be read, then in batches, each one transaction. What was
imported before is found again by its id: what the file says differently is changed, all else is left alone, so that
the same file again changes nothing. Menus are not taken yet; each of their items is a row of the report.

Exit codes: 0 everything was taken, perhaps with notes in the report; 1 refused, nothing was imported;
3 imported, but some objects were skipped, each a row of the report; 130 interrupted: what was written stays, go on
with --resume last.
"""
# Named in the report, and not what anybody would call incomplete.
NOT_COUNTED = ("menu items", "menus")


class Command(ImportCommand):
    format = "wordpress"
    help = HELP
    file_help = "the export, .xml or .wxr, gzipped or not"
    batch_help = "objects in one transaction"

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **options)

    def conclude(
        self, run: models.Run, importer: formats.Importer, report: Report, progress: Progress, *, quiet: bool
    ) -> None:
        if not quiet:
            self.summarise(run, importer, report, progress)
        counts = {kind: own.get("skipped", 0) for kind, own in run.tally.items() if kind not in NOT_COUNTED}
        if failed := sum(counts.values()):
            raise CommandError(f"Skipped objects: {failed:,}; {_where(report)} says why.", returncode=3)

    def summarise(self, run: models.Run, importer: formats.Importer, report: Report, progress: Progress) -> None:
        site = getattr(importer, "site")  # noqa: B009 - it is the importer of this format
        self.stdout.write(
            f'{"Would import" if run.is_dry_run else "Imported"} {site.item_count:,} items of "{site.title}" '
            f"(WXR {site.version}) into {run.options['locale']} in {progress.elapsed_seconds:.1f} s, "
            f"{progress.rate:,.0f} items/s."
        )
        for line in tally_of(run).lines():
            self.stdout.write(f"  {line}")
        for remark in importer.remarks():
            self.stdout.write(f"  note: {remark}")
        if report.count:
            self.stdout.write(f"  notes: {report.count:,}, in {_where(report)}. The first of them:")
            for problem in report.examples:
                self.stdout.write(f"    row {problem.row}, {problem.column}, {problem.value}: {problem.problem}")
        if run.touched:
            self.stdout.write(f"To take it back: manage.py {self.name} --tenant {scope.current().slug} --undo {run}")


def _where(report: Report) -> str:
    return f"the report {report.path}" if report.path else "a report (--report FILE)"
