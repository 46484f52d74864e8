"""Which tables hold a tenant's rows, in the order of their foreign keys; and what is left out of an export, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import LiteralString

from django.contrib.auth.models import Permission
from django.db import connection
from psycopg import sql

from apps.accounts.models import User
from apps.consumers import projections
from apps.tenants.models import Tenant

TENANTS = Tenant._meta.db_table
USERS = User._meta.db_table
PERMISSIONS = Permission._meta.db_table
# What rows of the installation's own tables are called outside, as an expression of SQL: the same everywhere.
NAMES: dict[str, LiteralString] = {
    USERS: "email",
    PERMISSIONS: "(SELECT app_label FROM django_content_type c WHERE c.id = content_type_id) || '.' || codename",
}
LOG = "outbox_log"
# Read whole, from archives too, and put back in order: `apps.outbox.history`.
EVENTS = "its events are exported as streams"
READ_MODEL = "a read model: built from the events"
LETS_IN = "lets somebody in here: made anew where the tenant goes"
AT_WORK = "work of this installation, asked for by its people and forgotten within days"
SEALED = "sealed with keys of this installation, where it can be verified"
LEFT_OUT = {
    LOG: EVENTS,
    "outbox_stream": EVENTS,
    "consumers_parked": "where a consumer of this installation stands",
    "consumers_effect": "what this installation has told, or will tell, the outside",
    "accounts_apikey": LETS_IN,
    "accounts_invitation": LETS_IN,
    "accounts_customersession": LETS_IN,
    "accounts_customerrefreshtoken": LETS_IN,
    "accounts_customermailedtoken": LETS_IN,
    "accounts_authzversion": "counts changes of rights in this installation",
    "accounts_breakglass": "what the staff of this installation was let into",
    "tenants_idempotencyrecord": "what callers of this installation may send again",
    "jobs_job": AT_WORK,
    "jobs_operation": AT_WORK,
    "imports_run": AT_WORK,
    "imports_piece": AT_WORK,
    "imports_entry": AT_WORK,
    "imports_problem": AT_WORK,
    "audit_entry": SEALED,
    "audit_personal": SEALED,
}
# Columns of exported rows that are kept back, with what stands in them after an import, as an expression of SQL.
KEPT_BACK: dict[str, dict[str, LiteralString]] = {
    # What Django takes for no password: another one is set by mail.
    "accounts_customer": {"password": "'!' || replace(gen_random_uuid()::text, '-', '')"},
}

COLUMNS = """
SELECT c.relname, a.attname, a.attidentity <> '', a.attgenerated <> '', a.attnotnull AND NOT a.atthasdef,
       COALESCE(array_position(i.indkey::smallint[], a.attnum), -1)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname, a.attname
"""
REFERENCES = """
SELECT k.conrelid::regclass::text, k.confrelid::regclass::text,
       (SELECT array_agg(a.attname ORDER BY o.i) FROM unnest(k.conkey) WITH ORDINALITY AS o(n, i)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.n),
       (SELECT array_agg(a.attname ORDER BY o.i) FROM unnest(k.confkey) WITH ORDINALITY AS o(n, i)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = o.n)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND NOT c.relispartition
"""


@dataclass(frozen=True, slots=True)
class Column:
    """`is_surrogate` is a number the database draws, which nothing outside the row may know."""

    name: str
    is_surrogate: bool
    is_generated: bool
    is_needed: bool
    key_place: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of a table: `columns` point at `target_columns` of `target`."""

    target: str
    columns: tuple[str, ...]
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with rows of tenants; `reason` says why it is not exported, empty when it is.

    `ranked` are columns that point at a number the database draws, with the table and the column of that: outside it
    stands as the place of the row among the tenant's.
    """

    name: str
    columns: tuple[Column, ...]
    references: tuple[Reference, ...]
    reason: str
    ranked: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def tenant_column(self) -> str:
        return "id" if self.name == TENANTS else "tenant_id"

    @property
    def moved(self) -> tuple[str, ...]:
        """The columns of an exported row, in alphabetical order. The tenant's id is that of the whole archive."""
        return tuple(
            column.name
            for column in self.columns
            if not column.is_surrogate
            and not column.is_generated
            and column.name not in (self.tenant_column, *self.kept_back)
        )

    @property
    def kept_back(self) -> dict[str, LiteralString]:
        """The columns that do not leave, and the expression that fills each of them where the row arrives."""
        return KEPT_BACK.get(self.name, {})

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key, in its order."""
        places = sorted((column.key_place, column.name) for column in self.columns if column.key_place >= 0)
        return tuple(name for _, name in places)

    @property
    def named(self) -> dict[str, str]:
        """The columns that point at rows of the installation, each with their table; outside stand names: `NAMES`."""
        return {entry.columns[0]: entry.target for entry in self.references if entry.target in NAMES}

    @property
    def parents(self) -> tuple[Reference, ...]:
        """The references to rows of the same table."""
        return tuple(entry for entry in self.references if entry.target == self.name)

    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)


def tables() -> list[Table]:
    """Every table with rows of tenants, those they refer to first. Raises graphlib.CycleError."""
    columns, references = _columns(), _references()
    found = {
        name: Table(
            name, tuple(own), tuple(references.get(name, ())), _reason(name), _ranked(references.get(name, ()), columns)
        )
        for name, own in columns.items()
        if name == TENANTS or any(column.name == "tenant_id" for column in own)
    }
    graph = {
        name: {entry.target for entry in table.references if entry.target in found and entry.target != name}
        for name, table in sorted(found.items())
    }
    return [found[name] for name in TopologicalSorter(graph).static_order()]


def exported() -> list[Table]:
    """The tables an archive has, in the order in which they can be filled."""
    return [table for table in tables() if not table.reason]


def all_names() -> list[str]:
    """Every table of the installation."""
    return sorted(_columns())


def _ranked(references: Iterable[Reference], columns: Mapping[str, list[Column]]) -> dict[str, tuple[str, str]]:
    return {
        own: (reference.target, other)
        for reference in references
        for own, other in zip(reference.columns, reference.target_columns, strict=True)
        if any(column.name == other and column.is_surrogate for column in columns[reference.target])
        if any(column.name == "tenant_id" for column in columns[reference.target])
    }


def _reason(name: str) -> str:
    template = re.sub(r"__g\d+$", "", name)
    templates = {relation.template for each in projections.all_projections() for relation in each.all_relations}
    return READ_MODEL if template in templates else LEFT_OUT.get(name, "")


def _columns() -> dict[str, list[Column]]:
    found: dict[str, list[Column]] = {}
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        for table, name, is_identity, is_generated, is_needed, key_place in cursor.fetchall():
            found.setdefault(table, []).append(Column(name, is_identity, is_generated, is_needed, key_place))
    return found


def _references() -> dict[str, list[Reference]]:
    found: dict[str, list[Reference]] = {}
    for table, target, columns, target_columns in _fetched_references():
        found.setdefault(table, []).append(Reference(target, tuple(columns), tuple(target_columns)))
    return found


def _fetched_references() -> Iterator[tuple[str, str, list[str], list[str]]]:
    with connection.cursor() as cursor:
        cursor.execute(REFERENCES)
        yield from cursor.fetchall()
