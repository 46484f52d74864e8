"""The runner of projections: read a window, fold, write, move the checkpoint, all in one transaction."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

import structlog
from django.conf import settings
from django.db import DataError, connection, transaction

from apps.consumers import folding, models, projections, writing
from apps.events import envelope, registry
from apps.outbox import log as event_log
from apps.outbox import sequencer

log = structlog.get_logger(__name__)

LOCK = """
SELECT c.position, c.lane_low, c.lane_high FROM consumers_checkpoint c
WHERE c.consumer = %s AND c.generation = %s AND c.shard = 0 FOR UPDATE SKIP LOCKED
"""
MOVE = """
UPDATE consumers_checkpoint SET position = %(to)s, updated_at = clock_timestamp()
WHERE consumer = %(consumer)s AND generation = %(generation)s AND shard = 0 AND position = %(before)s
"""


class LostCheckpoint(RuntimeError):
    """Another runner moved the checkpoint inside our transaction; everything of ours is rolled back."""


def advance_all(*, deadline: float | None = None) -> int:
    """Bring every active projection up to the head of the log, or until `deadline` (time.monotonic).

    They take turns, a window each, so that none starves another. Returns how many positions were covered. Any number
    of callers may run at once. A projection that fails is logged and does not hold up the others; the error is raised
    at the end.
    """
    paused = set(models.Consumer.objects.exclude(status="active").values_list("name", flat=True))
    generations = models.Generation.objects.filter(state__in=["live", "catching_up"]).order_by("projection", "number")
    waiting = [entry for entry in generations if entry.projection not in paused]
    covered = 0
    failure: Exception | None = None
    while waiting and (deadline is None or time.monotonic() < deadline):
        for entry in list(waiting):
            try:
                step = _advance_window(projections.get(entry.projection), entry.number)
            except Exception as error:
                log.exception("consumers.projection_failed", projection=entry.projection)
                failure, step = error, 0
            covered += step
            if step == 0:
                waiting.remove(entry)
    if failure is not None:
        raise failure
    return covered


def advance(projection: projections.Projection, generation: int, *, deadline: float | None = None) -> int:
    """Bring one generation up to the head; returns how many positions were covered, 0 when another runner is at it."""
    covered = 0
    while deadline is None or time.monotonic() < deadline:
        step = _advance_window(projection, generation)
        if step == 0:
            break
        covered += step
    return covered


def _advance_window(projection: projections.Projection, generation: int) -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOCK, [projection.name, generation])
            row = cursor.fetchone()
        if row is None:
            return 0
        position, lane_low, lane_high = row
        until = min(sequencer.head(), position + settings.EVENTS_BATCH_SIZE)
        if until <= position:
            return 0
        events = event_log.read_window(
            after=position, until=until, types=projection.types, lane_low=lane_low, lane_high=lane_high
        )
        _apply(projection, generation, events)
        _move(projection, generation, position, until)
        return int(until - position)


def _apply(projection: projections.Projection, generation: int, events: Sequence[envelope.Event]) -> None:
    streams: dict[tuple[uuid.UUID, str, uuid.UUID], list[envelope.Event]] = {}
    for event in events:
        streams.setdefault(event_log.key_of(event), []).append(event)
    blocked = _blocked(projection, generation)
    before = writing.load(projection, generation, [(key[0], key[2]) for key in streams])
    built: list[tuple[writing.Rendered, Sequence[envelope.Event]]] = []
    for key, stream in streams.items():
        if key in blocked:
            park(projection, generation, stream, error="an earlier event of this aggregate is parked")
            continue
        try:
            built.append((folding.build(projection, before.get((key[0], key[2])), stream), stream))
        except registry.UnknownEventType:
            raise  # this code is older than the log: nothing is wrong with the aggregate
        except Exception as error:
            # Whatever a fold or a rendering raises is about this aggregate alone: both are pure.
            log.exception("consumers.parked", projection=projection.name, aggregate=str(key[2]))
            park(projection, generation, stream, error=repr(error))
    _write(projection, generation, built)


def _write(
    projection: projections.Projection,
    generation: int,
    built: Sequence[tuple[writing.Rendered, Sequence[envelope.Event]]],
) -> None:
    """All at once; when Postgres refuses a value, one by one, and the aggregate it belongs to is parked."""
    try:
        with transaction.atomic():
            writing.replace(projection, generation, [entry for entry, _ in built], fresh=False)
    except DataError:
        for entry, stream in built:
            try:
                with transaction.atomic():
                    writing.replace(projection, generation, [entry], fresh=False)
            except DataError as error:
                log.exception("consumers.parked", projection=projection.name, aggregate=str(entry.id))
                park(projection, generation, stream, error=repr(error))


def _blocked(projection: projections.Projection, generation: int) -> set[tuple[uuid.UUID, str, uuid.UUID]]:
    rows = models.Parked.objects.filter(consumer=projection.name, generation=generation, state="blocked")
    return set(rows.values_list("tenant_id", "aggregate_type", "aggregate_id").distinct())


def park(projection: projections.Projection, generation: int, stream: Sequence[envelope.Event], *, error: str) -> None:
    """Park the aggregate, not the lane: these events wait, the checkpoint passes them in the same transaction."""
    models.Parked.objects.bulk_create(
        models.Parked(
            consumer=projection.name,
            generation=generation,
            tenant_id=event.tenant_id,
            aggregate_type=event.aggregate_type,
            aggregate_id=event.aggregate_id,
            position=event.position,
            error=error[:2000],
        )
        for event in stream
    )


def _move(projection: projections.Projection, generation: int, before: int, to: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MOVE, {"consumer": projection.name, "generation": generation, "before": before, "to": to})
        if cursor.rowcount != 1:
            raise LostCheckpoint(f"{projection.name} generation {generation} is no longer at {before}")
