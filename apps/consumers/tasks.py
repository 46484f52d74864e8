"""Celery's share of the consumers: a nudge that drains, right if it runs zero, one or many times at once."""

from __future__ import annotations

import time
from datetime import timedelta

import structlog
from django.conf import settings
from django.db.models import Min
from django.utils import timezone

from apps.consumers import generations, models, projections, rebuild, runner, sending
from apps.events import bus
from apps.kernel import errors, isolation, nudges
from apps.kernel.tasks import platform_task
from apps.outbox import readers, relay
from apps.outbox import tasks as outbox_tasks

log = structlog.get_logger(__name__)

NUDGE = "consumers.advance"
SEND = "consumers.send_effects"
_TRIM_EVERY = 1000


@platform_task(NUDGE)
def advance() -> int:
    """Bring the projections up to the head of the log, or until the time slice ends."""
    nudges.taken(NUDGE)
    covered = runner.advance_all(deadline=time.monotonic() + settings.EVENTS_TIME_SLICE_SECONDS)
    if covered:
        nudges.send(send_effects, SEND)
        trim_bus()
    return covered


@platform_task(SEND)
def send_effects() -> int:
    """Perform planned effects that are due, or until the time slice ends."""
    nudges.taken(SEND)
    return sending.send_pending(deadline=time.monotonic() + settings.EVENTS_TIME_SLICE_SECONDS)


@platform_task("consumers.build")
def build_generations() -> None:
    """Go on with the rebuilds operators started in the admin, a time slice each; they stop at `ready` for a swap."""
    for generation in models.Generation.objects.filter(is_wanted=True, state__in=["building", "catching_up"]):
        projection = projections.find(generation.projection)
        if projection is None:
            continue
        try:
            deadline = time.monotonic() + settings.EVENTS_TIME_SLICE_SECONDS
            rebuild.rebuild(projection, resume=True, swap=False, deadline=deadline)
        except (rebuild.Stopped, rebuild.RebuildRunning):  # noqa: S112 - goes on at the next turn, or elsewhere
            continue
        except errors.DomainError as error:
            log.warning("consumers.rebuild_refused", projection=projection.name, reason=error.detail)
            rows = models.Generation.objects.filter(projection=projection.name, number=generation.number)
            rows.update(is_wanted=False, problem=error.detail)


@platform_task("consumers.retire")
def retire_generations() -> None:
    """Drop generations whose time to be rolled back to is over."""
    for projection in projections.all_projections():
        generations.retire_old_standbys(projection)
        generations.sweep(projection)


@platform_task("consumers.forget_effects")
def forget_effects() -> int:
    """Delete the records of effects done longer ago than RUSTOK_EVENTS_EFFECT_DAYS; returns how many.

    Their positions are below the checkpoint of their consumer: nothing plans them again.
    """
    before = timezone.now() - timedelta(days=settings.EVENTS_EFFECT_DAYS)
    count, _ = models.Effect.objects.filter(state="done", done_at__lt=before).delete()
    return count


def nudge() -> None:
    """Ask a worker to run `advance`; one request is in flight at a time."""
    nudges.send(advance, NUDGE)


@isolation.all_tenants(reason="drain the consumers")
def drain() -> int:
    """Everything, now, in this process: positions, bus, consumers, effects. Returns the positions consumers covered."""
    covered = 0
    while True:
        positioned = outbox_tasks.drain()
        step = runner.advance_all()
        covered += step
        sent = sending.send_pending()
        if not positioned and not step and not sent:
            trim_bus()
            return covered


def trim_bus() -> None:
    """Drop from the bus what every consumer and every declared reader has read, a thousand positions at a time."""
    retired = models.Consumer.objects.filter(status="retired").values("name")
    reached = models.Checkpoint.objects.exclude(consumer__in=retired)
    slowest = reached.aggregate(slowest=Min("position"))["slowest"] or 0
    read = readers.slowest()
    below = min(slowest, relay.position(), slowest if read is None else read) // _TRIM_EVERY * _TRIM_EVERY
    if below <= 0:
        return
    try:
        bus.default().trim(below)
    except bus.BusUnavailable as error:
        log.warning("consumers.bus_not_trimmed", error=str(error))
