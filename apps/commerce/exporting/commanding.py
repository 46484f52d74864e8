"""The commands that write products to a file: one state of the database, a page at a time."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError

from apps.audit import recording as audit
from apps.commerce import queries, services, snapshots
from apps.commerce.importing.mapped import Target
from apps.kernel import context, streaming
from apps.kernel.commands import readable_errors
from apps.kernel.progress import Progress
from apps.tenants import modules, scope
from apps.tenants import queries as tenants


class ExportCommand(BaseCommand):
    """A subclass writes the products of a page to the file."""

    tenancy = "tenant"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="where to write to; it must not be there yet")
        parser.add_argument("--tenant", required=True, help="slug or id of the tenant")
        parser.add_argument("--locale", help="language of the texts (default: the tenant's default locale)")
        parser.add_argument("--currency", help="ISO 4217 code of the prices (default: the tenant's currency)")
        parser.add_argument("--location", default=services.DEFAULT_LOCATION, help="code of the stock location")
        parser.add_argument("--quiet", action="store_true", help="no progress and no summary, errors only")

    def begin(self, file: IO[str], target: Target) -> None:
        """Before the first product."""

    def write(self, file: IO[str], page: list[snapshots.Snapshot]) -> None:
        raise NotImplementedError

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        at_work = tenants.scope_for_command(slug_or_id=options["tenant"])
        name = type(self).__module__.rpartition(".")[2]
        with scope.use(at_work), context.use(actor=f"command:{name}"), _opened(options["file"]) as file:
            modules.require("commerce")
            locale = tenants.locale_for_command(at_work=at_work, locale=options["locale"])
            target = Target(locale, options["currency"] or at_work.currency, options["location"])
            count = self._write_all(file, target, options)
            with audit.run(
                action="products.export",
                tenant_id=at_work.tenant_id,
                object_type="file",
                object_id=options["file"].name,
            ) as told:
                told.result["products"] = count
        if not options["quiet"]:
            self.stdout.write(f"{count:,} products written to {options['file']}.")

    def _write_all(self, file: IO[str], target: Target, options: dict[str, Any]) -> int:
        progress = Progress(f"Exporting to {options['file'].name}", unit="products", quiet=options["quiet"])
        with streaming.snapshot(), progress:
            self.begin(file, target)
            for page in streaming.pages(queries.export_products()):
                self.write(file, queries.load_products(page))
                progress.add(len(page))
        return progress.done

    def tell(self, problem: str) -> None:
        """Something the file has no place for."""
        self.stderr.write(problem)


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    try:
        file = path.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise CommandError(f'"{path}" can\'t be written: {error.strerror}.') from None
    with file:
        try:
            yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise
