"""A tenant's rows as lines of canonical JSON, and back: the same bytes for the same row in every installation.

Numbers the database draws are left out and drawn anew in the same order; people stand by their e-mail; the tenant's id
is not in the rows, so that they can't be another one's.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson
from django.db import connection
from psycopg import sql

from rustok.lifecycle.catalogue import USERS, Table

CHUNK = 1000
MODULUS = 2**256


@dataclass(slots=True)
class Digest:
    """A checksum of rows in whatever order: their number and the sum of their SHA-256."""

    rows: int = 0
    total: int = 0

    def add(self, line: bytes) -> None:
        self.rows += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(line).digest())) % MODULUS

    def hexdigest(self) -> str:
        return hashlib.sha256(f"{self.rows}:{self.total:064x}".encode()).hexdigest()


def count(table: Table, tenant_id: uuid.UUID) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s")
    with connection.cursor() as cursor:
        cursor.execute(query.format(table.identifier(), sql.Identifier(table.tenant_column)), [tenant_id])
        return int(cursor.fetchone()[0])


def read(table: Table, tenant_id: uuid.UUID) -> Iterator[bytes]:
    """Every row of the tenant, in the order of the primary key. Needs an open transaction."""
    query = sql.SQL("SELECT row_to_json(r)::text FROM (SELECT {} FROM {} t WHERE {} = %s ORDER BY {}) r").format(
        sql.SQL(", ").join(_outside(table, column) for column in table.moved),
        table.identifier(),
        sql.Identifier("t", table.tenant_column),
        sql.SQL(", ").join(sql.Identifier("t", column) for column in table.key),
    )
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, [tenant_id])
        while found := cursor.fetchmany(CHUNK):
            for (text,) in found:
                yield text.encode()


def write(
    table: Table,
    tenant_id: uuid.UUID,
    lines: Sequence[bytes],
    *,
    columns: Sequence[str],
    people: Mapping[str, uuid.UUID],
) -> None:
    """Insert what `read` gave as rows of this tenant; `people` are the ids of users by e-mail."""
    if table.people:
        lines = [_inside(table, line, people) for line in lines]
    query = sql.SQL("INSERT INTO {} ({}, {}) SELECT %s, {} FROM json_populate_recordset(NULL::{}, %s::json) e").format(
        table.identifier(),
        sql.Identifier(table.tenant_column),
        sql.SQL(", ").join(map(sql.Identifier, [*columns, *table.kept_back])),
        sql.SQL(", ").join(
            [
                *(_found(table, column, tenant_id) for column in columns),
                *(sql.SQL(expression) for expression in table.kept_back.values()),
            ]
        ),
        table.identifier(),
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [tenant_id, (b"[" + b",".join(lines) + b"]").decode()])


def people(tables: Sequence[Table], tenant_id: uuid.UUID) -> Iterator[bytes]:
    """Id, e-mail and name of every user the tenant's rows point at. Needs an open transaction."""
    pointing = [
        sql.SQL("SELECT {} FROM {} WHERE {} = {}").format(
            sql.Identifier(column),
            table.identifier(),
            sql.Identifier(table.tenant_column),
            sql.Literal(str(tenant_id)),
        )
        for table in tables
        for column in sorted(table.people)
    ]
    if not pointing:
        return
    query = sql.SQL(
        "SELECT json_build_object('email', email, 'id', id, 'name', name)::text FROM {} WHERE id IN ({}) ORDER BY email"
    ).format(sql.Identifier(USERS), sql.SQL(" UNION ").join(pointing))
    with connection.chunked_cursor() as cursor:
        cursor.execute(query)
        while found := cursor.fetchmany(CHUNK):
            for (text,) in found:
                yield text.encode()


def _found(table: Table, column: str, tenant_id: uuid.UUID) -> sql.Composable:
    """The value of a column on its way in: a place becomes the number of the row that stands there."""
    if column not in table.ranked:
        return sql.Identifier("e", column)
    target, other = table.ranked[column]
    there = "SELECT {number} FROM {target} WHERE tenant_id = {tenant} ORDER BY {number} LIMIT 1 OFFSET {place} - 1"
    return sql.SQL("CASE WHEN {place} > 0 THEN (" + there + ") END").format(
        place=sql.Identifier("e", column),
        number=sql.Identifier(other),
        target=sql.Identifier(target),
        tenant=sql.Literal(str(tenant_id)),
    )


def _outside(table: Table, column: str) -> sql.Composable:
    if column in table.ranked:
        target, other = table.ranked[column]
        query = "(SELECT NULLIF(count(*), 0) FROM {} o WHERE o.tenant_id = t.tenant_id AND {} <= {}) AS {}"
        return sql.SQL(query).format(
            sql.Identifier(target), sql.Identifier("o", other), sql.Identifier("t", column), sql.Identifier(column)
        )
    if column not in table.people:
        return sql.Identifier("t", column)
    return sql.SQL("(SELECT email FROM {} WHERE id = {}) AS {}").format(
        sql.Identifier(USERS), sql.Identifier("t", column), sql.Identifier(column)
    )


def _inside(table: Table, line: bytes, people: Mapping[str, uuid.UUID]) -> bytes:
    row = orjson.loads(line)
    known = {column: people[row[column]] for column in table.people if row[column] is not None}
    return orjson.dumps(row | known)
