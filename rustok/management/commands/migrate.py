"""Django's migrate, as the role that may change tables; then row policies, owners and grants are brought up to date,
and what consumers need is made."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections, transaction

from apps import audit
from apps.consumers import declaring
from apps.kernel.database import isolating

# Whose rows they are stands in another column than tenant_id.
TENANT_COLUMNS = {"tenants_tenant": "id"}
RIGHTS = (
    {"django_migrations": isolating.READ}
    | dict.fromkeys(audit.APPEND_ONLY_TABLES, "SELECT, INSERT")
    | dict.fromkeys(audit.ERASABLE_TABLES, "SELECT, INSERT, DELETE")
    | dict.fromkeys(audit.STATE_TABLES, "SELECT, INSERT, UPDATE")
)


class Command(migrate.Command):
    tenancy = "platform"

    def handle(self, *args: Any, **options: Any) -> str | None:
        connection: Any = connections[options["database"]]
        app = connection.settings_dict["USER"]
        is_done = not (options["plan"] or options["check_unapplied"])
        try:
            with connection.as_migrator():
                answer: str | None = super().handle(*args, **options)
                if is_done:
                    with transaction.atomic(using=options["database"]), connection.cursor() as cursor:
                        isolating.ensure(cursor, app=app, columns=TENANT_COLUMNS, rights=RIGHTS)
            if is_done:
                declaring.ensure_all()  # as the application, whose the generations are
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        return answer
