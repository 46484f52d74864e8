"""What the catalogue of the database must say, so that tenants are kept apart even where the code forgets a filter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Tables whose tenant stands in another column.
OTHER_COLUMNS = {"tenants_tenant": "id"}
# Functions that act as somebody else than their caller, and why they may.
DEFINERS = {
    "outbox_make_partition": "partitions belong to the owner",
    "outbox_detach_partition": "partitions belong to the owner",
    "outbox_drop_detached": "partitions belong to the owner",
    "consumers_make_generation": "generations belong to the owner",
    "consumers_finish_generation": "generations belong to the owner",
    "consumers_show_generation": "generations belong to the owner",
    "consumers_drop_generation": "generations belong to the owner",
    "readmodels_search": "text indexes are of no use past row policies; takes the tenant from the transaction",
    "readmodels_count_found": "as readmodels_search",
    "audit_prune": "nobody else may delete entries",
    "audit_purge": "nobody else may delete entries",
}
# Uniques over all tenants, and why they have to be.
GLOBAL_UNIQUES = {
    "tenants_tenant_slug_key": "a slug is a sub-domain",
    "tenants_domain_pkey": "a host leads to one tenant",
    "consumers_parked_once": "the tenant is part of it, behind the consumer that asks",
    "consumers_effect_pkey": "the key holds the position of an event, which nobody chooses",
}
TENANTED = """
SELECT c.oid::regclass::text AS name, c.relrowsecurity AND c.relforcerowsecurity AS is_forced, c.relispartition,
       pg_get_userbyid(c.relowner) AS owner,
       COALESCE((SELECT array_agg(p.polcmd::text || ':' || COALESCE(pg_get_expr(p.polqual, p.polrelid), '') || ':'
                                  || COALESCE(pg_get_expr(p.polwithcheck, p.polrelid), '') ORDER BY p.polcmd)
                 FROM pg_policy p WHERE p.polrelid = c.oid), '{}') AS policies
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND (c.relname = ANY (%(others)s) OR EXISTS (
      SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
"""
GRANTS = """
SELECT c.oid::regclass::text, c.relispartition, c.relkind,
       ARRAY(SELECT a.privilege_type FROM aclexplode(c.relacl) a WHERE a.grantee = %(app)s::regrole ORDER BY 1),
       ARRAY(SELECT pg_get_userbyid(a.grantee) || ':' || a.privilege_type FROM aclexplode(c.relacl) a
             WHERE a.grantee NOT IN (c.relowner, %(app)s::regrole, 'rustok_search'::regrole) ORDER BY 1)
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
VIEWS = """
SELECT c.oid::regclass::text, c.relkind FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')
  AND NOT COALESCE('security_invoker=true' = ANY (c.reloptions), false)
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
FUNCTIONS = """
SELECT p.proname, COALESCE(array_to_string(p.proconfig, ','), ''),
       EXISTS (SELECT 1 FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
"""
UNIQUES = """
SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text, i.indisprimary,
       (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0]),
       ARRAY(SELECT format_type(a.atttypid, NULL) FROM pg_attribute a
             WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::smallint[]))
FROM pg_index i WHERE i.indisunique AND i.indrelid = ANY (%(tables)s::regclass[])
"""
REFERENCES = """
SELECT k.conname, k.conrelid::regclass::text, k.confrelid::regclass::text,
       ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))
FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = ANY (%(tables)s::regclass[])
  AND k.confrelid = ANY (%(tables)s::regclass[])
"""
POWERS = "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = %(app)s"


def problems(cursor: Any, *, app: str) -> list[str]:
    """What the catalogue says that it must not, one sentence each; empty when all is well."""
    cursor.execute(TENANTED, {"others": list(OTHER_COLUMNS)})
    tables = {row[0]: row for row in cursor.fetchall()}
    return [
        *_policies(tables),
        *_grants(cursor, app),
        *_doors(cursor),
        *_keys(cursor, sorted(tables)),
        *_powers(cursor, app),
    ]


def _policies(tables: dict[str, Any]) -> Iterator[str]:
    for name, is_forced, _, owner, policies in tables.values():
        if not is_forced:
            yield f"{name} has a tenant, and row-level security is not forced on it"
        if owner != "rustok_owner":
            yield f"{name} belongs to {owner}"
        shown = _expression(OTHER_COLUMNS.get(name, "tenant_id"))
        expected = sorted([f"a::{shown}", f"d:{shown}:", f"r:{shown}:", f"w:{shown}:{shown}"])
        if sorted(policies) != expected:
            yield f"{name} has other policies than one per command that compares the tenant: {policies}"


def _expression(column: str) -> str:
    told = "current_setting('app.tenant_id'::text, true)"
    return (
        f"(({column} = ( SELECT (NULLIF(NULLIF({told}, ''::text), '*'::text))::uuid AS \"nullif\")) "
        f"OR ( SELECT ({told} = '*'::text)))"
    )


def _grants(cursor: Any, app: str) -> Iterator[str]:
    cursor.execute(GRANTS, {"app": app})
    for name, is_partition, kind, own, others in cursor.fetchall():
        allowed = {"SELECT"} if is_partition or kind == "v" else {"SELECT", "INSERT", "UPDATE", "DELETE"}
        if extra := set(own) - allowed:
            yield f"{app} may {', '.join(sorted(extra))} {name}"
        if others:
            yield f"{name} is open to {', '.join(others)}"


def _doors(cursor: Any) -> Iterator[str]:
    cursor.execute(VIEWS)
    for name, kind in cursor.fetchall():
        yield f"{'materialised view' if kind == 'm' else 'view'} {name} is not asked with the rights of who asks"
    cursor.execute(FUNCTIONS)
    for name, config, is_public in cursor.fetchall():
        if name not in DEFINERS:
            yield f"function {name} acts as its owner, and no reason is known"
        if "search_path=" not in config or "pg_temp" not in config.rpartition("search_path=")[2]:
            yield f"function {name} acts as its owner with a search path of its caller"
        if is_public:
            yield f"function {name} acts as its owner for everybody"


def _keys(cursor: Any, tables: list[str]) -> Iterator[str]:
    cursor.execute(UNIQUES, {"tables": tables})
    for index, table, is_primary, first, types in cursor.fetchall():
        column = OTHER_COLUMNS.get(table, "tenant_id")
        # An id nobody can guess or choose tells nothing by being taken.
        is_drawn = is_primary and set(types) <= {"uuid", "bigint"}
        if first != column and not is_drawn and index not in GLOBAL_UNIQUES and not _is_digest(index):
            yield f"{index} on {table} is unique over all tenants"
    cursor.execute(REFERENCES, {"tables": tables})
    for name, table, target, columns in cursor.fetchall():
        if target != "tenants_tenant" and "tenant_id" not in columns:
            yield f"{name}: {table} may refer to a row of {target} of another tenant"


def _is_digest(index: str) -> bool:
    """Hashes of secrets are looked up before it is known whose they are."""
    return "digest" in index or "token" in index


def _powers(cursor: Any, app: str) -> Iterator[str]:
    cursor.execute(POWERS, {"app": app})
    names = ("a superuser", "past row policies", "a maker of roles", "a maker of databases")
    yield from (f"{app} is {name}" for name, holds in zip(names, cursor.fetchone(), strict=True) if holds)
