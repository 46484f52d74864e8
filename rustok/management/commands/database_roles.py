"""`manage.py database_roles`: the roles of an external PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError

from apps.kernel.database import roles
from rustok import servers


class Command(BaseCommand):
    tenancy = "public"
    help = (
        "Make the database and its roles, with the names and passwords of DATABASE_URL (the application) and "
        "DATABASE_MIGRATOR_URL (migrate), as the superuser of DATABASE_SUPERUSER_URL. Can be run again: it makes what "
        "is missing, and sets passwords and rights anew. Exits with 1 when a variable is missing or the server refuses."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        facts = servers.connection_facts()
        app, migrator, superuser = facts.database, facts.migrator, facts.superuser
        if migrator is None or superuser is None:
            raise CommandError("Set DATABASE_URL, DATABASE_MIGRATOR_URL and DATABASE_SUPERUSER_URL, all three.")
        if len({app.user, migrator.user, superuser.user}) < 3:
            raise CommandError("The three variables name the same user twice: each role needs its own.")
        if not app.options.get("passfile") and not (app.password and migrator.password):
            raise CommandError("DATABASE_URL and DATABASE_MIGRATOR_URL must hold the passwords the roles shall get.")
        try:
            self._make(app, migrator, superuser)
        except psycopg.Error as error:
            raise CommandError(f"PostgreSQL refused: {str(error).strip()}") from error

    def _make(
        self, app: servers.DatabaseFacts, migrator: servers.DatabaseFacts, superuser: servers.DatabaseFacts
    ) -> None:
        with superuser.connect(database="postgres") as connection:
            made = roles.ensure(connection, migrator=(migrator.user, migrator.password), app=(app.user, app.password))
            is_new = roles.ensure_database(connection, name=app.name)
        with superuser.connect(database=app.name) as connection:
            # What was there before the roles were belongs to whoever logged in then.
            roles.own(connection)
        self.stdout.write(f"{'Made' if is_new else 'Found'} the database {app.name}.")
        self.stdout.write(f"Made the roles {', '.join(made)}." if made else "All roles were there.")
        self.stdout.write("Now run manage.py migrate.")
