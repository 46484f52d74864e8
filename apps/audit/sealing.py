"""Sealing: committed entries get their place in their tenant's chain, and each run of them a seal.

One sealer works at a time, by an advisory lock that ends with its transaction; writers take none. The horizon is the
snapshot of the last round that took all there was: what it did not see is what began since (by the range of xids) or
was open then (by its list), so that a transaction that commits late is taken late and never missed. A horizon of
another cluster, as after a restore, or none, means looking at everything; what has a place never gets a second.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched, groupby
from typing import Any

import structlog
from django.db import connection, transaction

from apps.audit import hashing
from apps.audit.models import PLATFORM_CHAIN
from apps.kernel import failpoints, isolation

log = structlog.get_logger(__name__)

LOCK = "audit.seal"
ENTRIES_PER_ROUND = 10_000
ENTRIES_PER_SEAL = 1_000

TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
HORIZON = """
SELECT pg_snapshot_xmax(h.snap)::text, ARRAY(SELECT pg_snapshot_xip(h.snap)::text)
FROM audit_horizon h
WHERE h.cluster = (SELECT system_identifier::text FROM pg_control_system())
  AND pg_snapshot_xmax(h.snap) <= pg_snapshot_xmax(pg_current_snapshot())
"""
_ALL = "SELECT e.id, e.tenant_id, e.hash FROM audit_entry e"
# Two index ranges: begun since the horizon, and open then.
_SINCE = f"""
{_ALL} WHERE e.xid >= %(xmax)s::text::xid8
UNION ALL
{_ALL} JOIN unnest(%(open)s::text[]) o(xid) ON e.xid = o.xid::xid8
"""
_UNSEALED = """
SELECT found.id, found.tenant_id, found.hash, s::text
FROM (SELECT pg_current_snapshot() AS s) cur, ({entries}) found
WHERE NOT EXISTS (SELECT 1 FROM audit_position p WHERE p.entry_id = found.id)
ORDER BY found.id LIMIT %(limit)s
"""
UNSEALED_SINCE = _UNSEALED.format(entries=_SINCE)
UNSEALED = _UNSEALED.format(entries=_ALL)
TAILS = """
SELECT t.chain, s.number, s.last, s.seal FROM unnest(%s::uuid[]) t(chain),
LATERAL (SELECT number, last, seal FROM audit_seal WHERE chain = t.chain ORDER BY number DESC LIMIT 1) s
"""
PLACE = """
INSERT INTO audit_position (chain, sequence, entry_id, mac, key_id)
SELECT %s, p.*, %s FROM unnest(%s::bigint[], %s::uuid[], %s::bytea[]) p
"""
SEAL = """
INSERT INTO audit_seal (chain, number, first, last, previous, seal, key_id, sealed_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
MOVE_HORIZON = """
INSERT INTO audit_horizon (id, cluster, snap)
SELECT 1, system_identifier::text, %s::pg_snapshot FROM pg_control_system()
ON CONFLICT (id) DO UPDATE SET cluster = excluded.cluster, snap = excluded.snap
"""


@dataclass(slots=True)
class _Tail:
    """Where a chain ends."""

    number: int = 0
    last: int = 0
    seal: bytes = hashing.BEGINNING


type _Entries = Sequence[tuple[uuid.UUID, bytes]]


def drain(*, now: Callable[[], datetime], deadline: float | None = None) -> int:
    """Seal until nothing is left or the deadline (of time.monotonic) has passed; returns how many entries were.

    Returns at once when another sealer is at work. `now` is the clock of the seals.
    """
    sealed = 0
    with isolation.all_tenants(reason="audit sealing"):
        while deadline is None or time.monotonic() < deadline:
            count = _seal_round(now())
            sealed += count
            if count < ENTRIES_PER_ROUND:
                break
    return sealed


def _seal_round(now: datetime) -> int:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(TRY_LOCK, [LOCK])
        if not cursor.fetchone()[0]:
            return 0
        rows = _find_unsealed(cursor)
        if not rows:
            return 0
        _seal_rows(cursor, rows, now)
        if len(rows) < ENTRIES_PER_ROUND:  # this snapshot's entries have all been taken
            cursor.execute(MOVE_HORIZON, [rows[0][3]])
        failpoints.reach("audit.before_commit")
    failpoints.reach("audit.after_commit")
    return len(rows)


def _find_unsealed(cursor: Any) -> list[Any]:
    cursor.execute(HORIZON)
    horizon = cursor.fetchone()
    if horizon is None:
        cursor.execute(UNSEALED, {"limit": ENTRIES_PER_ROUND})
    else:
        cursor.execute(UNSEALED_SINCE, {"limit": ENTRIES_PER_ROUND, "xmax": horizon[0], "open": horizon[1]})
    rows: list[Any] = cursor.fetchall()
    return rows


def _seal_rows(cursor: Any, rows: list[Any], now: datetime) -> None:
    by_chain = sorted(rows, key=lambda row: row[1] or PLATFORM_CHAIN)  # stable: in order of ids within a chain
    chains = [
        (chain, [(row[0], bytes(row[2])) for row in of_chain])
        for chain, of_chain in groupby(by_chain, key=lambda row: row[1] or PLATFORM_CHAIN)
    ]
    cursor.execute(TAILS, [[chain for chain, _ in chains]])
    tails = {chain: _Tail(number, last, bytes(seal)) for chain, number, last, seal in cursor.fetchall()}
    key = hashing.current_key()
    for chain, entries in chains:
        tail = tails.get(chain) or _Tail()
        for part in batched(entries, ENTRIES_PER_SEAL):
            tail = _seal_part(cursor, key, chain, tail, part, now)


def _seal_part(cursor: Any, key: hashing.Key, chain: uuid.UUID, tail: _Tail, entries: _Entries, now: datetime) -> _Tail:
    first, number = tail.last + 1, tail.number + 1
    sequences = range(first, first + len(entries))
    macs = [
        hashing.of_position(key, chain=chain, sequence=sequence, entry_id=entry_id, entry_hash=entry_hash)
        for sequence, (entry_id, entry_hash) in zip(sequences, entries, strict=True)
    ]
    seal = hashing.of_seal(
        key,
        chain=chain,
        number=number,
        first=first,
        previous=tail.seal,
        sealed_at=now,
        hashes=[entry_hash for _, entry_hash in entries],
    )
    cursor.execute(PLACE, [chain, key.id, list(sequences), [entry_id for entry_id, _ in entries], macs])
    cursor.execute(SEAL, [chain, number, first, sequences[-1], tail.seal, seal, key.id, now])
    # Whoever collects the logs has a checkpoint by this line too.
    log.info("audit.sealed", chain=str(chain), number=number, last=sequences[-1], seal=seal.hex())
    return _Tail(number, sequences[-1], seal)
