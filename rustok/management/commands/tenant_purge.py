from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.models import User
from apps.kernel import context, isolation
from apps.kernel.commands import interruptible, readable_errors
from apps.kernel.progress import Progress
from apps.tenants import models, queries
from rustok.lifecycle import purging


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Delete everything of a suspended tenant, for good: rows, events, read models, files, cache keys; prove that "
        "nothing is left and keep a signed receipt. Run again, it goes on where it was stopped. "
        "Exit codes: 0 nothing is left (or told, with --dry-run), 1 refused or not complete, 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="slug or id of the tenant")
        parser.add_argument("--confirm", default="", metavar="SLUG", help="the slug once more")
        parser.add_argument("--dry-run", action="store_true", help="say what there is to delete, and delete nothing")
        parser.add_argument("--quiet", action="store_true", help="no progress")
        parser.add_argument("--json", action="store_true", help="machine-readable output: the receipt")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            self._tell(options)
            return
        if not options["confirm"]:
            raise CommandError("Give --confirm with the slug of the tenant, or --dry-run to see what would go.")
        progress = Progress("Purging", unit="rows", quiet=options["quiet"])

        def step(name: str, count: int) -> None:
            progress.label = name
            progress.add(count)

        with (
            progress,
            context.use(actor="command:tenant_purge"),
            interruptible(lambda: "what was deleted is gone"),
        ):
            purge = purging.purge(slug_or_id=options["tenant"], confirm=options["confirm"], on_step=step)
        if options["json"]:
            self.stdout.write(
                json.dumps({"receipt": purge.receipt, "sha256": purge.sha256, "signature": purge.signature})
            )
            return
        self._summarise(purge, progress.rate)

    def _tell(self, options: dict[str, Any]) -> None:
        with isolation.all_tenants(reason="tenant purge"):
            tenant = queries.get_tenant(slug_or_id=queries.scope_for_command(slug_or_id=options["tenant"]).slug)
            found = purging.estimate(tenant)
        for name, count in sorted(found.rows.items()):
            self.stdout.write(f"{count:>9,}  {name}")
        self.stdout.write(
            f"Dry run: {sum(found.rows.values()):,} rows, {found.events:,} events in the tables, {found.files:,} files "
            f"and {found.cache_keys:,} cache keys would go."
        )

    def _summarise(self, purge: models.Purge, rate: float) -> None:
        receipt: Any = purge.receipt
        deleted, proof = receipt["deleted"], receipt["proof"]
        self.stdout.write(
            f"Purged {purge.slug} ({purge.purged_id}): {sum(deleted['rows'].values()):,} rows, {deleted['events']:,} "
            f"events, {deleted['files']:,} files, {deleted['cache_keys']:,} cache keys, {rate:,.0f}/s."
        )
        if not deleted["bus_emptied"]:
            self.stdout.write("The bus could not be reached; empty it with events_bus refill when it is back.")
        self.stdout.write(f"Nothing is left: {proof['tables']} tables looked through, {proof['rows']} rows found.")
        for user in User.objects.filter(id__in=receipt["users_without_membership"]):
            self.stdout.write(f"{user.email} is a member of no tenant any more; the account stays.")
        self.stdout.write(f"Receipt {purge.id}, sha256 {purge.sha256}")
