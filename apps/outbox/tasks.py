"""Celery's share of the outbox: a nudge that drains, right if it runs zero, one or many times at once."""

from __future__ import annotations

import time

import structlog
from celery import shared_task
from django.conf import settings

from apps.events import bus
from apps.kernel import nudges
from apps.outbox import relay, sequencer, wake

log = structlog.get_logger(__name__)

NUDGE = "outbox.advance"


@shared_task(name=NUDGE, ignore_result=True)
def advance() -> int:
    """Give positions to committed events and publish them, until there are none or the time slice ends."""
    nudges.taken(NUDGE)
    return drain(deadline=time.monotonic() + settings.EVENTS_TIME_SLICE_SECONDS)


def drain(*, deadline: float | None = None) -> int:
    """The same work for a long-running command and for tests; returns how many events got a position."""
    positioned = 0
    while deadline is None or time.monotonic() < deadline:
        count = sequencer.assign_positions()
        positioned += count
        if count:
            wake.positioned()
        try:
            published = relay.publish_pending(bus.default(), deadline=deadline)
        except bus.BusUnavailable as error:
            log.warning("outbox.bus_unavailable", error=str(error), cursor=relay.position())
            published = 0
        if not count and not published:
            break
    return positioned


def nudge() -> None:
    """Ask a worker to run `advance`; one request is in flight at a time."""
    nudges.send(advance, NUDGE)
