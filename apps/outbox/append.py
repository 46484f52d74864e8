"""Append: an event is recorded if and only if the transaction that caused it commits."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, cast

from django.db import connection, transaction

from apps.events import envelope, registry
from apps.kernel import context, errors, failpoints, wording
from apps.outbox import wake

# Within one statement the head of each aggregate is locked before its rows draw their ids, so that per aggregate
# id order is version order; the sequencer relies on it. docs/explanation/events.md
APPEND = """
WITH e AS MATERIALIZED (
    SELECT * FROM unnest(
        %(tenant_id)s::uuid[], %(aggregate_type)s::text[], %(aggregate_id)s::uuid[], %(lane)s::smallint[],
        %(type)s::text[], %(schema_version)s::smallint[], %(occurred_at)s::timestamptz[], %(data)s::text[]
    ) WITH ORDINALITY AS e(tenant_id, aggregate_type, aggregate_id, lane, type, schema_version, occurred_at, data, i)
), counted AS (
    SELECT tenant_id, aggregate_type, aggregate_id, count(*)::int AS n FROM e GROUP BY 1, 2, 3
), heads AS (
    INSERT INTO outbox_stream (tenant_id, aggregate_type, aggregate_id, version)
    SELECT tenant_id, aggregate_type, aggregate_id, n FROM counted ORDER BY 1, 2, 3
    ON CONFLICT (tenant_id, aggregate_type, aggregate_id)
        DO UPDATE SET version = outbox_stream.version + excluded.version
    RETURNING tenant_id, aggregate_type, aggregate_id, version
), logged AS (
    INSERT INTO outbox_log (tenant_id, aggregate_type, aggregate_id, version, lane, type, schema_version,
                            actor, correlation_id, causation_id, occurred_at, data)
    SELECT e.tenant_id, e.aggregate_type, e.aggregate_id,
           heads.version - counted.n
               + row_number() OVER (PARTITION BY e.tenant_id, e.aggregate_type, e.aggregate_id ORDER BY e.i),
           e.lane, e.type, e.schema_version, %(actor)s, %(correlation_id)s, %(causation_id)s,
           COALESCE(e.occurred_at, clock_timestamp()), e.data::jsonb
    FROM e JOIN counted USING (tenant_id, aggregate_type, aggregate_id)
           JOIN heads USING (tenant_id, aggregate_type, aggregate_id)
    ORDER BY e.i
    RETURNING 1
)
SELECT tenant_id, aggregate_type, aggregate_id, version, (SELECT count(*) FROM logged) FROM heads
"""
# The same for one event, which most transactions have, with plans kept by the database. migrations/0002
APPEND_ONE = """
SELECT outbox_append_one(
    %(tenant_id)s, %(aggregate_type)s, %(aggregate_id)s, %(lane)s::smallint, %(type)s, %(schema_version)s::smallint,
    %(occurred_at)s, %(data)s, %(actor)s, %(correlation_id)s, %(causation_id)s)
"""

VERSION = "SELECT version FROM outbox_stream WHERE tenant_id = %s AND aggregate_type = %s AND aggregate_id = %s"
VERSIONS = """
SELECT tenant_id, aggregate_type, aggregate_id, version FROM outbox_stream
JOIN unnest(%s::uuid[], %s::text[], %s::uuid[]) AS wanted (tenant_id, aggregate_type, aggregate_id)
    USING (tenant_id, aggregate_type, aggregate_id)
"""

type Key = tuple[uuid.UUID, str, uuid.UUID]
type Companion = Callable[[Sequence[Any]], None]


class TransactionRequired(RuntimeError):
    """`append` was called outside a transaction: the event could be recorded without its change."""


class WrongStream(ValueError):
    """The event was to be recorded on a stream that readers of its type do not follow."""


class UnitBroken(RuntimeError):
    """A unit of work went on after an inner block had failed: its transaction can only be rolled back."""


class ConcurrencyConflict(errors.Conflict):
    """The object is not at the version the caller expected. Read it again and repeat the change; `current_version` is
    the present one."""

    code = "concurrency_conflict"
    title = "The object has changed meanwhile"


@dataclass(frozen=True, slots=True)
class _Pending:
    tenant_id: uuid.UUID
    aggregate_type: str
    aggregate_id: uuid.UUID
    payload: registry.Payload
    occurred_at: datetime | None
    expected_version: int | None

    @property
    def key(self) -> Key:
        return self.tenant_id, self.aggregate_type, self.aggregate_id


@dataclass(slots=True)
class _Unit:
    """The events of a unit of work, what others write with them, and the savepoints it stands on.

    `required` has the versions that streams may have before it.
    """

    pending: list[_Pending]
    savepoints: list[str]
    companions: list[tuple[Companion, Any]] = field(default_factory=list)
    required: dict[Key, frozenset[int]] = field(default_factory=dict)


# Told, within the transaction, of each stream that was appended to: its version before and after.
type Watcher = Callable[[Mapping[Key, tuple[int, int]]], None]

_watcher: ContextVar[Watcher | None] = ContextVar("rustok_append_watcher", default=None)
_unit: ContextVar[_Unit | None] = ContextVar("rustok_unit_of_work", default=None)


@contextmanager
def unit_of_work(*, savepoint: bool = False, alone: bool = False) -> Iterator[None]:
    """One transaction whose events are written in one round trip just before it commits.

    Inside another unit of work it joins that one; with `savepoint` a failure undoes only the inner block, its events
    included, and the outer one may go on. With `alone` it is a unit of its own within the transaction at work: its
    events are written, and its versions required, when the block ends, so that these too fail it alone. Raises
    UnitBroken when an inner error was swallowed, and where the outer unit has events that would come after.
    """
    outer = _unit.get()
    if alone and outer is not None and outer.pending:
        raise UnitBroken("the outer unit has events already: they would be recorded after those of this one")
    if outer is not None and not alone:
        mark, beside, savepoints = len(outer.pending), len(outer.companions), outer.savepoints
        try:
            with transaction.atomic(savepoint=savepoint):
                outer.savepoints = _savepoints()
                yield
        except BaseException:
            del outer.pending[mark:]
            del outer.companions[beside:]
            raise
        finally:
            outer.savepoints = savepoints
        return
    token = None
    try:
        with transaction.atomic():
            own = _Unit([], _savepoints())
            token = _unit.set(own)
            yield
            if transaction.get_rollback():
                raise UnitBroken("an inner block failed and its error was swallowed: nothing of this unit is kept")
            _flush_companions(own.companions)
            _flush(own.pending, own.required)
    finally:
        if token is not None:
            _unit.reset(token)


def append(
    payload: registry.Payload,
    *,
    tenant_id: uuid.UUID,
    aggregate_type: str,
    aggregate_id: uuid.UUID,
    occurred_at: datetime | None = None,
    expected_version: int | None = None,
) -> None:
    """Record `payload` as the next event of the aggregate, in the caller's transaction.

    `expected_version` 0 means the aggregate must be new. Raises TransactionRequired, WrongStream,
    registry.UnknownEventType and, at the latest when the unit of work ends, ConcurrencyConflict.
    """
    if not connection.in_atomic_block:
        raise TransactionRequired("append an event inside outbox.append.unit_of_work(), with the change it reports")
    event_type = registry.type_of(payload)
    if event_type.aggregate != aggregate_type:
        raise WrongStream(f"{event_type.name} belongs on a stream of {event_type.aggregate}, not of {aggregate_type}")
    unit = _unit.get()
    if unit is not None and unit.savepoints != _savepoints():
        raise TransactionRequired(
            "append inside a nested atomic(): its savepoint could be rolled back under the buffered event; "
            "open the block with unit_of_work(savepoint=True)"
        )
    pending = _Pending(tenant_id, aggregate_type, aggregate_id, payload, occurred_at, expected_version)
    if unit is None:
        _flush([pending])
    else:
        unit.pending.append(pending)


@contextmanager
def watched(by: Watcher) -> Iterator[None]:
    """Tell `by` of all that is appended within the block, in the order of first events, before it commits."""
    token = _watcher.set(by)
    try:
        yield
    finally:
        _watcher.reset(token)


def versions_of(streams: Sequence[Key]) -> dict[Key, int]:
    """The committed versions of those of the streams that have events."""
    with connection.cursor() as cursor:
        cursor.execute(VERSIONS, [list(column) for column in zip(*streams, strict=True)] if streams else [[], [], []])
        return {(row[0], row[1], row[2]): int(row[3]) for row in cursor.fetchall()}


def require_version(stream: Key, allowed: frozenset[int]) -> None:
    """Let the unit of work at hand append to the stream only on top of one of these versions.

    What is called within it does not know, so any service can be held to it. Raises ConcurrencyConflict now, and when
    the unit ends, if somebody was quicker.
    """
    unit = _unit.get()
    if unit is None:
        raise TransactionRequired("ask for a version inside outbox.append.unit_of_work(), with the change")
    unit.required[stream] = allowed
    _check_allowed(stream, _stored_version(stream), allowed)


def version_of(stream: Key) -> int | None:
    """The version of the stream once the unit of work at hand is committed; None when it has no event."""
    unit = _unit.get()
    ahead = sum(entry.key == stream for entry in unit.pending) if unit else 0
    return (_stored_version(stream) or 0) + ahead or None


def _stored_version(stream: Key) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(VERSION, stream)
        row = cursor.fetchone()
    return int(row[0]) if row else None


def write_with(companion: Companion, item: Any) -> bool:
    """Have `companion` write the items of this unit of work in one go just before its events; those of a failed inner
    block are left out. False where no unit can take it: then the caller writes at once.
    """
    unit = _unit.get()
    if unit is None or unit.savepoints != _savepoints():
        return False
    unit.companions.append((companion, item))
    return True


def _savepoints() -> list[str]:
    # Django keeps None for a nested atomic() without a savepoint.
    return [name for name in cast(list[str | None], connection.savepoint_ids) if name is not None]


def _flush_companions(companions: Sequence[tuple[Companion, Any]]) -> None:
    by_companion: dict[Companion, list[Any]] = {}
    for companion, item in companions:
        by_companion.setdefault(companion, []).append(item)
    for companion, items in by_companion.items():
        companion(items)


def _flush(pending: Sequence[_Pending], required: Mapping[Key, frozenset[int]] = MappingProxyType({})) -> None:
    if not pending:
        return
    heads = _append_one(pending[0]) if len(pending) == 1 else _append_all(pending)
    counts = Counter(entry.key for entry in pending)
    _check_expected_versions(pending, heads, counts, required)
    if (watcher := _watcher.get()) is not None:
        watcher({key: (heads[key] - count, heads[key]) for key, count in counts.items()})
    transaction.on_commit(_committed, robust=True)
    failpoints.reach("append.before_commit")


def _committed() -> None:
    failpoints.reach("append.after_commit")
    wake.committed()


def _append_one(entry: _Pending) -> dict[Key, int]:
    with connection.cursor() as cursor:
        cursor.execute(APPEND_ONE, _row(entry) | _acting())
        return {entry.key: cursor.fetchone()[0]}


def _append_all(pending: Sequence[_Pending]) -> dict[Key, int]:
    rows = [_row(entry) for entry in pending]
    with connection.cursor() as cursor:
        cursor.execute(APPEND, {name: [row[name] for row in rows] for name in rows[0]} | _acting())
        heads = {(row[0], row[1], row[2]): (row[3], row[4]) for row in cursor.fetchall()}
    if any(written != len(pending) for _, written in heads.values()):
        raise RuntimeError(f"{len(pending)} events were to be written; the transaction is rolled back")
    return {key: version for key, (version, _) in heads.items()}


def _acting() -> dict[str, Any]:
    acting = context.current()
    return {"actor": acting.actor, "correlation_id": acting.correlation_id, "causation_id": acting.causation_id}


def _row(entry: _Pending) -> dict[str, Any]:
    event_type = registry.type_of(entry.payload)
    return {
        "tenant_id": entry.tenant_id,
        "aggregate_type": entry.aggregate_type,
        "aggregate_id": entry.aggregate_id,
        "lane": envelope.lane_of(entry.tenant_id, entry.aggregate_id),
        "type": event_type.name,
        "schema_version": event_type.version,
        "occurred_at": entry.occurred_at,
        "data": entry.payload.model_dump_json(),
    }


def _check_expected_versions(
    pending: Sequence[_Pending],
    heads: Mapping[Key, int],
    counts: Mapping[Key, int],
    required: Mapping[Key, frozenset[int]],
) -> None:
    for entry in pending:
        before = heads[entry.key] - counts[entry.key]
        if entry.expected_version is not None:
            _check_allowed(entry.key, before, frozenset({entry.expected_version}))
        if entry.key in required:
            _check_allowed(entry.key, before, required[entry.key])


def _check_allowed(stream: Key, version: int | None, allowed: frozenset[int]) -> None:
    if version not in allowed:
        raise ConcurrencyConflict(
            wording.say(
                "{aggregate_type} {aggregate_id} is at version {version}, not {expected}; read it again and repeat the "
                "change.",
                aggregate_type=stream[1],
                aggregate_id=stream[2],
                version=version,
                expected=", ".join(map(str, sorted(allowed))),
            ),
            current_version=version,
        )
