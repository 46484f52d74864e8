"""The one writer of read models: an aggregate's rows are replaced as a whole, a batch at a time, by DELETE and COPY."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection
from psycopg import sql

from apps.consumers import projections


@dataclass(frozen=True, slots=True)
class Folded:
    """An aggregate after its newest event; `state` None means it is gone and only its version is remembered."""

    tenant_id: uuid.UUID
    id: uuid.UUID
    version: int
    state: projections.State | None


def load(
    projection: projections.Projection, generation: int, keys: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> dict[tuple[uuid.UUID, uuid.UUID], Folded]:
    """The stored states of the aggregates (tenant_id, id) that have one."""
    query = sql.SQL(
        "SELECT tenant_id, id, version, state FROM {} "
        "WHERE (tenant_id, id) IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[]))"
    ).format(sql.Identifier(projection.state_relation.table(generation)))
    with connection.cursor() as cursor:
        cursor.execute(query, _columns(keys))
        return {
            (row[0], row[1]): Folded(row[0], row[1], row[2], orjson.loads(row[3]) if row[3] else None)
            for row in cursor.fetchall()
        }


def replace(projection: projections.Projection, generation: int, folded: Sequence[Folded], *, fresh: bool) -> None:
    """Write states and rendered rows; `fresh` promises that none of the aggregates is stored yet."""
    if not folded:
        return
    rows = rows_of(projection, folded)
    keys = [(entry.tenant_id, entry.id) for entry in folded]
    with connection.cursor() as cursor:
        for relation in projection.all_relations:
            table = sql.Identifier(relation.table(generation))
            if not fresh:
                cursor.execute(
                    sql.SQL(
                        "DELETE FROM {} WHERE (tenant_id, id) IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[]))"
                    ).format(table),
                    _columns(keys),
                )
            columns = sql.SQL(", ").join(sql.Identifier(name) for name in relation.columns)
            with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(table, columns)) as copy:
                for row in rows[relation.template]:
                    copy.write_row(row)


def rows_of(projection: projections.Projection, folded: Iterable[Folded]) -> dict[str, list[projections.Row]]:
    """The rows of every relation for these aggregates, by template name."""
    rows: dict[str, list[projections.Row]] = {relation.template: [] for relation in projection.all_relations}
    for entry in folded:
        state = None if entry.state is None else orjson.dumps(entry.state).decode()
        rows[projection.state_template].append((entry.tenant_id, entry.id, entry.version, state))
        if entry.state is not None:
            for template, rendered in projection.render(entry.tenant_id, entry.id, entry.state).items():
                rows[template].extend(rendered)
    return rows


def read_rows(
    relation: projections.Relation, generation: int, keys: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> list[tuple[Any, ...]]:
    """The stored rows of these aggregates, the columns as `render` gives them."""
    query = sql.SQL("SELECT {} FROM {} WHERE (tenant_id, id) IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[]))")
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in relation.columns)
    with connection.cursor() as cursor:
        cursor.execute(query.format(columns, sql.Identifier(relation.table(generation))), _columns(keys))
        return list(cursor.fetchall())


def count_rows(relation: projections.Relation, generation: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(relation.table(generation))))
        return int(cursor.fetchone()[0])


def _columns(keys: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> list[list[uuid.UUID]]:
    return [[key[0] for key in keys], [key[1] for key in keys]]
