"""Django's migrate, as the role that may change tables, with row policies, owners and grants brought up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections, transaction
from django.db.models.signals import post_migrate

from apps import audit
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
        database: str = options["database"]
        connection: Any = connections[database]
        app: str = connection.settings_dict["USER"]
        try:
            with connection.as_migrator():
                with _ensured_before_it_is_used(database, app):
                    answer: str | None = super().handle(*args, **options)
                if not (options["plan"] or options["check_unapplied"]):
                    _ensure(database, app)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        return answer


def _ensure(database: str, app: str) -> None:
    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        isolating.ensure(cursor, app=app, columns=TENANT_COLUMNS, rights=RIGHTS)


@contextmanager
def _ensured_before_it_is_used(database: str, app: str) -> Iterator[None]:
    """Give what the migrations made to the owner of everything as soon as they are through, too.

    What apps do after migrations, such as the first generation of a new read model, calls functions that act as the
    owner. In a database of before, only its older tables would be the owner's by then.
    """
    is_done = False

    def ensure(**_: Any) -> None:
        nonlocal is_done
        if not is_done:
            is_done = True
            _ensure(database, app)

    # Of no sender: it is called for the first app, before that of consumers.
    post_migrate.connect(ensure, weak=False)
    try:
        yield
    finally:
        post_migrate.disconnect(ensure)
