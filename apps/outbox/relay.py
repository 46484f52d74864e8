"""The relay publishes positioned events to the bus in position order, under a lease, moving its cursor only by
compare-and-set: a crash between publish and move repeats messages the bus already refuses, and loses none."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection

from apps.events import bus
from apps.kernel import failpoints
from apps.outbox import sequencer

SINK = "bus"
LEASE_SECONDS = 15
BATCH = 500

ENSURE = """
INSERT INTO outbox_sinkcursor (sink, shard, lane_low, lane_high, position, fence, lease_owner, updated_at)
VALUES (%s, 0, 0, 255, 0, 0, '', now()) ON CONFLICT DO NOTHING
"""
CLAIM = """
UPDATE outbox_sinkcursor
SET lease_owner = %(owner)s, lease_until = now() + make_interval(secs => %(seconds)s), fence = fence + 1
WHERE sink = %(sink)s AND shard = 0 AND (lease_until IS NULL OR lease_until < now())
RETURNING position, fence
"""
MOVE = """
UPDATE outbox_sinkcursor
SET position = %(last)s, lease_until = now() + make_interval(secs => %(seconds)s), updated_at = now()
WHERE sink = %(sink)s AND shard = 0 AND fence = %(fence)s AND position = %(position)s
"""
RELEASE = "UPDATE outbox_sinkcursor SET lease_until = NULL WHERE sink = %(sink)s AND shard = 0 AND fence = %(fence)s"
READ = """
SELECT p.position, l.event_id::text, l.tenant_id::text, l.aggregate_type, l.aggregate_id::text, l.version::text,
       l.type, l.schema_version::text, l.occurred_at, l.correlation_id::text, l.data::text
FROM outbox_position p JOIN outbox_log l ON l.id = p.id
WHERE p.position > %(after)s AND p.position <= %(head)s ORDER BY p.position LIMIT %(limit)s
"""


def publish_pending(transport: bus.Bus, *, deadline: float | None = None) -> int:
    """Publish until the bus has every positioned event or `deadline` (time.monotonic) passes; returns how many.

    Returns 0 when another relay holds the lease. Raises bus.BusUnavailable; the cursor then stays where it was.
    """
    if position() >= sequencer.head():
        return 0
    claim = _claim(f"{os.getpid()}-{uuid.uuid4().hex[:8]}")
    if claim is None:
        return 0
    reached, fence = claim
    published = 0
    try:
        while deadline is None or time.monotonic() < deadline:
            rows = _read(reached)
            if not rows:
                break
            transport.publish([_to_message(row) for row in rows])
            failpoints.reach("relay.after_publish_before_move")
            if not _move(reached, rows[-1][0], fence):
                break  # the lease went to another relay, which has these positions in hand
            reached = rows[-1][0]
            published += len(rows)
    finally:
        _execute(RELEASE, {"sink": SINK, "fence": fence})
    return published


def position() -> int:
    """The highest position the relay has published."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT position FROM outbox_sinkcursor WHERE sink = %s AND shard = 0", [SINK])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _claim(owner: str) -> tuple[int, int] | None:
    parameters: dict[str, Any] = {"owner": owner, "seconds": LEASE_SECONDS, "sink": SINK}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, parameters)
        row = cursor.fetchone()
        if row is None:
            cursor.execute(ENSURE, [SINK])
            if cursor.rowcount:
                cursor.execute(CLAIM, parameters)
                row = cursor.fetchone()
    return (int(row[0]), int(row[1])) if row else None


def _read(after: int) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(READ, {"after": after, "head": sequencer.head(), "limit": BATCH})
        return list(cursor.fetchall())


def _move(before: int, last: int, fence: int) -> bool:
    return (
        _execute(MOVE, {"last": last, "seconds": LEASE_SECONDS, "sink": SINK, "fence": fence, "position": before}) == 1
    )


def _execute(sql: str, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def _to_message(row: Sequence[Any]) -> bus.Message:
    """CloudEvents 1.0 in binary mode: attributes as fields beside the data."""
    (
        position,
        event_id,
        tenant_id,
        aggregate_type,
        aggregate_id,
        version,
        name,
        schema,
        occurred_at,
        correlation,
        data,
    ) = row
    return bus.Message(
        position,
        {
            "specversion": "1.0",
            "id": event_id,
            "source": f"/rustok/{name.split('.')[0]}",
            "type": f"com.rustok.{name}",
            "subject": f"{aggregate_type}/{aggregate_id}",
            "time": occurred_at.isoformat(),
            "datacontenttype": "application/json",
            "tenantid": tenant_id,
            "aggversion": version,
            "schemaversion": schema,
            "position": str(position),
            "correlationid": correlation or "",
            "data": data,
        },
    )
