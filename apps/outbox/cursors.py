"""How far the relay has published, per shard of lanes: a lease says who may go on, a fence who no longer may.

Leases end by the database's clock. A cursor moves only by compare-and-set of fence and position, so an owner that slept
through the end of its lease changes nothing.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from apps.events import envelope

BUS = "bus"
LEASE_SECONDS = 15

ALL = "SELECT shard, lane_low, lane_high, position, fence FROM outbox_sinkcursor WHERE sink = %(sink)s ORDER BY shard"
BUSY = """
SELECT count(*), count(*) FILTER (WHERE lease_until > clock_timestamp()), COALESCE(min(position), 0),
       COALESCE(max(fence), 0)
FROM (SELECT * FROM outbox_sinkcursor WHERE sink = %(sink)s FOR UPDATE) cursors
"""
INSERT = """
INSERT INTO outbox_sinkcursor (sink, shard, lane_low, lane_high, position, fence, lease_owner, updated_at)
VALUES (%(sink)s, %(shard)s, %(lane_low)s, %(lane_high)s, %(position)s, %(fence)s, '', now()) ON CONFLICT DO NOTHING
"""
CLAIM = """
UPDATE outbox_sinkcursor
SET lease_owner = %(owner)s, lease_until = clock_timestamp() + make_interval(secs => %(seconds)s), fence = fence + 1
WHERE (sink, shard) = (
    SELECT sink, shard FROM outbox_sinkcursor
    WHERE sink = %(sink)s AND shard = %(shard)s AND (lease_until IS NULL OR lease_until < clock_timestamp())
    FOR UPDATE SKIP LOCKED)
RETURNING shard, lane_low, lane_high, position, fence
"""
MOVE = """
UPDATE outbox_sinkcursor
SET position = %(to)s, lease_until = clock_timestamp() + make_interval(secs => %(seconds)s), updated_at = now()
WHERE sink = %(sink)s AND shard = %(shard)s AND fence = %(fence)s AND position = %(position)s
"""
RELEASE = """
UPDATE outbox_sinkcursor SET lease_until = NULL WHERE sink = %(sink)s AND shard = %(shard)s AND fence = %(fence)s
"""
REWIND = """
UPDATE outbox_sinkcursor SET position = LEAST(position, %(position)s), fence = fence + 1, lease_until = NULL
WHERE sink = %(sink)s
"""
POSITION = "SELECT COALESCE(min(position), 0) FROM outbox_sinkcursor WHERE sink = %(sink)s"


@dataclass(frozen=True, slots=True)
class Cursor:
    """One shard as it was when it was read or claimed; `fence` is the right to move it."""

    sink: str
    shard: int
    lane_low: int
    lane_high: int
    position: int
    fence: int


def all_of(sink: str) -> list[Cursor]:
    with connection.cursor() as cursor:
        cursor.execute(ALL, {"sink": sink})
        return [Cursor(sink, *row) for row in cursor.fetchall()]


def position(sink: str) -> int:
    """Up to here all shards have published."""
    with connection.cursor() as cursor:
        cursor.execute(POSITION, {"sink": sink})
        return int(cursor.fetchone()[0])


def divide(sink: str, shards: int) -> bool:
    """Make as many shards of the lanes; the new ones begin where the slowest old one stood.

    Whether an existing division was replaced. Nothing happens while somebody holds a lease.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BUSY, {"sink": sink})
        count, busy, slowest, fence = cursor.fetchone()
        if count == shards or busy:
            return False
        cursor.execute("DELETE FROM outbox_sinkcursor WHERE sink = %(sink)s", {"sink": sink})
        for shard in range(shards):
            low, high = (envelope.LANES * edge // shards for edge in (shard, shard + 1))
            row = {"shard": shard, "lane_low": low, "lane_high": high - 1, "position": slowest, "fence": fence + 1}
            cursor.execute(INSERT, {"sink": sink} | row)
        return bool(count)


def claim(sink: str, shard: int) -> Cursor | None:
    """Take the lease of a shard; None when somebody has it."""
    owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"sink": sink, "shard": shard, "owner": owner, "seconds": LEASE_SECONDS})
        row = cursor.fetchone()
    return Cursor(sink, *row) if row else None


def move(claimed: Cursor, *, before: int, to: int) -> bool:
    """Move and keep the lease; False when it went to somebody else, who has these positions in hand."""
    return _execute(MOVE, claimed, {"position": before, "to": to, "seconds": LEASE_SECONDS}) == 1


def release(claimed: Cursor) -> None:
    _execute(RELEASE, claimed, {})


def rewind(sink: str, position: int) -> None:
    """Set every shard that is further back to a position, and end all leases."""
    with connection.cursor() as cursor:
        cursor.execute(REWIND, {"sink": sink, "position": position})


def _execute(sql: str, claimed: Cursor, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters | {"sink": claimed.sink, "shard": claimed.shard, "fence": claimed.fence})
        return int(cursor.rowcount)
