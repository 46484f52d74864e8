"""Row policies, owners and grants of every table, made right after each migrate; run as the migrator.

Every table with a column `tenant_id`, partitions included, shows and takes only rows of the tenant that the cursors
tell of. A table that somebody forgets is covered all the same, and the catalogue is compared by a test.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from psycopg import sql

from apps.kernel.database import roles

# What may be done to rows. Partitions are written through their parent only.
ALL = "SELECT, INSERT, UPDATE, DELETE"
READ = "SELECT"
GENERATION = "__g[0-9]+$"
TABLES = """
SELECT c.oid::regclass::text, c.relname, c.relispartition, EXISTS (
    SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT {unfinished}
ORDER BY c.relname
"""
# A generation of a read model that is being built may only be written: consumers_finish_generation() does the rest.
UNFINISHED = f"(c.relname ~ '{GENERATION}' AND NOT c.relhasindex)"


def ensure(cursor: Any, *, app: str, columns: Mapping[str, str], rights: Mapping[str, str]) -> None:
    """Bring policies, owners and grants up to date; what is right is left alone. Idempotent.

    `app` is the application's role. `columns` names the column of tables whose tenant is not in `tenant_id`, such as
    that of tenants; `rights` those of tables in which the application may not do everything to rows.
    """
    cursor.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(sql.Identifier(roles.OWNER)))
    cursor.execute(TABLES.format(unfinished=UNFINISHED))
    for name, relation, is_partition, has_tenant in cursor.fetchall():
        if relation in columns or has_tenant:
            cursor.execute("SELECT rustok_isolate(%s::regclass, %s)", [name, columns.get(relation, "tenant_id")])
        _grant(cursor, relation, app, READ if is_partition else rights.get(relation, ALL))
        if re.search(GENERATION, relation):
            _grant(cursor, relation, roles.SEARCHER, "SELECT")
    _grant_the_rest(cursor, app)
    roles.own(cursor)


def _grant(cursor: Any, relation: str, role: str, rights: str) -> None:
    names = {"table": sql.Identifier(relation), "role": sql.Identifier(role)}
    cursor.execute(sql.SQL("REVOKE ALL ON {table} FROM {role}, PUBLIC").format(**names))
    cursor.execute(sql.SQL("GRANT " + rights + " ON {table} TO {role}").format(**names))


def _grant_the_rest(cursor: Any, app: str) -> None:
    """Views are asked with the rights of who asks; functions that act as their owner are for the application alone."""
    name = sql.Identifier(app)
    cursor.execute(sql.SQL("GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {}").format(name))
    cursor.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'v' "
        "AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')"
    )
    for (view,) in cursor.fetchall():
        cursor.execute(
            sql.SQL("GRANT SELECT ON {} TO {}, {}").format(sql.SQL(view), name, sql.Identifier(roles.SEARCHER))
        )
    cursor.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    )
    for (function,) in cursor.fetchall():
        cursor.execute(sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function)))
        cursor.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.SQL(function), name))
