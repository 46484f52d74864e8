from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.kernel import context, errors, validation
from apps.kernel.commands import readable_errors
from apps.tenants import services

# The fields of a new tenant and the options they come from.
OPTIONS = {"slug": "slug", "name": "name", "default_locale": "locale", "currency": "currency", "domains": "domain"}


class Command(BaseCommand):
    tenancy = "platform"
    help = "Create a tenant with its domains, default locale and currency. Exit codes: 0 created, 1 refused."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="short name in URLs and commands: a-z, 0-9 and hyphens")
        parser.add_argument("--name", help="shown name (default: the slug)")
        parser.add_argument("--domain", action="append", default=[], help="host name that leads to it; may repeat")
        parser.add_argument("--locale", default="en", help="default locale, such as en or pt-BR (default: en)")
        parser.add_argument("--currency", default="USD", help="ISO 4217 code (default: USD)")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        given = {name: options[option] for name, option in OPTIONS.items()}
        given["name"] = given["name"] or options["slug"]
        try:
            with context.use(actor="command:create_tenant"):
                tenant = services.create_tenant(new=validation.parse(services.NewTenant, given))
        except errors.ValidationFailed as refused:
            raise CommandError("; ".join(map(_in_words_of_the_command, refused.problems))) from None
        domains = tenant.domains.order_by("host").values_list("host", flat=True)
        hosts = ", ".join(domains) or "no domain yet; clients name it in the X-Tenant header"
        self.stdout.write(
            f"Created tenant {tenant.slug} ({tenant.id}), {tenant.currency}, {tenant.default_locale}: {hosts}."
        )


def _in_words_of_the_command(problem: errors.FieldProblem) -> str:
    option = OPTIONS[problem.pointer.split("/")[1]]
    return f"{option.upper() if option == 'slug' else f'--{option}'}: {problem.detail}"
