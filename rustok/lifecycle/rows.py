"""A tenant's rows as lines of canonical JSON, and back: the same bytes for the same row in every installation.

Numbers the database draws are left out and drawn anew in the same order, and where a row points at one stands its place
among the tenant's; people stand by their e-mail, permissions by their name; the tenant's id is not in the rows, so that
they can't be another one's.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection
from psycopg import sql

from apps.kernel import errors
from rustok.lifecycle.catalogue import NAMES, USERS, Table

CHUNK = 1000
MODULUS = 2**256


class NotHere(errors.DomainError):
    """A row points at something by a name or a place that nothing here has."""

    code = "archive_refused"


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
    with connection.chunked_cursor() as cursor:
        cursor.execute(selection(table, tenant_id))
        while found := cursor.fetchmany(CHUNK):
            for (text,) in found:
                yield text.encode()


def selection(table: Table, tenant_id: uuid.UUID) -> sql.Composed:
    """The statement behind `read`. What it takes grows with the number of rows as sorting them does."""
    query = sql.SQL("SELECT row_to_json(r)::text FROM (SELECT {} FROM {} t WHERE {} = {} ORDER BY {}) r")
    return query.format(
        sql.SQL(", ").join(_outside(table, column, tenant_id) for column in table.moved),
        table.identifier(),
        sql.Identifier("t", table.tenant_column),
        sql.Literal(str(tenant_id)),
        sql.SQL(", ").join(sql.Identifier("t", column) for column in table.key),
    )


def ids_here(table: Table, tenant_id: uuid.UUID, people: Mapping[str, uuid.UUID]) -> dict[str, Mapping[Any, Any]]:
    """By column: what the rows it points at are called outside, and their ids here. `people` are those of users.

    Of a table that is filled after those it refers to: one query per such column.
    """
    found: dict[str, Mapping[Any, Any]] = {}
    for column, target in table.named.items():
        found[column] = people if target == USERS else _ids_by_name(target)
    for column, (target, number) in table.ranked.items():
        found[column] = _numbers_by_place(target, number, tenant_id)
    return found


def write(
    table: Table,
    tenant_id: uuid.UUID,
    lines: Sequence[bytes],
    *,
    columns: Sequence[str],
    ids: Mapping[str, Mapping[Any, Any]],
) -> None:
    """Insert what `read` gave as rows of this tenant; `ids` are those of `ids_here`. Raises NotHere."""
    if ids:
        lines = [_inside(table, line, ids) for line in lines]
    query = sql.SQL("INSERT INTO {} ({}, {}) SELECT %s, {} FROM json_populate_recordset(NULL::{}, %s::json) e").format(
        table.identifier(),
        sql.Identifier(table.tenant_column),
        sql.SQL(", ").join(map(sql.Identifier, [*columns, *table.kept_back])),
        sql.SQL(", ").join(
            [
                *(sql.Identifier("e", column) for column in columns),
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
        for column, target in sorted(table.named.items())
        if target == USERS
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


def _outside(table: Table, column: str, tenant_id: uuid.UUID) -> sql.Composable:
    """The value of a column on its way out."""
    if column in table.ranked:
        target, number = table.ranked[column]
        # The place by halving in the sorted numbers, which are read once: counting those before it would be quadratic.
        numbers = "SELECT array_agg({number} ORDER BY {number}) FROM {target} WHERE tenant_id = {tenant}"
        return sql.SQL("width_bucket({column}, (" + numbers + ")) AS {name}").format(
            column=sql.Identifier("t", column),
            number=sql.Identifier(number),
            target=sql.Identifier(target),
            tenant=sql.Literal(str(tenant_id)),
            name=sql.Identifier(column),
        )
    if column in table.named:
        target = table.named[column]
        return sql.SQL("(SELECT {} FROM {} WHERE id = {}) AS {}").format(
            sql.SQL(NAMES[target]), sql.Identifier(target), sql.Identifier("t", column), sql.Identifier(column)
        )
    return sql.Identifier("t", column)


def _inside(table: Table, line: bytes, ids: Mapping[str, Mapping[Any, Any]]) -> bytes:
    """A line with the ids of this installation in it."""
    row = orjson.loads(line)
    for column, known in ids.items():
        called = row.get(column)
        if called is None:
            continue
        if called not in known:
            raise NotHere(
                f'A row of "{table.name}" points with "{column}" at "{called}", which is not here. '
                "Nothing was imported."
            )
        row[column] = known[called]
    return orjson.dumps(row)


def _ids_by_name(target: str) -> dict[str, Any]:
    query = sql.SQL("SELECT {}, id FROM {}").format(sql.SQL(NAMES[target]), sql.Identifier(target))
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())


def _numbers_by_place(target: str, number: str, tenant_id: uuid.UUID) -> dict[int, int]:
    query = sql.SQL("SELECT row_number() OVER (ORDER BY {number}), {number} FROM {target} WHERE tenant_id = %s")
    with connection.cursor() as cursor:
        cursor.execute(query.format(number=sql.Identifier(number), target=sql.Identifier(target)), [tenant_id])
        return dict(cursor.fetchall())
