"""The relay publishes positioned events to the bus in position order, a stream per shard of lanes.

Publish, then move the cursor: a crash in between repeats messages the bus already has and refuses, and loses none. A
bus that was wiped is noticed by its end, and gets from Postgres what declared readers have not read yet.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from apps.events import bus
from apps.kernel import errors, failpoints, isolation
from apps.outbox import cursors, pages, readers, sequencer

log = structlog.get_logger(__name__)

PUBLISHED = Counter("rustok_relay_published_total", "Events published to the bus.")
LAG = Gauge("rustok_relay_lag_events", "Positions the bus does not have yet.", multiprocess_mode="mostrecent")


class AboveTheHead(errors.DomainError):
    """There is no such position yet."""

    code = "above_the_head"


@isolation.all_tenants(reason="relay events")
def publish_pending(transport: bus.Bus, *, deadline: float | None = None) -> int:
    """Publish until the bus has every positioned event or `deadline` (time.monotonic) passes; returns how many.

    A shard another relay holds is passed by. Raises bus.BusUnavailable; the cursor then stays where it was.
    """
    head, needed_after = sequencer.head(), readers.slowest()
    behind = [
        shard for shard in _shards_of(transport) if shard.position < head or _has_lost(transport, shard, needed_after)
    ]
    try:
        return sum(_publish_shard(transport, shard, deadline) for shard in behind)
    finally:
        LAG.set(max(0, head - position()))


def position() -> int:
    """The highest position up to which everything is published."""
    return cursors.position(cursors.BUS)


def refill(transport: bus.Bus, *, start: int) -> None:
    """Empty the bus and have everything from position `start` on published again; readers pass over what they have.

    Raises readers.NoLongerThere and AboveTheHead.
    """
    readers.check_still_there(start)
    if start > (head := sequencer.head()) + 1:
        raise AboveTheHead(f"position {start} is above the head, {head}: nothing would be published")
    cursors.rewind(cursors.BUS, start - 1)
    transport.wipe()


def _shards_of(transport: bus.Bus) -> list[cursors.Cursor]:
    """The cursors, divided as the bus is; none while a relay is at work under another division."""
    shards = cursors.all_of(cursors.BUS)
    if len(shards) != transport.shards:
        if cursors.divide(cursors.BUS, transport.shards):
            transport.wipe()  # the streams of the former division; what readers need comes again
        shards = cursors.all_of(cursors.BUS)
    return shards if len(shards) == transport.shards else []


def _publish_shard(transport: bus.Bus, shard: cursors.Cursor, deadline: float | None) -> int:
    claimed = cursors.claim(cursors.BUS, shard.shard)
    if claimed is None:
        return 0
    try:
        return _Run(transport, claimed).publish(deadline)
    finally:
        cursors.release(claimed)


def _has_lost(transport: bus.Bus, shard: cursors.Cursor, needed_after: int | None) -> bool:
    """Whether the bus has lost something that was published and that a reader still needs."""
    if needed_after is None or needed_after >= shard.position:
        return False
    return transport.last(shard=shard.shard) < _published_by(shard, transport)


def _published_by(shard: cursors.Cursor, transport: bus.Bus) -> int:
    """The newest position the shard's stream must have. A cursor also moves over positions of other lanes."""
    return shard.position if transport.shards == 1 else pages.newest(_lanes(shard), until=shard.position)


def _lanes(shard: cursors.Cursor) -> pages.Lanes:
    return pages.Lanes(shard.lane_low, shard.lane_high)


@dataclass(slots=True)
class _Run:
    """One shard's publishing under one lease; `reached` is its cursor, `end` where its stream must have ended."""

    transport: bus.Bus
    shard: cursors.Cursor
    reached: int = 0
    end: int = 0
    published: int = 0

    def publish(self, deadline: float | None) -> int:
        self.reached, self.end = self.shard.position, _published_by(self.shard, self.transport)
        if _has_lost(self.transport, self.shard, readers.slowest()):
            self._go_back(self.transport.last(shard=self.shard.shard))
        with closing(pages.ReadAhead(_lanes(self.shard))) as ahead:
            while (page := ahead.page(self.reached)).until > self.reached and not _is_over(deadline):
                if page.has_more:
                    ahead.prepare(page.until)
                if not self._take(page):
                    break  # the lease is lost: another relay has these positions in hand
        return self.published

    def _take(self, page: pages.Page) -> bool:
        """Publish a page and move on, or go back if the bus has lost its end; False when the lease is lost."""
        try:
            if page.batch.count:
                self.transport.publish(page.batch, after=self.end, shard=self.shard.shard)
        except bus.Behind as behind:
            return self._go_back(behind.reached)
        failpoints.reach("relay.after_publish_before_move")
        if not cursors.move(self.shard, before=self.reached, to=page.until):
            return False
        self.reached, self.end = page.until, page.batch.last or self.end
        self.published += page.batch.count
        PUBLISHED.inc(page.batch.count)
        return True

    def _go_back(self, bus_end: int) -> bool:
        """To where the bus ends, or to what readers need if that is less work; False when the lease is lost."""
        needed_after = readers.slowest()
        back_to = self.reached if needed_after is None else min(self.reached, max(bus_end, needed_after))
        log.warning("outbox.bus_lost_its_end", shard=self.shard.shard, bus_end=bus_end, cursor=self.reached, to=back_to)
        is_ours = cursors.move(self.shard, before=self.reached, to=back_to)
        self.reached, self.end = back_to, bus_end
        return is_ours


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
