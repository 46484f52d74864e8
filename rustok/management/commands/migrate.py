"""Django's migrate, as the role that may change tables, with row policies, owners and grants brought up to date."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections, transaction

from apps.kernel.database import isolating

# Whose rows they are stands in another column than tenant_id.
TENANT_COLUMNS = {"tenants_tenant": "id"}
READ_ONLY = frozenset({"django_migrations"})
APPEND_ONLY: frozenset[str] = frozenset()


class Command(migrate.Command):
    tenancy = "platform"

    def handle(self, *args: Any, **options: Any) -> str | None:
        connection: Any = connections[options["database"]]
        app = connection.settings_dict["USER"]
        try:
            with connection.as_migrator():
                answer: str | None = super().handle(*args, **options)
                if not (options["plan"] or options["check_unapplied"]):
                    with transaction.atomic(using=options["database"]), connection.cursor() as cursor:
                        isolating.ensure(
                            cursor, app=app, columns=TENANT_COLUMNS, append_only=APPEND_ONLY, read_only=READ_ONLY
                        )
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        return answer
