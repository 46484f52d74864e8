"""Positioned events, rendered by Postgres and ready for the bus: a page is one row, however many events it has."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection

from apps.events import bus, cloudevents
from apps.events.bus.contract import END
from apps.kernel import isolation

EVENTS = 500
BYTES = 8 * 2**20
# Positions looked through at most for those in the lanes of a shard.
WINDOW = 20_000

_RENDERED = f"""
SELECT p.position, concat_ws(%(end)s, {cloudevents.COLUMNS}, l.data, '') AS record
FROM outbox_position p JOIN outbox_log l ON l.id = p.id
"""  # noqa: S608 - constants
# A page ends with the event that makes it large. The last column counts those found, within the size or not.
PAGE = f"""
SELECT count(*) FILTER (WHERE before < %(bytes)s), COALESCE(max(position) FILTER (WHERE before < %(bytes)s), 0),
       COALESCE(string_agg(record, '' ORDER BY position) FILTER (WHERE before < %(bytes)s), ''), count(*)
FROM (
    SELECT position, record, sum(octet_length(record)) OVER (ORDER BY position) - octet_length(record) AS before
    FROM ({_RENDERED}
        WHERE p.position > %(after)s AND p.position <= %(until)s AND p.lane BETWEEN %(lane_low)s AND %(lane_high)s
        ORDER BY p.position LIMIT %(limit)s) rendered) measured
"""  # noqa: S608
CHOSEN = f"""
SELECT count(*), COALESCE(max(position), 0), COALESCE(string_agg(record, '' ORDER BY position), ''), count(*)
FROM ({_RENDERED} WHERE p.position = ANY(%(positions)s)) rendered
"""  # noqa: S608
NEWEST = """
SELECT COALESCE(max(newest), 0) FROM generate_series(%(lane_low)s::int, %(lane_high)s::int) lane, LATERAL (
    SELECT max(position) AS newest FROM outbox_position WHERE outbox_position.lane = lane::smallint
        AND position <= %(until)s) of_lane
"""
HEAD = "SELECT last_position, epoch FROM outbox_tick ORDER BY tick_id DESC LIMIT 1"
EPOCHS = "SELECT epoch, max(last_position) FROM outbox_tick GROUP BY epoch ORDER BY epoch"


@dataclass(frozen=True, slots=True)
class Lanes:
    """A range of lanes, both ends included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Page:
    """The events of some lanes behind a position, up to `until`; `has_more` when that is not the head yet."""

    batch: bus.Batch
    until: int
    has_more: bool


def read(lanes: Lanes, after: int) -> Page:
    """The next page, at most EVENTS and about BYTES. A page never spans two epochs. Raises NotOverAllTenants."""
    isolation.require_all()
    head, newest_epoch = _head()
    epoch, epoch_end = _epoch_after(after, newest_epoch, head)
    window_end = min(head, epoch_end, after + WINDOW)
    parameters = {"after": after, "until": window_end, "lane_low": lanes.low, "lane_high": lanes.high}
    batch, found = _render(PAGE, parameters | {"limit": EVENTS, "bytes": BYTES}, epoch)
    until = batch.last if found == EVENTS or found > batch.count else max(window_end, after)
    return Page(batch, until, has_more=until < head)


def read_positions(positions: Sequence[int]) -> list[bus.Message]:
    """Exactly these events, as the relay would publish them; in position order. Raises NotOverAllTenants."""
    isolation.require_all()
    _, newest_epoch = _head()
    by_epoch: dict[int, list[int]] = {}
    for position in positions:
        by_epoch.setdefault(_epoch_after(position - 1, newest_epoch, position)[0], []).append(position)
    batches = [_render(CHOSEN, {"positions": chosen}, epoch)[0] for epoch, chosen in sorted(by_epoch.items())]
    return [message for batch in batches for message in batch.messages()]


def newest(lanes: Lanes, *, until: int) -> int:
    """The newest position of these lanes that is not above `until`, 0 without any."""
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, {"lane_low": lanes.low, "lane_high": lanes.high, "until": until})
        return int(cursor.fetchone()[0])


class ReadAhead:
    """The pages of some lanes; the next one is read in a thread, with a database connection of its own, if asked to."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._thread: ThreadPoolExecutor | None = None
        self._prepared: tuple[int, Future[Page]] | None = None

    def prepare(self, after: int) -> None:
        """Begin to read the page behind a position."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="relay")
        # In our context: a thread of its own would see nobody's rows, and what it does not see would be passed over.
        self._prepared = after, self._thread.submit(copy_context().run, read, self._lanes, after)

    def page(self, after: int) -> Page:
        """The page behind a position, prepared or read now."""
        prepared, self._prepared = self._prepared, None
        return prepared[1].result() if prepared and prepared[0] == after else read(self._lanes, after)

    def close(self) -> None:
        if self._thread is not None:
            self._thread.submit(_close_own_connection)
            self._thread.shutdown()


def _close_own_connection() -> None:
    # `connection` is another one in every thread: it has to be looked up in that thread.
    connection.close()


def _render(sql: str, parameters: dict[str, Any], epoch: int) -> tuple[bus.Batch, int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters | {"epoch": str(epoch), "end": END})
        count, last, text, found = cursor.fetchone()
    return bus.Batch(cloudevents.NAMES, text, count, last), found


def _head() -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(HEAD)
        return cursor.fetchone() or (0, 1)


def _epoch_after(after: int, newest_epoch: int, head: int) -> tuple[int, int]:
    """The epoch of the position behind `after`, and its last position."""
    ended = _ended_epochs(newest_epoch) if newest_epoch > 1 else ()
    return next(((epoch, end) for epoch, end in ended if end > after), (newest_epoch, head))


@lru_cache(maxsize=1)
def _ended_epochs(newest_epoch: int) -> tuple[tuple[int, int], ...]:
    """(epoch, its last position) of all but the newest. An epoch that has ended does not change any more."""
    with connection.cursor() as cursor:
        cursor.execute(EPOCHS)
        return tuple((epoch, end) for epoch, end in cursor.fetchall() if epoch < newest_epoch)
