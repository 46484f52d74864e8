from __future__ import annotations

import sys
import uuid
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.commerce import queries, services
from apps.kernel import context, ids
from apps.kernel.commands import interruptible, readable_errors
from apps.kernel.imports import Report
from apps.kernel.progress import Progress
from apps.media import fetching
from apps.media import queries as library
from apps.tenants import modules, scope
from apps.tenants import queries as tenants

FOLDER = "products"


class Command(BaseCommand):
    tenancy = "tenant"
    help = (
        "Bring the images of products that are elsewhere, such as in the shop an import came from, into the media "
        "library, and show those. Each address is asked once, over the guarded way out; it may be interrupted at any "
        "time, and goes on where it was. Importing the export again changes nothing. Exit codes: 0 all are in the "
        "library, 1 refused, 3 some could not be fetched (see the report), 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="slug or id of the tenant")
        parser.add_argument("--again", action="store_true", help="ask also where it did not work before")
        parser.add_argument("--report", type=Path, help="write what could not be fetched to this .csv or .json file")
        parser.add_argument("--quiet", action="store_true", help="no progress and no summary, errors only")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        at_work = tenants.scope_for_command(slug_or_id=options["tenant"])
        told: Counter[str] = Counter()
        with scope.use(at_work), context.use(actor="command:fetch_images"), Report(options["report"]) as report:
            modules.require("commerce")
            rows = queries.images_elsewhere()
            progress = Progress("Fetching", unit="images", total=rows.count(), quiet=options["quiet"])
            with progress, interruptible(lambda: _summary(told)):
                for product_id in rows.order_by("product_id").values_list("product_id", flat=True).distinct():
                    progress.add(self._product(product_id, told, report, again=options["again"]))
        if not options["quiet"]:
            self.stdout.write(_summary(told))
        if told["failed"]:
            sys.exit(3)

    def _product(self, product_id: uuid.UUID, told: Counter[str], report: Report, *, again: bool) -> int:
        """Ask for what the product shows and was not asked for; returns how many images it had elsewhere."""
        urls = list(queries.images_elsewhere().filter(product_id=product_id).values_list("url", flat=True))
        known = library.find_sources(urls)
        for url in dict.fromkeys(urls):
            source = known.get(url)
            if source is None or (source.asset_id is None and again):
                source = fetching.fetch(url=url, now=timezone.now(), folder=FOLDER)
                told["asked"] += 1
            if source.asset_id is None:
                told["failed"] += 1
                column = f"image of {ids.encode('prod', product_id)}"
                report.add(row=told["failed"], column=column, value=url, problem=source.problem)
        told["taken"] += services.take_fetched(product_id=product_id)
        return len(urls)


def _summary(told: Counter[str]) -> str:
    return (
        f"{told['taken']:,} images are in the library now, {told['asked']:,} addresses were asked; "
        f"{told['failed']:,} could not be fetched."
    )
