"""Parking: an aggregate that cannot be applied waits by itself; the checkpoint passes it, all others go on.

A consumer that would park many at once is not poisoned but broken: it stops instead, and nothing is parked.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from apps.consumers import models
from apps.events import envelope

log = structlog.get_logger(__name__)

type Key = tuple[uuid.UUID, str, uuid.UUID]

FOLLOWS = "an earlier event of this aggregate is parked"
# Of the aggregates in one window; a handful is poison all the same.
SYSTEMIC_SHARE = 0.01
SYSTEMIC_AT_LEAST = 5


class Systemic(Exception):
    """So many aggregates fail that the fault is in the consumer, not in them."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Events of one aggregate that could not be applied, from the first bad one on."""

    events: Sequence[envelope.Event]
    error: str


def park_all(consumer: str, generation: int, failures: Sequence[Failure], *, touched: int) -> None:
    """Park what failed of `touched` aggregates, in the transaction that moves the checkpoint past it. Idempotent.

    Raises Systemic when that looks like a fault of the consumer.
    """
    newly = sum(1 for failure in failures if failure.error != FOLLOWS)
    _judge(consumer, generation, failed=newly, touched=touched)
    for failure in failures:
        park(consumer, generation, failure)


def park(consumer: str, generation: int, failure: Failure) -> None:
    """Park the events of one failure. Idempotent."""
    first = failure.events[0]
    # Followers are no news: the first one was, and the status counts them.
    tell = log.debug if failure.error == FOLLOWS else log.error
    tell(
        "consumers.parked",
        consumer=consumer,
        aggregate=f"{first.aggregate_type} {first.aggregate_id}",
        position=first.position,
        error=failure.error,
    )
    models.Parked.objects.bulk_create(
        [
            models.Parked(
                consumer=consumer,
                generation=generation,
                tenant_id=event.tenant_id,
                aggregate_type=event.aggregate_type,
                aggregate_id=event.aggregate_id,
                position=event.position,
                error=failure.error[:2000],
            )
            for event in failure.events
        ],
        ignore_conflicts=True,
    )


def shard_of(consumer: str, generation: int, key: Key) -> int:
    """The shard whose lanes hold the aggregate."""
    lane = envelope.lane_of(key[0], key[2])
    rows = models.Checkpoint.objects.filter(consumer=consumer, generation=generation)
    return int(rows.get(lane_low__lte=lane, lane_high__gte=lane).shard)


def copy(consumer: str, *, before: int, after: int) -> None:
    """What waits in one generation waits in another one made from its states."""
    rows = models.Parked.objects.filter(consumer=consumer, generation=before, state="blocked")
    for row in rows:
        row.pk, row.generation = None, after
        row.save(force_insert=True)


def blocked(consumer: str, generation: int) -> set[Key]:
    """The aggregates that wait."""
    rows = models.Parked.objects.filter(consumer=consumer, generation=generation, state="blocked")
    return set(rows.values_list("tenant_id", "aggregate_type", "aggregate_id").order_by().distinct())


def skipped(consumer: str) -> frozenset[int]:
    """The positions an operator had passed over, in whatever generation."""
    return frozenset(
        models.Parked.objects.filter(consumer=consumer, state="skipped").values_list("position", flat=True)
    )


def _judge(consumer: str, generation: int, *, failed: int, touched: int) -> None:
    if not failed:
        return
    allowed = max(SYSTEMIC_AT_LEAST, int(touched * SYSTEMIC_SHARE))
    if failed > allowed:
        raise Systemic(f"{failed} of {touched} aggregates failed at once, more than {allowed}")
    since = timezone.now() - timedelta(minutes=1)
    rows = models.Parked.objects.filter(consumer=consumer, generation=generation, parked_at__gt=since)
    recent = len(set(rows.exclude(error=FOLLOWS).values_list("aggregate_id", flat=True).order_by()))
    if recent + failed > settings.EVENTS_BREAKER_AGGREGATES:
        raise Systemic(
            f"{recent + failed} aggregates failed within a minute, more than {settings.EVENTS_BREAKER_AGGREGATES}"
        )
