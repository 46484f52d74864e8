"""Row policies, owners and grants of every table, made right after each migrate; run as the migrator.

Every table with a column `tenant_id`, partitions included, shows and takes only rows of the tenant that the cursors
tell of. A table that somebody forgets is covered all the same, and the catalogue is compared by a test.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from psycopg import sql

from apps.kernel.database import roles

# What may be done to rows. Partitions are written through their parent only.
ALL = "SELECT, INSERT, UPDATE, DELETE"
READ = "SELECT"
GENERATION = "__g[0-9]+$"
# What is granted is read first: a GRANT writes the catalogue and has every session read it again even where it changes
# nothing, and two at once fail. `held` is role=right, the role empty for everybody; rights on columns are never wanted.
TABLES = """
SELECT c.oid::regclass::text, c.relname, c.relispartition, EXISTS (
    SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped),
    ARRAY(
        SELECT concat(CASE WHEN acl.grantee <> 0 THEN pg_get_userbyid(acl.grantee) END, '=', acl.privilege_type)
        FROM aclexplode(c.relacl) acl
        UNION ALL
        SELECT concat(CASE WHEN acl.grantee <> 0 THEN pg_get_userbyid(acl.grantee) END, '=', a.attname)
        FROM pg_attribute a, aclexplode(a.attacl) acl WHERE a.attrelid = c.oid) AS held
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT {unfinished}
ORDER BY c.relname
"""
# What a query finds does not have yet what the statement gives it. Views are asked with the rights of who asks;
# functions that act as their owner are for the application alone.
THE_REST = (
    (
        """
        SELECT nspname FROM pg_namespace WHERE nspname = 'public'
            AND NOT (has_schema_privilege(%(owner)s, oid, 'USAGE') AND has_schema_privilege(%(owner)s, oid, 'CREATE'))
        """,
        "GRANT USAGE, CREATE ON SCHEMA {0} TO {owner}",
    ),
    (
        """
        SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
            AND NOT (has_sequence_privilege(%(app)s, oid, 'USAGE') AND has_sequence_privilege(%(app)s, oid, 'SELECT')
                     AND has_sequence_privilege(%(app)s, oid, 'UPDATE'))
        """,
        "GRANT USAGE, SELECT, UPDATE ON SEQUENCE {0} TO {app}",
    ),
    (
        """
        SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
            AND NOT (has_table_privilege(%(app)s, oid, 'SELECT') AND has_table_privilege(%(searcher)s, oid, 'SELECT'))
            AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
        """,
        "GRANT SELECT ON {0} TO {app}, {searcher}",
    ),
    (
        """
        SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
            AND (NOT has_function_privilege(%(app)s, oid, 'EXECUTE') OR proacl IS NULL
                 OR EXISTS (SELECT 1 FROM aclexplode(proacl) WHERE grantee = 0))
        """,
        "REVOKE ALL ON FUNCTION {0} FROM PUBLIC; GRANT EXECUTE ON FUNCTION {0} TO {app}",
    ),
    # Whoever has a generation made is granted it, which here is the migrator: it needs nothing beside its membership.
    (
        """
        SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
            AND relkind IN ('r', 'p', 'v') AND relowner = %(owner)s::regrole AND session_user <> %(app)s
            AND EXISTS (SELECT 1 FROM aclexplode(relacl) WHERE grantee = session_user::regrole)
        """,
        "REVOKE ALL ON {0} FROM SESSION_USER",
    ),
)
# A generation of a read model that is being built may only be written: consumers_finish_generation() does the rest.
UNFINISHED = f"(c.relname ~ '{GENERATION}' AND NOT c.relhasindex)"


def ensure(cursor: Any, *, app: str, columns: Mapping[str, str], rights: Mapping[str, str]) -> None:
    """Bring policies, owners and grants up to date; what is right is left alone. Idempotent.

    `app` is the application's role. `columns` names the column of tables whose tenant is not in `tenant_id`, such as
    that of tenants; `rights` those of tables in which the application may not do everything to rows.
    """
    cursor.execute(TABLES.format(unfinished=UNFINISHED))
    for name, relation, is_partition, has_tenant, held in cursor.fetchall():
        if relation in columns or has_tenant:
            cursor.execute("SELECT rustok_isolate(%s::regclass, %s)", [name, columns.get(relation, "tenant_id")])
        _grant(cursor, relation, app, READ if is_partition else rights.get(relation, ALL), held)
        if re.search(GENERATION, relation):
            _grant(cursor, relation, roles.SEARCHER, "SELECT", held)
    _grant_the_rest(cursor, app)
    roles.own(cursor)


def _grant(cursor: Any, relation: str, role: str, rights: str, held: Collection[str]) -> None:
    wanted = {f"{role}={right}" for right in rights.split(", ")}
    if {entry for entry in held if entry.startswith((f"{role}=", "="))} == wanted:
        return
    names = {"table": sql.Identifier(relation), "role": sql.Identifier(role)}
    cursor.execute(sql.SQL("REVOKE ALL ON {table} FROM {role}, PUBLIC").format(**names))
    cursor.execute(sql.SQL("GRANT " + rights + " ON {table} TO {role}").format(**names))


def _grant_the_rest(cursor: Any, app: str) -> None:
    named = {"app": app, "owner": roles.OWNER, "searcher": roles.SEARCHER}
    for query, statement in THE_REST:
        cursor.execute(query, named)
        for (name,) in cursor.fetchall():
            identifiers = {role: sql.Identifier(value) for role, value in named.items()}
            cursor.execute(sql.SQL(statement).format(sql.SQL(name), **identifiers))
