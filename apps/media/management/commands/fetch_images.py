from __future__ import annotations

import sys
import uuid
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.kernel import context
from apps.kernel.commands import interruptible, readable_errors
from apps.kernel.imports import Report
from apps.kernel.progress import Progress
from apps.media import fetching
from apps.media import queries as library
from apps.tenants import modules, scope
from apps.tenants import queries as tenants


class Command(BaseCommand):
    tenancy = "tenant"
    help = (
        "Bring images that products and texts show by an address elsewhere, such as that of the shop or site an import "
        "came from, into the media library, and show those. Each address is asked once, over the guarded way out; it "
        "may be interrupted at any time, and goes on where it was. Importing the export again changes nothing. Exit "
        "codes: 0 all are in the library, 1 refused, 3 some could not be fetched (see the report), 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="slug or id of the tenant")
        parser.add_argument(
            "--host", action="append", default=[], help="only images of this host; may be given more than once"
        )
        parser.add_argument("--again", action="store_true", help="ask also where it did not work before")
        parser.add_argument("--report", type=Path, help="write what could not be fetched to this .csv or .json file")
        parser.add_argument("--quiet", action="store_true", help="no progress and no summary, errors only")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        at_work = tenants.scope_for_command(slug_or_id=options["tenant"])
        told: Counter[str] = Counter()
        with scope.use(at_work), context.use(actor="command:fetch_images"), Report(options["report"]) as report:
            work = list(_work(set(options["host"])))
            total = sum(len(urls) for _, _, urls in work)
            progress = Progress("Fetching", unit="images", total=total, quiet=options["quiet"])
            with progress, interruptible(lambda: _summary(told)):
                for holder, owner_id, urls in work:
                    _fetch(urls, told, report, holder=holder, again=options["again"])
                    told["taken"] += holder.take(owner_id)
                    progress.add(len(urls))
        if not options["quiet"]:
            self.stdout.write(f"{_summary(told)}.")
        if told["failed"]:
            sys.exit(3)


def _work(hosts: set[str]) -> Iterator[tuple[fetching.Holder, uuid.UUID, list[str]]]:
    """Each thing with the addresses it shows, of these hosts where some are given."""
    for holder in fetching.holders():
        if modules.are_off([holder.module]):
            continue
        for owner_id, urls in holder.elsewhere():
            wanted = [url for url in dict.fromkeys(urls) if not hosts or fetching.parts_of(url).hostname in hosts]
            if wanted:
                yield holder, owner_id, wanted


def _fetch(urls: list[str], told: Counter[str], report: Report, *, holder: fetching.Holder, again: bool) -> None:
    known = library.find_sources(urls)
    for url in urls:
        source = known.get(url)
        if source is None or (source.asset_id is None and again):
            source = fetching.fetch(url=url, now=timezone.now(), folder=holder.name)
            told["asked"] += 1
        if source.asset_id is None:
            told["failed"] += 1
            report.add(row=told["failed"], column=holder.name, value=url, problem=source.problem)


def _summary(told: Counter[str]) -> str:
    return (
        f"{told['taken']:,} images are shown from the library now, {told['asked']:,} addresses were asked, "
        f"{told['failed']:,} could not be fetched"
    )
