from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.accounts import queries
from apps.accounts.access import members
from apps.kernel import context
from apps.kernel.commands import readable_errors
from apps.tenants import queries as tenants
from apps.tenants import scope


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Make an account a member of a tenant with exactly these roles, such as its first owner; asks for no rights, "
        "as whoever has this terminal has them all. Exit codes: 0 done, 1 refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="address of an account that exists")
        parser.add_argument("roles", nargs="+", help="such as owner or editor, or slugs of the tenant's own roles")
        parser.add_argument("--tenant", required=True, help="slug or id of the tenant")

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        user = queries.get_user(email=options["email"])
        with (
            context.use(actor="command:grant_role"),
            scope.use(tenants.scope_for_command(slug_or_id=options["tenant"])) as at_work,
        ):
            members.put_member(user=user, roles=options["roles"], by=None)
        self.stdout.write(f"{user} is {', '.join(sorted(set(options['roles'])))} of {at_work.slug}.")
