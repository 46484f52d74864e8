"""What the commands that import files share: their options, a run each, the report and the summary."""

from __future__ import annotations

import resource
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.audit import recording as audit
from apps.imports import formats, models, queries, services, undoing, working
from apps.kernel import context, errors, validation
from apps.kernel.commands import interruptible, readable_errors
from apps.kernel.imports import Report, Tally
from apps.kernel.progress import Progress
from apps.tenants import modules, scope
from apps.tenants import queries as tenants

MOST_AT_ONCE = 1000


def batch_size(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:9]) <= 1000:
        raise ArgumentTypeError(f'"{value}" is not a whole number from 1 to 1000')
    return int(value)


class ImportCommand(BaseCommand):
    """A subclass names its `format`, and adds the options it has beyond those of all."""

    tenancy = "tenant"
    format: ClassVar[str]
    file_help = "the export, .csv or .csv.gz"
    batch_help = "products in one transaction"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help=self.file_help)
        parser.add_argument("--tenant", required=True, help="slug or id of the tenant")
        parser.add_argument("--locale", help="language of the texts (default: the tenant's default locale)")
        parser.add_argument("--dry-run", action="store_true", help="look for problems, write nothing")
        parser.add_argument("--report", type=Path, help="write what was not taken as it is to this .csv or .json file")
        parser.add_argument("--quiet", action="store_true", help="no progress and no summary, errors only")
        parser.add_argument(
            "--batch-size", type=batch_size, default=50, help=f"{self.batch_help}, 1 to 1000 (default: 50)"
        )
        parser.add_argument(
            "--resume", metavar="ID", help="go on with a run that was stopped or killed: its id, or last"
        )
        parser.add_argument("--undo", metavar="ID", help="put back what a run has written: its id, or last")

    def choices(self, at_work: scope.Scope, options: dict[str, Any]) -> dict[str, Any]:
        """The options of the format, from those of the command. Raises CommandError and DomainError."""
        return {"locale": tenants.locale_for_command(at_work=at_work, locale=options["locale"])}

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["batch_size"] <= MOST_AT_ONCE:  # called from Python, where the parser does not look
            raise CommandError(f"--batch-size {options['batch_size']}: give a number from 1 to {MOST_AT_ONCE}.")
        format = formats.formats()[self.format]
        at_work = tenants.scope_for_command(slug_or_id=options["tenant"])
        actor = f"command:{type(self).__module__.rpartition('.')[2]}"
        with scope.use(at_work), context.use(actor=actor):
            for module in format.modules:
                modules.require(module)
            if options["undo"]:
                undo(self, queries.get_run(named=options["undo"]), quiet=options["quiet"])
                return
            with Report(options["report"]) as report:
                self._import(format, at_work, report, options)

    def _import(self, format: formats.Format, at_work: scope.Scope, report: Report, options: dict[str, Any]) -> None:
        if options["resume"]:
            run, importer = self._resumed(format, options)
        else:
            run, importer = self._begun(format, at_work, options)
        began_at = run.done
        label = f"Importing {run.file_name}"
        progress = Progress(label, unit=importer.unit, total=run.total - began_at, quiet=options["quiet"])
        try:
            with interruptible(lambda: _so_far(run)), progress, told(format, run):
                working.carry_out(
                    run,
                    importer,
                    batch_size=options["batch_size"],
                    on_progress=lambda done: progress.to(done - began_at),
                )
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            working.stop(run, reason=getattr(error, "detail", None) or str(error) or type(error).__name__)
            raise
        finally:
            for problem in queries.problems_of(run.id):
                report.add(row=problem.row, column=problem.column, value=problem.value, problem=problem.problem)
        self.conclude(run, importer, report, progress, quiet=options["quiet"])

    def _begun(
        self, format: formats.Format, at_work: scope.Scope, options: dict[str, Any]
    ) -> tuple[models.Run, formats.Importer]:
        if options["file"] is None:
            raise CommandError("give a FILE, or a run with --resume or --undo.")
        chosen = self.choices(at_work, options)
        importer = format.opened(options["file"], validation.parse(format.options, chosen), {})
        run = services.begin(
            format=format,
            path=options["file"],
            options=chosen,
            total=importer.total,
            is_dry_run=options["dry_run"],
            now=timezone.now(),
        )
        return run, importer

    def _resumed(self, format: formats.Format, options: dict[str, Any]) -> tuple[models.Run, formats.Importer]:
        run = queries.get_run(named=options["resume"])
        if run.format != format.name:
            raise CommandError(
                f"{run} is an import of {formats.formats()[run.format].title}; resume it with its command."
            )
        path = services.resume(run, path=options["file"], now=timezone.now())
        if path is None:
            raise CommandError(f"{run} was asked for in the admin; a worker goes on with it.")
        return run, format.opened(path, validation.parse(format.options, run.options), run.found)

    def conclude(
        self, run: models.Run, importer: formats.Importer, report: Report, progress: Progress, *, quiet: bool
    ) -> None:
        """The summary and the exit code."""
        products = run.tally.get("products", {})
        if not sum(products.get(outcome, 0) for outcome in ("created", "updated", "unchanged")):
            reason = _examples(report) or "It has a header row, and no product below it."
            raise CommandError(f"Nothing could be imported from {run.path}. {reason}")
        if not quiet:
            self.summarise(run, importer, report, progress)
        if run.skipped:
            sys.exit(3)

    def summarise(self, run: models.Run, importer: formats.Importer, report: Report, progress: Progress) -> None:
        kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if run.is_dry_run:
            self.stdout.write("Dry run: nothing was written.")
        for line in tally_of(run).lines():
            self.stdout.write(line)
        where = f" in {report.path}" if report.path else "; give --report FILE to have them all"
        if report.count:
            self.stdout.write(f"{report.count:,} notes{where}. {_examples(report)}")
        for remark in importer.remarks():
            self.stdout.write(remark)
        self.stdout.write(f"{progress.rate:,.0f} {importer.unit}/s, peak memory {kibibytes / 1024:,.0f} MiB.")
        if run.touched:
            self.stdout.write(f"To take it back: manage.py {self.name} --tenant {scope.current().slug} --undo {run}")

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]


def undo(command: BaseCommand, run: models.Run, *, quiet: bool) -> None:
    """Put back what the run has written, with a summary; exit code 3 where something is left."""
    now = timezone.now()
    undoing.begin(run, now=now)
    total = models.Entry.objects.filter(run=run).count()
    progress = Progress(f"Undoing {run}", unit="objects", total=total, quiet=quiet)
    said = f"undone so far: some of {total:,} objects"
    format = formats.formats()[run.format]
    with interruptible(lambda: said), progress, told(format, run, verb="undo"):
        undoing.carry_out(run, now=now, on_progress=progress.to)
    left = list(queries.left_of(run.id)[:20])
    if not quiet:
        command.stdout.write(f"{run}: {run.undone:,} objects are as they were before, {run.left:,} left as they are.")
        for line in undoing.described(left):
            command.stdout.write(f"  {line}")
    if run.left:
        sys.exit(3)


@contextmanager
def told(format: formats.Format, run: models.Run, *, verb: str = "") -> Iterator[None]:
    """The audit log has one account of the run, and not one for each object; nothing of a dry one."""
    if run.is_dry_run:
        yield
        return
    action = f"{format.action}.{verb}" if verb else format.action
    with audit.run(action=action, tenant_id=scope.current_id(), object_type="file", object_id=run.file_name) as account:
        try:
            yield
        finally:
            account.result |= tally_of(run).as_dict() if not verb else {"undone": run.undone, "left": run.left}


def tally_of(run: models.Run) -> Tally:
    found = Tally()
    for kind, counts in run.tally.items():
        for outcome, count in counts.items():
            found.add(kind, outcome, count)
    return found


def _so_far(run: models.Run) -> str:
    working.stop(run, reason="interrupted")
    if run.is_dry_run:
        return "nothing was written, as it was a dry run"
    return f"written so far: {'; '.join(tally_of(run).lines()) or 'nothing'}"


def _examples(report: Report) -> str:
    return " ".join(
        f'Row {entry.row}, {entry.column} "{entry.value}": {entry.problem}.' for entry in report.examples[:3]
    )


def checked(rule: Any, value: str, name: str) -> str:
    """An option's value by the rule of its field. Raises CommandError."""
    try:
        return str(validation.check(rule, value, field=name))
    except errors.ValidationFailed as refusal:
        raise CommandError(f"{name} {refusal.problems[0].detail}") from None
