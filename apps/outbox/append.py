"""Append: an event is recorded if and only if the transaction that caused it commits."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import orjson
from django.db import connection, transaction

from apps.events import envelope, registry
from apps.kernel import context, errors, failpoints
from apps.outbox import wake

# Within one statement the head of each aggregate is locked before its rows draw their ids, so that per aggregate
# id order is version order; the sequencer relies on it. docs/explanation/events.md
APPEND = """
WITH e AS MATERIALIZED (
    SELECT * FROM unnest(
        %(tenant_ids)s::uuid[], %(aggregate_types)s::text[], %(aggregate_ids)s::uuid[], %(lanes)s::smallint[],
        %(types)s::text[], %(schema_versions)s::smallint[], %(occurred)s::timestamptz[], %(data)s::text[]
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


class TransactionRequired(RuntimeError):
    """`append` was called outside a transaction: the event could be recorded without its change."""


class UnitBroken(RuntimeError):
    """A unit of work went on after an inner block had failed: its transaction can only be rolled back."""


class ConcurrencyConflict(errors.Conflict):
    """The aggregate is not at the version the caller expected."""

    code = "concurrency_conflict"


@dataclass(frozen=True, slots=True)
class _Pending:
    tenant_id: uuid.UUID
    aggregate_type: str
    aggregate_id: uuid.UUID
    payload: registry.Payload
    occurred_at: datetime | None
    expected_version: int | None

    @property
    def key(self) -> tuple[uuid.UUID, str, uuid.UUID]:
        return self.tenant_id, self.aggregate_type, self.aggregate_id


@dataclass(slots=True)
class _Unit:
    """The events of a unit of work, and the savepoints it stands on."""

    pending: list[_Pending]
    savepoints: list[str]


_unit: ContextVar[_Unit | None] = ContextVar("rustok_unit_of_work", default=None)


@contextmanager
def unit_of_work(*, savepoint: bool = False) -> Iterator[None]:
    """One transaction whose events are written in one round trip just before it commits.

    Inside another unit of work it joins that one; with `savepoint` a failure undoes only the inner block, its events
    included, and the outer one may go on. Raises UnitBroken when an inner error was swallowed.
    """
    outer = _unit.get()
    if outer is not None:
        mark, savepoints = len(outer.pending), outer.savepoints
        try:
            with transaction.atomic(savepoint=savepoint):
                outer.savepoints = _savepoints()
                yield
        except BaseException:
            del outer.pending[mark:]
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
            _flush(own.pending)
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

    `expected_version` 0 means the aggregate must be new. Raises TransactionRequired, registry.UnknownEventType and,
    at the latest when the unit of work ends, ConcurrencyConflict.
    """
    if not connection.in_atomic_block:
        raise TransactionRequired("append an event inside outbox.append.unit_of_work(), with the change it reports")
    registry.type_of(payload)
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


def _savepoints() -> list[str]:
    # Django keeps None for a nested atomic() without a savepoint.
    return [name for name in cast(list[str | None], connection.savepoint_ids) if name is not None]


def _flush(pending: Sequence[_Pending]) -> None:
    if not pending:
        return
    acting = context.current()
    types = [registry.type_of(entry.payload) for entry in pending]
    parameters: dict[str, Any] = {
        "tenant_ids": [entry.tenant_id for entry in pending],
        "aggregate_types": [entry.aggregate_type for entry in pending],
        "aggregate_ids": [entry.aggregate_id for entry in pending],
        "lanes": [envelope.lane_of(entry.tenant_id, entry.aggregate_id) for entry in pending],
        "types": [entry.name for entry in types],
        "schema_versions": [entry.version for entry in types],
        "occurred": [entry.occurred_at for entry in pending],
        "data": [orjson.dumps(entry.payload.model_dump(mode="json")).decode() for entry in pending],
        "actor": acting.actor,
        "correlation_id": acting.correlation_id,
        "causation_id": acting.causation_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(APPEND, parameters)
        heads = {(row[0], row[1], row[2]): (row[3], row[4]) for row in cursor.fetchall()}
    if any(written != len(pending) for _, written in heads.values()):
        raise RuntimeError(f"{len(pending)} events were to be written; the transaction is rolled back")
    _check_expected_versions(pending, {key: version for key, (version, _) in heads.items()})
    transaction.on_commit(_committed, robust=True)
    failpoints.reach("append.before_commit")


def _committed() -> None:
    failpoints.reach("append.after_commit")
    wake.committed()


def _check_expected_versions(pending: Sequence[_Pending], heads: dict[tuple[uuid.UUID, str, uuid.UUID], int]) -> None:
    counts: dict[tuple[uuid.UUID, str, uuid.UUID], int] = {}
    for entry in pending:
        counts[entry.key] = counts.get(entry.key, 0) + 1
    for entry in pending:
        before = heads[entry.key] - counts[entry.key]
        if entry.expected_version is not None and entry.expected_version != before:
            raise ConcurrencyConflict(
                f"{entry.aggregate_type} {entry.aggregate_id} is at version {before}, not {entry.expected_version}; "
                "read it again and repeat the change.",
                current_version=before,
            )
