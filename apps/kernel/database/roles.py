"""The roles of the database, and who may what.

owner      owns all tables and functions; nobody logs in as it
migrator   changes tables and sees all rows; for `manage.py migrate` only
app        reads and writes rows that the row policies show it; owns nothing, and cannot TRUNCATE
searcher   owns the functions that search, which full-text indexes serve only past row policies; reads documents
exporter   reads statistics, no rows; for Prometheus
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg import sql

OWNER = "rustok_owner"
SEARCHER = "rustok_search"
EXPORTER = "rustok_exporter"
MIGRATOR = "rustok_migrator"
APP = "rustok_app"

Connection = psycopg.Connection[Any]

OWN = """
DO $$
DECLARE
    _object record;
BEGIN
    FOR _object IN
        SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
               oid::regclass::text AS name
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> {owner}::regrole
              -- Of an extension, or a sequence of a column, which goes with its table.
              AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND (
                  deptype = 'e' OR relkind = 'S' AND deptype IN ('a', 'i') AND refclassid = 'pg_class'::regclass))
        UNION ALL
        SELECT 'FUNCTION', oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proowner NOT IN ({owner}::regrole, {searcher}::regrole)
              AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO %I', _object.kind, _object.name, {owner});
    END LOOP;
END $$;
"""

POWERS = """
SELECT rolname, rolsuper, rolbypassrls, EXISTS (
    SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
       AND pg_has_role(current_user, relowner, 'USAGE'))
FROM pg_roles WHERE rolname = current_user
"""

_ATTRIBUTES = {
    OWNER: "NOLOGIN NOSUPERUSER NOBYPASSRLS",
    SEARCHER: "NOLOGIN NOSUPERUSER BYPASSRLS",
    EXPORTER: "NOSUPERUSER NOBYPASSRLS",
    MIGRATOR: "LOGIN NOSUPERUSER BYPASSRLS",
    APP: "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE",
}


class RoleTooPowerful(ImproperlyConfigured):
    """The database role could read past the row policies."""


def refuse_powerful(cursor: Any) -> None:
    """Raises RoleTooPowerful where the role of the session is one that row policies would not hold."""
    cursor.execute(POWERS)
    name, is_superuser, bypasses, owns = cursor.fetchone()
    powers = {"a superuser": is_superuser, "BYPASSRLS": bypasses, "the owner of tables": owns}
    if found := [power for power, is_held in powers.items() if is_held]:
        raise RoleTooPowerful(
            f'The database role "{name}" is {" and ".join(found)}: row policies would not hold it, and tenants would '
            "see each other's rows. Make the roles with manage.py database_roles, and log in as the application's."
        )


def ensure(
    superuser: Connection, *, migrator: tuple[str, str], app: tuple[str, str], may_create_databases: bool = False
) -> list[str]:
    """Make the roles that are missing and set right what the others may; returns the names of those it made.

    `migrator` and `app` are (name, password) of the two that log in. `may_create_databases` lets the migrator make
    those of tests. Idempotent.
    """
    roles = [(OWNER, OWNER, ""), (SEARCHER, SEARCHER, ""), (EXPORTER, EXPORTER, "")]
    roles += [(MIGRATOR, *migrator), (APP, *app)]
    made = [name for part, name, password in roles if _ensure_role(superuser, _ATTRIBUTES[part], name, password)]
    for group in (OWNER, SEARCHER):
        _grant(superuser, group, migrator[0])
    _grant(superuser, "pg_monitor", EXPORTER)
    if may_create_databases:
        superuser.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(migrator[0])))
    return made


def ensure_database(superuser: Connection, *, name: str) -> bool:
    """Make the database, owned by the owner of everything in it; whether it was missing."""
    if superuser.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        statement = sql.SQL("ALTER DATABASE {} OWNER TO {}")
        superuser.execute(statement.format(sql.Identifier(name), sql.Identifier(OWNER)))
        return False
    superuser.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER)))
    return True


def own(database: Any) -> None:
    """Give the tables, views, sequences and functions of others to the owner. `database` has `execute`."""
    database.execute(sql.SQL(OWN).format(owner=sql.Literal(OWNER), searcher=sql.Literal(SEARCHER)))


def _ensure_role(superuser: Connection, attributes: str, name: str, password: str) -> bool:
    known = superuser.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    statement = sql.SQL("ALTER ROLE {} " if known else "CREATE ROLE {} ").format(sql.Identifier(name))
    statement += sql.SQL(attributes)
    if password:
        statement += sql.SQL(" PASSWORD {}").format(sql.Literal(password))
    superuser.execute(statement)
    return not known


def _grant(superuser: Connection, group: str, member: str) -> None:
    superuser.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(member)))
