"""Retention: what is archived becomes cold, readers go to the files, and the partitions are dropped.

    archived   the files are verified; everybody still reads the tables
    cold       everybody reads the files; the rows are superfluous
    dropped    a partition of the log goes when all its events are cold and no transaction can add one, a partition of
               positions when it is cold and no event in the tables needs it

Nobody is overtaken: a range becomes cold only below every *holder*, whoever still has to read it from the tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone
from psycopg import sql

from apps.kernel import errors
from apps.outbox import archive_files, archived, archiving, models, partitions
from apps.outbox.partitions import LOG, POSITION, Leaf

log = structlog.get_logger(__name__)

RELAY = "SELECT sink, min(position) FROM outbox_sinkcursor GROUP BY sink ORDER BY sink"
# Whoever has read the catalogue holds it until the end of the transaction: this waits for those readers, shortly.
ALONE = "LOCK TABLE outbox_archive IN ACCESS EXCLUSIVE MODE"
# The positions outlive their events, so a row without one has none yet, and a row with one has its final one.
WARM = """
SELECT EXISTS (
    SELECT 1 FROM {leaf} l WHERE NOT EXISTS (SELECT 1 FROM outbox_position p WHERE p.id = l.id AND p.position <= %s)
), pg_current_snapshot()::text
"""
# Under the lock, by index: what was not visible when we looked. Old ids carry the transaction ids of another cluster.
ADDED_SINCE = """
SELECT EXISTS (
    SELECT 1 FROM {leaf} l
    WHERE l.xid >= pg_snapshot_xmin(%(seen)s::pg_snapshot) AND NOT pg_visible_in_snapshot(l.xid, %(seen)s::pg_snapshot)
      AND l.id > (SELECT id_floor FROM outbox_tick ORDER BY tick_id DESC LIMIT 1)
)
"""
NEEDED = "SELECT EXISTS (SELECT 1 FROM {leaf} p JOIN outbox_log l ON l.id = p.id)"
FORGET_TICKS = """
DELETE FROM outbox_tick
WHERE last_position <= %s AND tick_id < (SELECT max(tick_id) FROM outbox_tick)
"""


class Held(errors.Conflict):
    """Somebody still has to read these events from the tables."""

    code = "log_held"


@dataclass(frozen=True, slots=True)
class Hold:
    """`name` has everything up to `position` and needs what comes after it; `remedy` says how to end that."""

    name: str
    position: int
    remedy: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Positions up to `cold_until` are read from archives; `partitions` are gone, `freed_bytes` with them."""

    cold_until: int
    partitions: list[str]
    freed_bytes: int


type Holder = Callable[[], Iterator[Hold]]

_holders: list[Holder] = []


def register(holder: Holder) -> None:
    """Have `holder` asked before events become cold; for floors above this one."""
    if holder not in _holders:
        _holders.append(holder)


def holds() -> list[Hold]:
    """Everybody who reads the tables, with how far they are; the furthest behind first."""
    with connection.cursor() as cursor:
        cursor.execute(RELAY)
        sinks = cursor.fetchall() or [("bus", 0)]
    own = [Hold(f"the relay to {sink}", position, "let it publish") for sink, position in sinks]
    # What the bus has lost the relay publishes to them again, from the tables.
    for name, position in models.BusReader.objects.values_list("name", "position"):
        own.append(Hold(f"the bus reader {name}", position, "let it read, or give it up with events_bus retire"))
    others = [hold for holder in _holders for hold in holder()]
    return sorted([*own, *others], key=lambda hold: hold.position)


def droppable(*, before: datetime | None = None) -> list[models.Archive]:
    """Archives that are not cold yet, in order; with `before` those whose last position was handed out before it."""
    rows = models.Archive.objects.filter(is_cold=False).order_by("first")
    return [row for row in rows if before is None or (archiving.handed_out_at(row.last) or timezone.now()) < before]


def drop(*, before: datetime | None = None) -> Dropped:
    """Make archives cold, and drop the partitions nobody reads any more. A killed one is gone on with.

    Raises Held naming everybody in the way and ArchiveDamaged, when what comes before is dropped; MaintenanceRunning
    and LogBusy.
    """
    obstacle: errors.DomainError | None = None
    with partitions.exclusively():
        try:
            for archive in droppable(before=before):
                _release(archive)
        except (Held, archive_files.ArchiveDamaged) as error:
            obstacle = error
        cold = archived.cold_until()
        gone = [leaf for leaf in partitions.leaves(LOG) if _drop_log(leaf, cold)]
        gone += [leaf for leaf in partitions.leaves(POSITION) if _drop_positions(leaf, cold)]
        with connection.cursor() as cursor:
            cursor.execute(FORGET_TICKS, [cold])
        if obstacle:
            raise obstacle
        return Dropped(cold, [leaf.name for leaf in gone], sum(leaf.bytes for leaf in gone))


def keep(*, now: datetime, deadline: float | None = None) -> Dropped | None:
    """Archive and drop what is older than the setting allows; None when there is no such setting. Raises as both do.

    After `deadline` (time.monotonic) no further range is begun.
    """
    if settings.EVENTS_HOT_DAYS is None:
        return None
    before = now - timedelta(days=settings.EVENTS_HOT_DAYS)
    for first, last in archiving.sealed(before=before):
        archiving.archive(first, last)
        if deadline is not None and time.monotonic() > deadline:
            break
    return drop(before=before)


def _release(archive: models.Archive) -> None:
    """Make one archive cold: read it back a last time, and let readers change over while nobody is reading."""
    if archive.first != archived.cold_until() + 1:
        raise Held(f"Positions before {archive.first:,} are not archived; archive them first.")
    refuse_held(archive.last)
    folder = archiving.folder_of(archive)
    for _ in archive_files.check(folder, archive_files.read_manifest(folder, archive.sha256)):
        pass

    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute(ALONE)
        refuse_held(archive.last)
        models.Archive.objects.filter(pk=archive.pk).update(is_cold=True)

    partitions.patiently(work)


def refuse_held(last: int) -> None:
    """Raises Held when somebody has not everything up to a position."""
    in_the_way = [hold for hold in holds() if hold.position < last]
    if in_the_way:
        told = "; ".join(f"{hold.name} is at {hold.position:,} ({hold.remedy})" for hold in in_the_way)
        raise Held(f"Positions up to {last:,} are still needed in the database: {told}.")


def _drop_log(leaf: Leaf, cold: int) -> bool:
    """Drop a partition of the log if all its events are cold, and nobody can have added one since we looked.

    Only a writer that drew its id long ago may still be at it, and the lock waits for it: if it does not end soon, the
    partition stays for the next time. The plain DETACH, because the concurrent one refuses tables with a default
    partition.
    """
    with connection.cursor() as cursor:
        cursor.execute(partitions.LAST_ID)
        if leaf.high > cursor.fetchone()[0]:
            return False
        cursor.execute(sql.SQL(WARM).format(leaf=sql.Identifier(leaf.name)), [cold])
        is_warm, seen = cursor.fetchone()
        if is_warm:
            return False

    def work() -> bool:
        with connection.cursor() as cursor:
            _detach(leaf)
            cursor.execute(sql.SQL(ADDED_SINCE).format(leaf=sql.Identifier(leaf.name)), {"seen": seen})
            if cursor.fetchone()[0]:
                raise _Changed
            cursor.execute("SELECT outbox_drop_detached(%s)", [leaf.name])
        return True

    try:
        return partitions.patiently(work)
    except _Changed:
        return False


def _drop_positions(leaf: Leaf, cold: int) -> bool:
    if leaf.high - 1 > cold:
        return False
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(NEEDED).format(leaf=sql.Identifier(leaf.name)))
        if cursor.fetchone()[0]:
            return False

    def work() -> bool:
        _detach(leaf)
        with connection.cursor() as cursor:
            cursor.execute("SELECT outbox_drop_detached(%s)", [leaf.name])
        return True

    return partitions.patiently(work)


def _detach(leaf: Leaf) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT outbox_detach_partition(%s)", [leaf.name])


class _Changed(Exception):
    """An event came into a partition while it was being dropped; it stays."""
