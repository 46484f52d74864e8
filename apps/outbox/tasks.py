"""Celery's share of the outbox: a nudge that drains, right if it runs zero, one or many times at once."""

from __future__ import annotations

import time

import structlog
from django.conf import settings
from django.utils import timezone
from prometheus_client import Gauge

from apps.events import bus
from apps.kernel import errors, isolation, nudges
from apps.kernel.tasks import platform_task
from apps.outbox import partitions, relay, retention, sequencer, wake

log = structlog.get_logger(__name__)

NUDGE = "outbox.advance"
STRAYS = Gauge(
    "rustok_outbox_strays_rows",
    "Rows that found no partition; not 0 is an alarm.",
    ["table"],
    multiprocess_mode="mostrecent",
)


@platform_task(NUDGE)
def advance() -> int:
    """Give positions to committed events and publish them, until there are none or the time slice ends."""
    nudges.taken(NUDGE)
    return drain(deadline=_end_of_slice())


@platform_task("outbox.ensure_partitions")
def ensure_partitions() -> None:
    """Make the partitions of the coming time; rows that had to do without one are told loudly."""
    strays = partitions.count_strays()
    for table, count in strays.items():
        STRAYS.labels(table=table).set(count)
    if any(strays.values()):
        log.error("outbox.rows_without_partition", **strays)
    try:
        for made in partitions.ensure():
            log.info("outbox.partition_made", name=made.name, low=made.low, high=made.high, rescued=made.rescued)
    except errors.DomainError as error:
        log.warning("outbox.partitions_not_made", reason=error.detail)


@platform_task("outbox.keep")
def keep() -> None:
    """Archive and drop what is older than RUSTOK_EVENTS_HOT_DAYS; who is in the way is told and waited for."""
    try:
        done = retention.keep(now=timezone.now(), deadline=_end_of_slice())
    except errors.DomainError as error:
        log.warning("outbox.not_dropped", reason=error.detail)
    else:
        if done and done.partitions:
            log.info("outbox.dropped", cold_until=done.cold_until, partitions=done.partitions, bytes=done.freed_bytes)


@isolation.all_tenants(reason="drain the outbox")
def drain(*, deadline: float | None = None) -> int:
    """The same work for tests and commands; returns how many events got a position."""
    positioned = 0
    while deadline is None or time.monotonic() < deadline:
        count = sequence()
        positioned += count
        if not publish(deadline=deadline) and not count:
            break
    return positioned


def sequence() -> int:
    """Give positions to what is committed now; returns how many got one."""
    count = sequencer.assign_positions()
    if count:
        wake.positioned()
    return count


def publish(*, deadline: float | None = None) -> int:
    """Publish what has a position; returns how many were. A bus that is away is logged: its cursor stays."""
    try:
        return relay.publish_pending(bus.default(), deadline=deadline)
    except bus.BusUnavailable as error:
        log.warning("outbox.bus_unavailable", error=str(error), cursor=relay.position())
        return 0


def nudge() -> None:
    """Ask a worker to run `advance`; one request is in flight at a time."""
    nudges.send(advance, NUDGE)


def _end_of_slice() -> float:
    return time.monotonic() + float(settings.EVENTS_TIME_SLICE_SECONDS)
