"""Celery's share of the consumers: a nudge that drains, right if it runs zero, one or many times at once."""

from __future__ import annotations

import time

import structlog
from celery import shared_task
from django.conf import settings
from django.db.models import Min

from apps.consumers import models, runner
from apps.events import bus
from apps.kernel import nudges
from apps.outbox import relay
from apps.outbox import tasks as outbox_tasks

log = structlog.get_logger(__name__)

NUDGE = "consumers.advance"
_TRIM_EVERY = 1000


@shared_task(name=NUDGE, ignore_result=True)
def advance() -> int:
    """Bring the projections up to the head of the log, or until the time slice ends."""
    nudges.taken(NUDGE)
    covered = runner.advance_all(deadline=time.monotonic() + settings.EVENTS_TIME_SLICE_SECONDS)
    if covered:
        trim_bus()
    return covered


def nudge() -> None:
    """Ask a worker to run `advance`; one request is in flight at a time."""
    nudges.send(advance, NUDGE)


def drain() -> int:
    """Everything, now, in this process: positions, bus, projections. Returns the positions the projections covered."""
    covered = 0
    while True:
        positioned = outbox_tasks.drain()
        step = runner.advance_all()
        covered += step
        if not positioned and not step:
            trim_bus()
            return covered


def trim_bus() -> None:
    """Drop from the bus what every consumer has read, a thousand positions at a time."""
    slowest = models.Checkpoint.objects.aggregate(slowest=Min("position"))["slowest"] or 0
    below = min(slowest, relay.position()) // _TRIM_EVERY * _TRIM_EVERY
    if below <= 0:
        return
    try:
        bus.default().trim(below)
    except bus.BusUnavailable as error:
        log.warning("consumers.bus_not_trimmed", error=str(error))
