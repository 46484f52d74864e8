from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.kernel import context
from apps.kernel.commands import readable_errors
from apps.tenants import queries, services


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Let a tenant publish in a language; one that is enabled already stays as it is. "
        "Exit codes: 0 it is enabled, 1 refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="slug or id of the tenant")
        parser.add_argument("locale", help="such as de or pt-BR")
        parser.add_argument("--name", default="", help="shown name of the language (default: none)")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        tenant = queries.get_tenant(slug_or_id=queries.scope_for_command(slug_or_id=options["tenant"]).slug)
        with context.use(actor="command:enable_locale"):
            services.enable_locale(tenant=tenant, locale=options["locale"], name=options["name"])
        self.stdout.write(f"{tenant.slug} publishes in {', '.join(queries.scope_of(tenant).locales)}.")
