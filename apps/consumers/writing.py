"""The one writer of read models: an aggregate's rows are replaced as a whole, a batch at a time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any, NamedTuple

import orjson
from django.db import DataError, connection, transaction
from psycopg import sql

from apps.consumers import projections

# The lane of a row as envelope.lane_of has it.
LANE = sql.SQL("mod(crc32(uuid_send(tenant_id) || uuid_send(id)), 256)")


DELETE = "DELETE FROM {table} WHERE (tenant_id, id) IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[]))"
ROWS_PER_INSERT = 500


# Tuples, as `envelope.Event` is: a rebuild makes one of each for every aggregate.
class Folded(NamedTuple):
    """An aggregate after its newest event; `state` None means it is gone and only its version is remembered."""

    tenant_id: uuid.UUID
    id: uuid.UUID
    version: int
    state: projections.State | None


class Rendered(NamedTuple):
    """An aggregate with the rows it gives, by template name; its state is one of them."""

    tenant_id: uuid.UUID
    id: uuid.UUID
    rows: dict[str, list[projections.Row]]


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


def read_states(projection: projections.Projection, generation: int, lanes: tuple[int, int]) -> Iterator[Folded]:
    """The stored states of all aggregates in a range of lanes. Needs an open transaction."""
    query = sql.SQL("SELECT tenant_id, id, version, state FROM {} WHERE {} BETWEEN %s AND %s").format(
        sql.Identifier(projection.state_relation.table(generation)), LANE
    )
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, lanes)
        while rows := cursor.fetchmany(1000):
            for tenant_id, aggregate_id, version, state in rows:
                yield Folded(tenant_id, aggregate_id, version, orjson.loads(state) if state else None)


def render(projection: projections.Projection, folded: Folded) -> Rendered:
    """The rows of every relation for an aggregate, by template name. Raises what the projection's `render` raises."""
    state = None if folded.state is None else orjson.dumps(folded.state).decode()
    rows: dict[str, list[projections.Row]] = {relation.template: [] for relation in projection.relations}
    rows[projection.state_template] = [(folded.tenant_id, folded.id, folded.version, state)]
    if folded.state is not None:
        rows |= projection.render(folded.tenant_id, folded.id, folded.state)
    return Rendered(folded.tenant_id, folded.id, rows)


def replace(projection: projections.Projection, generation: int, built: Sequence[Rendered], *, fresh: bool) -> None:
    """Write the aggregates' rows in place of those stored; `fresh` is for a generation that is not finished yet."""
    if not built:
        return
    keys = [(entry.tenant_id, entry.id) for entry in built]
    with connection.cursor() as cursor:
        for relation in projection.all_relations:
            rows = [row for entry in built for row in entry.rows.get(relation.template, ())]
            names = {
                "table": sql.Identifier(relation.table(generation)),
                "columns": sql.SQL(", ").join(sql.Identifier(name) for name in relation.columns),
            }
            if fresh:
                # Django translates the errors of execute() by itself, not those of copy().
                with (
                    connection.wrap_database_errors,
                    cursor.copy(sql.SQL("COPY {table} ({columns}) FROM STDIN").format(**names)) as copy,
                ):
                    for row in rows:
                        copy.write_row(row)
                continue
            cursor.execute(sql.SQL(DELETE).format(**names), _columns(keys))
            # Not by COPY, which PostgreSQL refuses where row policies are.
            for part in batched(rows, ROWS_PER_INSERT):
                values = ", ".join([f"({', '.join(['%s'] * len(relation.columns))})"] * len(part))
                insert = sql.SQL("INSERT INTO {table} ({columns}) VALUES ").format(**names) + sql.SQL(values)
                cursor.execute(insert, [value for row in part for value in row])


def replace_each(
    projection: projections.Projection, generation: int, built: Sequence[Rendered], *, fresh: bool
) -> dict[tuple[uuid.UUID, uuid.UUID], str]:
    """`replace` that survives values Postgres refuses: halved again and again until their aggregate stands alone.

    Returns the errors of those left out, by (tenant_id, id); their stored rows stay as they were.
    """
    try:
        with transaction.atomic():
            replace(projection, generation, built, fresh=fresh)
    except DataError as error:
        if len(built) == 1:
            return {(built[0].tenant_id, built[0].id): repr(error)}
        middle = len(built) // 2
        return replace_each(projection, generation, built[:middle], fresh=fresh) | replace_each(
            projection, generation, built[middle:], fresh=fresh
        )
    return {}


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
