from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from apps.kernel import isolation
from apps.kernel.commands import readable_errors
from apps.tenants import queries
from rustok.lifecycle import checksum


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "The checksum of a tenant over all that an export has, part by part and in total: equal after export, purge "
        "and import, here or elsewhere. Exit codes: 0 told, 1 there is no such tenant."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="slug or id of the tenant")
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        with isolation.all_tenants(reason="tenant checksum"):
            at_work = queries.scope_for_command(slug_or_id=options["tenant"])
        parts = checksum.of_tenant(at_work.tenant_id)
        total = checksum.total(parts)
        if options["json"]:
            told = {name: asdict(part) for name, part in sorted(parts.items())}
            self.stdout.write(json.dumps({"tenant": str(at_work.tenant_id), "checksum": total, "parts": told}))
            return
        for name, part in sorted(parts.items()):
            self.stdout.write(f"{part.digest}  {part.rows:>9,}  {name}")
        self.stdout.write(f"{total}  {at_work.slug}")
