"""Reading the log: by position for consumers, by aggregate for folds; from archives what is cold, from tables the rest.

Every read looks at what is cold and at the tables in one transaction, so that nothing is dropped in between.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection, transaction

from apps.events import envelope, registry
from apps.kernel import isolation
from apps.outbox import archived

_COLUMNS = """p.position, l.event_id, l.tenant_id, l.aggregate_type, l.aggregate_id, l.version, l.type,
    l.schema_version, l.data, l.actor, l.correlation_id, l.causation_id, l.occurred_at, l.recorded_at"""

WINDOW = f"""
SELECT {_COLUMNS} FROM outbox_position p JOIN outbox_log l ON l.id = p.id
WHERE p.position > %(after)s AND p.position <= %(until)s
  AND p.lane BETWEEN %(lane_low)s AND %(lane_high)s AND l.type = ANY(%(types)s)
ORDER BY p.position
"""  # noqa: S608 - only the column list above is put in

AT = f"SELECT {_COLUMNS} FROM outbox_position p JOIN outbox_log l ON l.id = p.id WHERE p.position = %s"  # noqa: S608

# One row per aggregate: rows are dear in Python, JSON is cheap.
BY_AGGREGATE = """
SELECT l.tenant_id, l.aggregate_type, l.aggregate_id, json_agg(json_build_array(
    p.position, l.event_id, l.version, l.type, l.schema_version, l.data, l.actor, l.correlation_id, l.causation_id,
    l.occurred_at, l.recorded_at) ORDER BY l.version)::text
FROM outbox_log l JOIN outbox_position p ON p.id = l.id
WHERE p.position > %(after)s AND p.position <= %(until)s AND p.lane BETWEEN %(lane_low)s AND %(lane_high)s
  AND (%(buckets)s = 1 OR get_byte(uuid_send(l.aggregate_id), 15) %% %(buckets)s = %(bucket)s)
  AND l.aggregate_type = ANY(%(aggregate_types)s) AND l.type = ANY(%(types)s)
  AND (%(tenant_id)s::uuid IS NULL OR l.tenant_id = %(tenant_id)s)
  AND (%(aggregate_ids)s::uuid[] IS NULL OR l.aggregate_id = ANY(%(aggregate_ids)s))
GROUP BY l.tenant_id, l.aggregate_type, l.aggregate_id
ORDER BY l.tenant_id, l.aggregate_type, l.aggregate_id
"""

COUNT = """
SELECT count(*) FROM outbox_position p JOIN outbox_log l ON l.id = p.id
WHERE p.position > %(after)s AND p.position <= %(until)s AND l.type = ANY(%(types)s)
"""
# Before the snapshot is taken: what it shows as not cold is then in the tables until the end.
ONE_SNAPSHOT = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
LOCK TABLE outbox_archive IN ACCESS SHARE MODE
"""


@contextmanager
def one_snapshot() -> Iterator[None]:
    """A transaction in which every read, of the log or of anything else, sees one moment. Nothing can be written."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(ONE_SNAPSHOT)
        yield


def read_window(
    *, after: int, until: int, types: Sequence[str], lane_low: int = 0, lane_high: int = envelope.LANES - 1
) -> list[envelope.Event]:
    """Events with after < position <= until in position order, as they were stored."""
    isolation.require_all()
    types = registry.stored_names(types)
    with transaction.atomic(savepoint=False):
        cold = archived.cold_until()
        before: list[envelope.Event] = []
        if after < cold:
            before = archived.read_window(
                after=after, until=min(until, cold), types=types, lane_low=lane_low, lane_high=lane_high
            )
        if until <= cold:
            return before
        with connection.cursor() as cursor:
            cursor.execute(
                WINDOW,
                {
                    "after": max(after, cold),
                    "until": until,
                    "types": list(types),
                    "lane_low": lane_low,
                    "lane_high": lane_high,
                },
            )
            return before + [_to_event(row) for row in cursor.fetchall()]


def find_at(position: int) -> envelope.Event | None:
    """The event at a position, of whatever type."""
    isolation.require_all()
    with transaction.atomic(savepoint=False):
        if position <= archived.cold_until():
            return archived.find_at(position)
        with connection.cursor() as cursor:
            cursor.execute(AT, [position])
            row = cursor.fetchone()
        return _to_event(row) if row else None


def read_by_aggregate(
    *,
    until: int,
    aggregate_types: Sequence[str],
    types: Sequence[str],
    lane_low: int = 0,
    lane_high: int = envelope.LANES - 1,
    tenant_id: uuid.UUID | None = None,
    aggregate_ids: Sequence[uuid.UUID] | None = None,
    chunk_size: int = 50,
) -> Iterator[list[envelope.Event]]:
    """All events up to a position as one list per aggregate, in no order of aggregates. Needs an open transaction.

    Of all tenants and aggregates in the lanes, or of those given. Memory is bounded by `chunk_size` streams, and by the
    budget of `archived` where part of the log is cold.
    """
    isolation.require_all()
    types = registry.stored_names(types)
    parameters: dict[str, Any] = {
        "after": 0,
        "until": until,
        "aggregate_types": list(aggregate_types),
        "types": list(types),
        "tenant_id": tenant_id,
        "aggregate_ids": None if aggregate_ids is None else list(aggregate_ids),
    }
    cold = archived.cold_until()
    if not cold:
        yield from _read_tables(archived.Part(lane_low, lane_high), parameters, chunk_size)
        return
    lanes: Sequence[int] = range(lane_low, lane_high + 1)
    if tenant_id is not None and aggregate_ids is not None:
        touched = {envelope.lane_of(tenant_id, aggregate_id) for aggregate_id in aggregate_ids}
        lanes = [lane for lane in lanes if lane in touched]
    for part in archived.parts(until=until, lanes=lanes):
        streams = archived.read_streams(
            part,
            until=until,
            aggregate_types=aggregate_types,
            types=types,
            tenant_id=tenant_id,
            aggregate_ids=aggregate_ids,
        )
        if until > cold:
            for stream in _read_tables(part, parameters | {"after": cold}, chunk_size):
                yield [*streams.pop(key_of(stream[0]), ()), *stream]
        yield from streams.values()


def _read_tables(part: archived.Part, parameters: dict[str, Any], chunk_size: int) -> Iterator[list[envelope.Event]]:
    lanes = {"lane_low": part.low, "lane_high": part.high, "bucket": part.bucket, "buckets": part.buckets}
    with connection.chunked_cursor() as cursor:
        cursor.execute(BY_AGGREGATE, parameters | lanes)
        while rows := cursor.fetchmany(chunk_size):
            for row in rows:
                yield [_from_json(row, values) for values in orjson.loads(row[3])]


def count(*, until: int, types: Sequence[str]) -> int:
    """How many events of these types stand at or below a position."""
    isolation.require_all()
    types = registry.stored_names(types)
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cold = archived.cold_until()
        cursor.execute(COUNT, {"after": cold, "until": until, "types": list(types)})
        in_tables = int(cursor.fetchone()[0])
        return in_tables + (archived.count(until=min(until, cold), types=types) if cold else 0)


def newest_id() -> int:
    """The highest id of a committed event, 0 for an empty log."""
    isolation.require_all()
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(max(id), 0) FROM outbox_log")
        return int(cursor.fetchone()[0])


def key_of(event: envelope.Event) -> tuple[uuid.UUID, str, uuid.UUID]:
    """The aggregate of an event."""
    return event.tenant_id, event.aggregate_type, event.aggregate_id


def _to_event(row: Sequence[Any]) -> envelope.Event:
    return envelope.Event(
        position=row[0],
        event_id=row[1],
        tenant_id=row[2],
        aggregate_type=row[3],
        aggregate_id=row[4],
        version=row[5],
        type=row[6],
        schema_version=row[7],
        data=_loaded(row[8]),
        actor=row[9],
        correlation_id=row[10],
        causation_id=row[11],
        occurred_at=row[12],
        recorded_at=row[13],
    )


def _from_json(key: Sequence[Any], values: Sequence[Any]) -> envelope.Event:
    """An event from the key of its aggregate and what `BY_AGGREGATE` puts together."""
    position, event_id, version, name, schema_version, data, actor, correlation, causation, occurred, recorded = values
    return envelope.Event(
        position,
        _made_uuid(event_id),
        key[0],
        key[1],
        key[2],
        version,
        name,
        schema_version,
        data,
        actor,
        _to_uuid(correlation),
        _to_uuid(causation),
        datetime.fromisoformat(occurred),
        datetime.fromisoformat(recorded),
    )


def _made_uuid(text: str) -> uuid.UUID:
    """A UUID from the text Postgres writes, in half the time its constructor takes to look at every other form."""
    made = object.__new__(uuid.UUID)
    object.__setattr__(made, "int", int(text.replace("-", ""), 16))
    object.__setattr__(made, "is_safe", uuid.SafeUUID.unknown)
    return made


@lru_cache(maxsize=1024)
def _to_uuid(text: str | None) -> uuid.UUID | None:
    return uuid.UUID(text) if text else None


def _loaded(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else orjson.loads(value)
