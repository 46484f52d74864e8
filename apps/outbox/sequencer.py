"""The sequencer gives every committed event a dense position, in one statement under one snapshot.

A tick stores the snapshot it saw. The next one takes what is visible now and was not visible then, ordered by id:
transactions that started since (by xid range) and those that were open then (by the stored xip list). `UNIQUE(prev)`
is the fence: of two sequencers that extend the same tick one rolls back whole. Requires READ COMMITTED.
Source: PgQ's batch query; docs/explanation/events.md has the argument for per-aggregate order.
"""

from __future__ import annotations

from django.db import IntegrityError, connection, transaction

from apps.kernel import errors, failpoints, isolation

# Which cluster's transactions a snapshot speaks of, and on which timeline: a restored dump has another cluster, a
# physical fail-over another timeline.
HERE = """pg_current_snapshot() AS s, pg_current_wal_lsn() AS lsn,
    substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline,
    (SELECT system_identifier::text FROM pg_control_system()) AS cluster"""

GENESIS = f"""
INSERT INTO outbox_tick (prev, epoch, timeline, cluster, snap, last_position, n, id_floor, lsn)
SELECT 0, 1, timeline, cluster, '3:3:', 0, 0, 0, lsn FROM (SELECT {HERE}) cur
WHERE NOT EXISTS (SELECT 1 FROM outbox_tick) ON CONFLICT (prev) DO NOTHING
"""  # noqa: S608 - a constant

# Committed events without a position, by two index ranges: `h` is the last tick, `cur` the snapshot of now. Ids at or
# below the floor had their positions before the counter of transactions began anew; their xids mean nothing here.
_NEW = f"""
WITH h AS MATERIALIZED (SELECT * FROM outbox_tick ORDER BY tick_id DESC LIMIT 1),
     cur AS MATERIALIZED (
        SELECT now_here.*, (h.cluster NOT IN ('', now_here.cluster) OR pg_snapshot_xmax(h.snap) > pg_snapshot_xmax(s))
            AS is_foreign
        FROM h, (SELECT {HERE}) now_here
     ),
     q AS (
        SELECT l.id, l.lane FROM h, cur, outbox_log l
        WHERE l.xid >= pg_snapshot_xmax(h.snap) AND l.xid < pg_snapshot_xmax(cur.s)
          AND pg_visible_in_snapshot(l.xid, cur.s) AND l.id > h.id_floor AND NOT cur.is_foreign
        UNION ALL
        SELECT l.id, l.lane FROM (SELECT pg_snapshot_xip(snap) AS x FROM h) o JOIN outbox_log l ON l.xid = o.x, h, cur
        WHERE pg_visible_in_snapshot(l.xid, cur.s) AND l.id > h.id_floor AND NOT cur.is_foreign
     )"""  # noqa: S608 - a constant

# Empty ticks are written only while transactions are open, so that the next one has a short list to look up, and to
# begin the epoch after a fail-over.
TICK = f"""{_NEW},
     b AS (SELECT id, lane, row_number() OVER (ORDER BY id) AS rn FROM q),
     i AS (INSERT INTO outbox_position (position, id, lane)
           SELECT h.last_position + rn, b.id, b.lane FROM b, h RETURNING 1),
     c AS (SELECT count(*)::int AS n FROM i),
     t AS (
        INSERT INTO outbox_tick (prev, epoch, timeline, cluster, snap, last_position, n, id_floor, lsn)
        SELECT h.tick_id, h.epoch + (h.timeline <> cur.timeline)::int, cur.timeline, cur.cluster, cur.s,
               h.last_position + c.n, c.n, h.id_floor, cur.lsn
        FROM h, cur, c
        WHERE NOT cur.is_foreign
          AND (c.n > 0 OR h.timeline <> cur.timeline
               OR (pg_snapshot_xmin(h.snap) < pg_snapshot_xmax(h.snap)
                   AND h.at < clock_timestamp() - interval '1 second'))
        RETURNING n
     )
SELECT COALESCE((SELECT n FROM t), 0), cur.is_foreign FROM cur
"""  # noqa: S608 - two constants

WAITING = f"{_NEW} SELECT count(*) FROM q"  # noqa: S608 - two constants
IS_FOREIGN = f"{_NEW} SELECT is_foreign FROM cur"  # noqa: S608 - two constants
FORGOTTEN = """
SELECT count(*) FROM outbox_log l
WHERE l.id <= %s AND NOT EXISTS (SELECT 1 FROM outbox_position p WHERE p.id = l.id)
"""
EVERY_ID = 2**63 - 1
FOREIGN = (
    "This database was restored from a dump, or upgraded: its counter of transactions is not the one its events were "
    "numbered by, and nothing gets a position until you run manage.py events_reseal."
)


class ForeignCluster(errors.Conflict):
    """The log was restored into a cluster that counts transactions anew: what the last tick knows is of no use here."""

    code = "foreign_cluster"


@isolation.all_tenants(reason="sequence events")
def assign_positions() -> int:
    """Position every committed event that has none; returns how many. Any number of callers may run at once.

    Raises ForeignCluster after a restore, until `resealing.reseal`, and IntegrityError when positions exist that no
    tick handed out, as after a partial restore.
    """
    rival: int | None = None
    while True:
        try:
            return _tick()
        except IntegrityError:
            # Another sequencer extended the same tick and has committed: then there is a newer tick, and we look again.
            newest = _newest_tick()
            if newest == rival:
                raise
            rival = newest


def _tick() -> int:
    with connection.cursor() as cursor, transaction.atomic(durable=True):
        cursor.execute(TICK)
        row = cursor.fetchone()
        if row is None:
            cursor.execute(GENESIS)
            if cursor.rowcount:
                cursor.execute(TICK)
                row = cursor.fetchone()
        failpoints.reach("sequencer.before_commit")
    failpoints.reach("sequencer.after_commit")
    if row and row[1]:
        raise ForeignCluster(FOREIGN)
    return int(row[0]) if row else 0


def is_foreign() -> bool:
    """Whether the log stands in a cluster its last tick does not know, where nothing gets a position."""
    with connection.cursor() as cursor:
        cursor.execute(IS_FOREIGN)
        row = cursor.fetchone()
    return bool(row and row[0])


def epoch() -> int:
    """The number of the epoch: 1, and one more with every restore and fail-over; 0 for an empty log."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT epoch FROM outbox_tick ORDER BY tick_id DESC LIMIT 1")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _newest_tick() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(max(tick_id), 0) FROM outbox_tick")
        return int(cursor.fetchone()[0])


def head() -> int:
    """The highest position handed out so far, 0 for an empty log."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_position FROM outbox_tick ORDER BY tick_id DESC LIMIT 1")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


@isolation.all_tenants(reason="sequence events")
def count_waiting() -> int:
    """Committed events that the next tick will take; cheap, because it looks where the tick would look."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM outbox_tick)")
        if cursor.fetchone()[0]:
            cursor.execute(WAITING)
        else:
            cursor.execute(FORGOTTEN, [EVERY_ID])
        return int(cursor.fetchone()[0])


@isolation.all_tenants(reason="sequence events")
def count_without_position(*, until_id: int = EVERY_ID) -> int:
    """Committed events up to a log id without a position, found by comparing the whole log; for verification."""
    with connection.cursor() as cursor:
        cursor.execute(FORGOTTEN, [until_id])
        return int(cursor.fetchone()[0])
