from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.kernel import context, validation
from apps.kernel.commands import readable_errors
from apps.tenants import models, queries, scope, services


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Have a tenant answer nobody: 403 on every address, nothing told to the outside. Its data stay. "
        "Exit codes: 0 it is suspended, 1 refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="slug or id of the tenant")
        parser.add_argument("--reason", required=True, help="kept with the tenant and in its event")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        suspension = validation.parse(services.Suspension, {"reason": options["reason"]})
        at_work = queries.scope_for_command(slug_or_id=options["tenant"])
        with scope.use(at_work), context.use(actor="command:tenant_suspend"):
            tenant = models.Tenant.objects.get(pk=at_work.tenant_id)
            tenant = services.suspend_tenant(tenant=tenant, suspension=suspension, now=timezone.now())
        self.stdout.write(f"{tenant.slug} is suspended since {tenant.suspended_at:%Y-%m-%d %H:%M:%S} UTC.")
