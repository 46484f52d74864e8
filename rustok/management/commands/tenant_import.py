from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.kernel import context, validation
from apps.kernel.commands import interruptible, readable_errors
from apps.kernel.progress import Progress
from rustok.lifecycle import importing


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Bring in a tenant that tenant_export wrote, here or elsewhere: all of it or nothing. The file is read and "
        "checked before anything is written. Ids, times and events stay what they were; nothing is told to the outside "
        "for them. Users are found by e-mail, or made without a password. "
        "Exit codes: 0 it is here, 1 refused, 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="what tenant_export wrote")
        parser.add_argument("--slug", help="another slug than it had (default: the same)")
        parser.add_argument("--domain", action="append", help="host that leads to it, instead of its own; may repeat")
        parser.add_argument("--no-domains", action="store_true", help="leave its domains out")
        parser.add_argument("--quiet", action="store_true", help="no progress")
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if options["no_domains"] and options["domain"]:
            raise CommandError("--no-domains and --domain exclude each other.")
        domains = [] if options["no_domains"] else options["domain"]
        placement = validation.parse(importing.Placement, {"slug": options["slug"], "domains": domains})
        progress = Progress("Checking", unit="rows", quiet=options["quiet"])

        def begin(stage: str, total: int) -> None:
            progress.relabel(stage)
            progress.total = total

        with (
            progress,
            context.use(actor="command:tenant_import"),
            interruptible(lambda: "nothing was imported"),
        ):
            done = importing.import_tenant(options["file"], placement=placement, on_stage=begin, on_rows=progress.add)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done), default=str))
            return
        self.stdout.write(
            f"Imported {done.slug} ({done.tenant_id}): {done.rows:,} rows, {done.events:,} events, "
            f"{done.files:,} files, {progress.rate:,.0f}/s."
        )
        self.stdout.write(f"Checksum {done.checksum}")
        if done.new_people:
            self.stdout.write(f"Made without a password: {', '.join(done.new_people)}.")
