from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.kernel import context
from apps.kernel.commands import readable_errors
from apps.tenants import models, queries, scope, services


class Command(BaseCommand):
    tenancy = "platform"
    help = "Have a suspended tenant answer again. Exit codes: 0 it answers, 1 refused."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="slug or id of the tenant")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        at_work = queries.scope_for_command(slug_or_id=options["tenant"])
        with scope.use(at_work), context.use(actor="command:tenant_resume"):
            services.resume_tenant(tenant=models.Tenant.objects.get(pk=at_work.tenant_id))
        self.stdout.write(f"{at_work.slug} answers again.")
