"""Replay: a range of the log once more through consumers, at a rate of choice. Nothing is told to the outside."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from apps.consumers import effects, generations, healing, projections
from apps.kernel import errors, isolation
from apps.outbox import archived, log, sequencer

# Through the ticks, whose times only grow; the times of events do not.
POSITION_AT = "SELECT COALESCE((SELECT last_position FROM outbox_tick WHERE at < %s ORDER BY at DESC LIMIT 1), 0)"


class OutOfRange(errors.ValidationFailed):
    """The range does not lie in the log."""

    code = "replay_out_of_range"


@dataclass(frozen=True, slots=True)
class Replayed:
    """`events` were read, `aggregates` built anew, `suppressed` effects planned and not written."""

    consumer: str
    events: int
    aggregates: int
    suppressed: int


def position_at(moment: datetime) -> int:
    """The first position handed out at or after a moment."""
    with transaction.atomic(), connection.cursor() as cursor:
        cold = archived.position_at(moment)
        if cold is not None:
            return cold
        cursor.execute(POSITION_AT, [moment])
        return max(int(cursor.fetchone()[0]), archived.cold_until()) + 1


def check_range(first: int, last: int | None) -> tuple[int, int]:
    """The range (first, last), `last` None meaning the head. Raises OutOfRange naming the bounds."""
    head = sequencer.head()
    last = head if last is None else last
    if not 1 <= first <= last <= head:
        raise OutOfRange(f"Positions {first} to {last} are not a range of the log; it goes from 1 to {head}.")
    return first, last


@isolation.all_tenants(reason="replay")
def replay(
    consumer: projections.Projection | effects.Effect,
    *,
    first: int,
    last: int,
    rate: float | None = None,
    on_progress: Callable[[int], None] = lambda position: None,
) -> Replayed:
    """Positions first..last through one consumer.

    A projection builds every aggregate the range touches anew from all its events, in the live generation: a document
    that was damaged is whole again. An effect plans and its writer stays silent: what would have been told is counted.
    `rate` is the most events a second; `on_progress` gets the position reached, from where a killed replay may go on.
    """
    began = time.monotonic()
    events = healed = suppressed = 0
    position = first - 1
    while position < last:
        until = min(position + settings.EVENTS_BATCH_SIZE, last)
        window = log.read_window(after=position, until=until, types=consumer.types)
        if isinstance(consumer, projections.Projection):
            keys: list[tuple[uuid.UUID, uuid.UUID]] = sorted(
                {(event.tenant_id, event.aggregate_id) for event in window}
            )
            healed += healing.heal_aggregates(consumer, generations.live_number(consumer), keys)
        else:
            planned, _ = effects.plan_stream(consumer, window)
            written = effects.write(consumer, planned, is_live=False)
            suppressed += len(planned) - written
        events += len(window)
        position = until
        on_progress(position)
        if rate:
            time.sleep(max(0.0, events / rate - (time.monotonic() - began)))
    return Replayed(consumer.name, events, healed, suppressed)
