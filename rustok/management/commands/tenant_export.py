from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from apps.kernel import context, isolation
from apps.kernel.commands import interruptible, readable_errors
from apps.kernel.progress import Progress
from apps.tenants import queries
from rustok.lifecycle import exporting


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Write everything of a tenant into one file that tenant_import reads: rows, events, files; no passwords, no "
        "tokens, nothing that can be built from the events. As one moment shows it, beside writers. "
        "Exit codes: 0 written, 1 refused, 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="slug or id of the tenant")
        parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="where to; replaced if it is there")
        parser.add_argument("--quiet", action="store_true", help="no progress")
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        with isolation.all_tenants(reason="tenant export"):
            at_work = queries.scope_for_command(slug_or_id=options["tenant"])
        progress = Progress("Exporting", unit="rows", quiet=options["quiet"])

        def begin(total: int) -> None:
            progress.total = total

        with (
            progress,
            context.use(actor="command:tenant_export"),
            interruptible(lambda: "nothing is left of the file"),
        ):
            done = exporting.export_tenant(at_work.tenant_id, options["to"], on_total=begin, on_rows=progress.add)
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
            return
        self.stdout.write(
            f"Exported {at_work.slug} ({at_work.tenant_id}): {done.rows:,} rows, {done.events:,} events, "
            f"{done.files:,} files in {done.bytes / 2**20:,.1f} MiB, {progress.rate:,.0f}/s."
        )
        self.stdout.write(f"Checksum {done.checksum}")
