from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.kernel import context, validation
from apps.kernel.commands import readable_errors
from apps.tenants import services


class Command(BaseCommand):
    help = "Create a tenant with its domains, default locale and currency. Exit codes: 0 created, 1 refused."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="short name in URLs and commands: a-z, 0-9 and hyphens")
        parser.add_argument("--name", help="shown name (default: the slug)")
        parser.add_argument("--domain", action="append", default=[], help="host name that leads to it; may repeat")
        parser.add_argument("--locale", default="en", help="default locale, such as en or pt-BR (default: en)")
        parser.add_argument("--currency", default="USD", help="ISO 4217 code (default: USD)")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        new = validation.parse(
            services.NewTenant,
            {
                "slug": options["slug"],
                "name": options["name"] or options["slug"],
                "default_locale": options["locale"],
                "currency": options["currency"],
                "domains": options["domain"],
            },
        )
        with context.use(actor="command:create_tenant"):
            tenant = services.create_tenant(new=new)
        hosts = ", ".join(options["domain"]) or "no domain yet; clients name it in the X-Tenant header"
        self.stdout.write(
            f"Created tenant {tenant.slug} ({tenant.id}), {tenant.currency}, {tenant.default_locale}: {hosts}."
        )
