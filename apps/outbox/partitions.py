"""Partitions of the log, by id, and of its positions: made ahead, and made up for when rows fell beside them.

A row without a partition goes to the default partition, so that no write ever fails; a row there is an alarm.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg import sql
from psycopg.errors import LockNotAvailable

from apps.kernel import errors, isolation
from apps.outbox import sequencer

# What waits for a lock makes others wait behind it: never for long, but again and again.
LOCK_TIMEOUT = "100ms"
ATTEMPTS = 40
PAUSE_SECONDS = 0.5

LEAVES = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), GREATEST(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass
"""
BOUNDS = re.compile(r"FOR VALUES FROM \((?:MINVALUE|'(-?\d+)')\) TO \('(\d+)'\)")
LAST_ID = "SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence('outbox_log', 'id')::regclass), 0)"
WEEK_AGO = """
SELECT COALESCE(
    (SELECT last_position FROM outbox_tick WHERE at < clock_timestamp() - interval '7 days' ORDER BY at DESC LIMIT 1),
    (SELECT last_position - n FROM outbox_tick ORDER BY tick_id LIMIT 1), 0)
"""


class MaintenanceRunning(errors.Conflict):
    """Another process is changing partitions."""

    code = "maintenance_running"


class LogBusy(errors.Conflict):
    """Long transactions hold the log, and waiting for them would stop everybody else."""

    code = "log_busy"


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A partitioned table and the column whose ranges divide it."""

    name: str
    key: str

    @property
    def default(self) -> str:
        return f"{self.name}_default"


LOG = Partitioned("outbox_log", "id")
POSITION = Partitioned("outbox_position", "position")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One partition: keys from `low` up to, not including, `high`. `rows` is the planner's estimate."""

    name: str
    low: int
    high: int
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Made:
    """A partition that was made, or would be, and how many rows came into it from the default partition."""

    name: str
    low: int
    high: int
    rescued: int


def leaves(table: Partitioned) -> list[Leaf]:
    """The partitions in order, without the default one."""
    with connection.cursor() as cursor:
        cursor.execute(LEAVES, [table.name])
        found = [(name, BOUNDS.fullmatch(bounds), rows, size) for name, bounds, rows, size in cursor.fetchall()]
    return sorted(
        (Leaf(name, int(match[1] or 0), int(match[2]), rows, size) for name, match, rows, size in found if match),
        key=lambda leaf: leaf.low,
    )


def count_strays() -> dict[str, int]:
    """Rows in each default partition, by table; anything but 0 means that partitions were not made in time."""
    counts = {}
    with connection.cursor() as cursor:
        for table in (LOG, POSITION):
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.default)))
            counts[table.name] = int(cursor.fetchone()[0])
    return counts


def ensure(*, is_dry_run: bool = False) -> list[Made]:
    """Make the partitions of the coming time, and those that strays in the default one need; returns what it made.

    The coming time is as much again as the last seven days brought, and at least one whole partition. Idempotent, safe
    beside writers. Raises MaintenanceRunning and LogBusy; what was made before is kept.
    """
    isolation.require_all()  # strays that are not shown would not be moved
    with exclusively():
        return [
            _make(table, low, high, is_dry_run=is_dry_run)
            for table in (LOG, POSITION)
            for low, high in _missing(table, settings.EVENTS_PARTITION_SIZE)
        ]


@contextmanager
def exclusively() -> Iterator[None]:
    """One process at a time changes partitions. A session lock: it ends with the process. Raises MaintenanceRunning."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('outbox:partitions'))")
        if not cursor.fetchone()[0]:
            raise MaintenanceRunning("Another process is changing the partitions of the log; wait for it.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext('outbox:partitions'))")


def patiently[Result](work: Callable[[], Result]) -> Result:
    """`work` in a transaction that waits for each lock only shortly, tried again and again. Raises LogBusy."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            with transaction.atomic(durable=True):
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                return work()
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
    raise LogBusy("Long transactions hold the log, see pg_stat_activity; end them, or try again later.")


def _missing(table: Partitioned, size: int) -> list[tuple[int, int]]:
    """Ranges without a partition, from the first row to the end of the coming time."""
    present = leaves(table)
    reached, coming = _reached_and_coming(table)
    lowest, highest = _range_of_strays(table)
    known = [leaf.low for leaf in present[:1]] + ([] if lowest is None else [lowest])
    start = min(known, default=reached + 1)
    return list(_gaps(present, start, max(reached, highest or 0) + max(size, coming), size))


def _gaps(present: Sequence[Leaf], start: int, until: int, size: int) -> Iterator[tuple[int, int]]:
    """What the partitions leave open of start..until, cut at multiples of `size`."""
    at = start if any(leaf.low == start for leaf in present) else start // size * size
    for leaf in present:
        while at < leaf.low:
            high = min(leaf.low, (at // size + 1) * size)
            yield at, high
            at = high
        at = max(at, leaf.high)
    while at <= until:
        high = (at // size + 1) * size
        yield at, high
        at = high


def _reached_and_coming(table: Partitioned) -> tuple[int, int]:
    """The highest key so far, and how many more the next seven days should bring."""
    head = sequencer.head()
    with connection.cursor() as cursor:
        cursor.execute(WEEK_AGO)
        grown = head - int(cursor.fetchone()[0])
        if table is POSITION:
            return head, grown
        cursor.execute(LAST_ID)
        last_id = int(cursor.fetchone()[0])
    # Transactions that roll back use up ids and no positions.
    return last_id, ceil(grown * last_id / head) if head else last_id


def _range_of_strays(table: Partitioned) -> tuple[int | None, int | None]:
    query = sql.SQL("SELECT min({key}), max({key}) FROM {table}")
    with connection.cursor() as cursor:
        cursor.execute(query.format(key=sql.Identifier(table.key), table=sql.Identifier(table.default)))
        lowest, highest = cursor.fetchone()
    return lowest, highest


def _make(table: Partitioned, low: int, high: int, *, is_dry_run: bool) -> Made:
    """One partition, with the rows of its range that stand in the default one, in one transaction.

    Made apart and attached: to attach takes no lock that a writer of other partitions notices, to create in place would
    stop all of them. The lock on the default partition waits until no row of it is uncommitted.
    """

    def work() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT outbox_make_partition(%s, %s, %s)", [table.name, low, high])
            return int(cursor.fetchone()[0])

    name = f"{table.name}_p{low:012d}"
    return Made(name, low, high, _count_strays(table, low, high) if is_dry_run else patiently(work))


def _count_strays(table: Partitioned, low: int, high: int) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE {key} >= %s AND {key} < %s")
    with connection.cursor() as cursor:
        cursor.execute(query.format(sql.Identifier(table.default), key=sql.Identifier(table.key)), [low, high])
        return int(cursor.fetchone()[0])
