"""The relay publishes positioned events to the bus in position order, a stream per shard of lanes.

Publish, then move the cursor: a crash in between repeats messages the bus already has and refuses, and loses none. A
bus that was wiped is noticed by its end, and gets from Postgres what declared readers have not read yet.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

import structlog

from apps.events import bus
from apps.kernel import failpoints
from apps.outbox import cursors, pages, readers, sequencer

log = structlog.get_logger(__name__)


def publish_pending(transport: bus.Bus, *, deadline: float | None = None) -> int:
    """Publish until the bus has every positioned event or `deadline` (time.monotonic) passes; returns how many.

    A shard another relay holds is passed by. Raises bus.BusUnavailable; the cursor then stays where it was.
    """
    shards = cursors.all_of(cursors.BUS)
    if len(shards) != transport.shards:
        if cursors.divide(cursors.BUS, transport.shards):
            transport.wipe()  # the streams of the former division; what readers need comes again
        shards = cursors.all_of(cursors.BUS)
    head, needed_after = sequencer.head(), readers.slowest()
    published = 0
    for shard in shards if len(shards) == transport.shards else []:
        if shard.position >= head and not _has_lost(transport, shard, needed_after):
            continue
        if claimed := cursors.claim(cursors.BUS, shard.shard):
            try:
                published += _Run(transport, claimed).publish(deadline)
            finally:
                cursors.release(claimed)
    return published


def position() -> int:
    """The highest position up to which everything is published."""
    return cursors.position(cursors.BUS)


def refill(transport: bus.Bus, *, start: int) -> None:
    """Empty the bus and have everything from position `start` on published again; readers pass over what they have."""
    cursors.rewind(cursors.BUS, start - 1)
    transport.wipe()


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

    def publish(self, deadline: float | None) -> int:
        self.reached, self.end = self.shard.position, _published_by(self.shard, self.transport)
        if _has_lost(self.transport, self.shard, readers.slowest()) and not self._go_back(
            self.transport.last(shard=self.shard.shard)
        ):
            return 0
        published = 0
        with closing(pages.ReadAhead()) as ahead:
            page = pages.read(_lanes(self.shard), self.reached)
            while page.until > self.reached and (deadline is None or time.monotonic() < deadline):
                following = ahead.read(_lanes(self.shard), page.until) if page.has_more else None
                try:
                    self._send(page)
                except bus.Behind as behind:
                    if not self._go_back(behind.reached):
                        break
                    page = pages.read(_lanes(self.shard), self.reached)
                    continue
                failpoints.reach("relay.after_publish_before_move")
                if not cursors.move(self.shard, before=self.reached, to=page.until):
                    break
                self.reached = page.until
                published += page.batch.count
                page = following.result() if following else pages.read(_lanes(self.shard), self.reached)
        return published

    def _send(self, page: pages.Page) -> None:
        if page.batch.count:
            self.transport.publish(page.batch, after=self.end, shard=self.shard.shard)
            self.end = page.batch.last

    def _go_back(self, bus_end: int) -> bool:
        """To where the bus ends, or to what readers need if that is less work; False when the lease is lost."""
        needed_after = readers.slowest()
        back_to = self.reached if needed_after is None else min(self.reached, max(bus_end, needed_after))
        log.warning("outbox.bus_lost_its_end", shard=self.shard.shard, bus_end=bus_end, cursor=self.reached, to=back_to)
        if not cursors.move(self.shard, before=self.reached, to=back_to):
            return False
        self.reached, self.end = back_to, bus_end
        return True
