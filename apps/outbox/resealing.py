"""Sealing the log anew after it was restored into a cluster with another counter of transactions.

The sequencer tells new events from old ones by transaction ids. In another cluster those of the stored events say
nothing: events would be passed over, and stored ones be taken for new when the counter comes by their ids. So every
event there is gets its position here, and a tick with the snapshot of this cluster and a floor under all of them makes
the beginning of a new epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from apps.kernel import errors, isolation
from apps.outbox import sequencer

LOCK_TIMEOUT = "5s"
# Every writer holds a lock on the log from before it draws an id until it ends: who has this one knows all of them.
LOCK = "LOCK TABLE outbox_log, outbox_position, outbox_tick IN SHARE ROW EXCLUSIVE MODE"
HOLDERS = """
SELECT DISTINCT a.pid, COALESCE(NULLIF(a.application_name, ''), a.usename), a.state
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.relation IN ('outbox_log'::regclass, 'outbox_position'::regclass, 'outbox_tick'::regclass)
  AND l.granted AND l.mode = 'RowExclusiveLock' AND a.pid <> pg_backend_pid()
ORDER BY 1
"""
# A dump made by hand may lack the sequence: an id is never drawn twice.
ADVANCE_IDS = """
SELECT setval(pg_get_serial_sequence('outbox_log', 'id'), GREATEST(
    (SELECT COALESCE(max(id), 0) FROM outbox_log), (SELECT COALESCE(max(id), 0) FROM outbox_position),
    (SELECT COALESCE(max(highest_id), 0) FROM outbox_archive),
    pg_sequence_last_value(pg_get_serial_sequence('outbox_log', 'id')::regclass), 1))
"""
POSITION = """
WITH h AS (SELECT last_position FROM outbox_tick ORDER BY tick_id DESC LIMIT 1)
INSERT INTO outbox_position (position, id, lane)
SELECT h.last_position + row_number() OVER (ORDER BY l.id), l.id, l.lane
FROM outbox_log l, h WHERE NOT EXISTS (SELECT 1 FROM outbox_position p WHERE p.id = l.id)
"""
SEAL = f"""
WITH h AS (SELECT * FROM outbox_tick ORDER BY tick_id DESC LIMIT 1), cur AS (SELECT {sequencer.HERE})
INSERT INTO outbox_tick (prev, epoch, timeline, cluster, snap, last_position, n, id_floor, lsn)
SELECT h.tick_id, h.epoch + 1, cur.timeline, cur.cluster, cur.s, h.last_position + %(n)s, %(n)s, %(id_floor)s, cur.lsn
FROM h, cur
RETURNING epoch, last_position, id_floor
"""  # noqa: S608 - a constant


class WritersConnected(errors.Conflict):
    """Transactions that write events are open: which of them are from before nobody could say."""

    code = "writers_connected"


@dataclass(frozen=True, slots=True)
class Resealed:
    """`positioned` events had none; positions go on after `position`, ids after `id_floor`.

    `is_new` is False when the log was in order, and nothing was done.
    """

    is_new: bool
    epoch: int
    positioned: int
    position: int
    id_floor: int


@isolation.all_tenants(reason="look after events")
def reseal() -> Resealed:
    """Begin a new epoch in this cluster, in one transaction; does nothing where the last tick is of this cluster.

    Writers wait meanwhile. Raises WritersConnected naming those who do not let go.
    """
    try:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            cursor.execute(LOCK)
            if not sequencer.is_foreign():
                return Resealed(False, sequencer.epoch(), 0, sequencer.head(), 0)
            cursor.execute(ADVANCE_IDS)
            id_floor = cursor.fetchone()[0]
            cursor.execute(POSITION)
            positioned = int(cursor.rowcount)
            cursor.execute(SEAL, {"n": positioned, "id_floor": id_floor})
            epoch, position, id_floor = cursor.fetchone()
            return Resealed(True, epoch, positioned, position, id_floor)
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        names = ", ".join(_describe(row) for row in _holders()) or "one that has just ended"
        raise WritersConnected(
            f"Transactions are writing events: {names}. Stop the writers and run it again."
        ) from error


def _holders() -> list[Sequence[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS)
        return list(cursor.fetchall())


def _describe(row: Sequence[Any]) -> str:
    pid, name, state = row
    return f"{name} (pid {pid}, {state})"
