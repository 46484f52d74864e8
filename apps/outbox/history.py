"""The events of one tenant as it takes them along to another installation, and back into a log as history.

What is brought in is marked: projections read it as any other event, effects never act on it.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import orjson
from django.db import connection, transaction

from apps.outbox import archive_files, archived, archiving, models, wake

IMPORTED = "imported"
# Where it stood in the log it came from is no part of an event: id, transaction and position are drawn anew.
COLUMNS = (
    "event_id", "aggregate_type", "aggregate_id", "version", "type", "schema_version", "actor", "correlation_id",
    "causation_id", "occurred_at", "recorded_at", "data", "meta",
)  # fmt: skip
CHUNK = 1000
COUNT = "SELECT COALESCE(sum(version), 0) FROM outbox_stream WHERE tenant_id = %s"
# Events without a position yet come last: per aggregate the order of ids is that of versions.
READ = f"""
SELECT row_to_json(e)::text FROM (
    SELECT {", ".join(f"l.{name}" for name in COLUMNS)}
    FROM outbox_log l LEFT JOIN outbox_position p ON p.id = l.id
    WHERE l.tenant_id = %(tenant_id)s AND COALESCE(p.position, %(cold)s + 1) > %(cold)s
    ORDER BY p.position NULLS LAST, l.id
) e
"""  # noqa: S608 - constants
WRITE = f"""
INSERT INTO outbox_log (tenant_id, lane, {", ".join(COLUMNS)})
SELECT %(tenant_id)s, mod(crc32(uuid_send(%(tenant_id)s::uuid) || uuid_send(e.aggregate_id)), 256),
       {", ".join(f"e.{name}" for name in COLUMNS[:-1])}, e.meta || %(mark)s::jsonb
FROM ROWS FROM (json_to_recordset(%(events)s::json) AS (
    event_id uuid, aggregate_type text, aggregate_id uuid, version integer, type text, schema_version smallint,
    actor text, correlation_id uuid, causation_id uuid, occurred_at timestamptz, recorded_at timestamptz, data jsonb,
    meta jsonb)) WITH ORDINALITY AS e({", ".join(COLUMNS)}, i)
ORDER BY e.i
"""  # noqa: S608 - constants
HEADS = """
INSERT INTO outbox_stream (tenant_id, aggregate_type, aggregate_id, version)
SELECT tenant_id, aggregate_type, aggregate_id, max(version) FROM outbox_log WHERE tenant_id = %s GROUP BY 1, 2, 3
"""
AMONG = """
SELECT p.position FROM outbox_position p JOIN outbox_log l ON l.id = p.id
WHERE p.position = ANY(%(positions)s) AND l.meta ? %(mark)s
"""


def count(tenant_id: uuid.UUID) -> int:
    """How many events the tenant has: each stream counts its own."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [tenant_id])
        return int(cursor.fetchone()[0])


def read(tenant_id: uuid.UUID) -> Iterator[bytes]:
    """Every event of the tenant as one line of canonical JSON, in the order of the log, from archives and tables.

    To be called within `log.one_snapshot()`.
    """
    cold = archived.cold_until()
    for told in _cold(tenant_id):
        yield _canonical(told)
    with connection.chunked_cursor() as cursor:
        cursor.execute(READ, {"tenant_id": tenant_id, "cold": cold})
        while rows := cursor.fetchmany(CHUNK):
            for (text,) in rows:
                yield _canonical(orjson.loads(text))


def write(tenant_id: uuid.UUID, lines: Sequence[bytes]) -> None:
    """Append what `read` gave, in the caller's transaction, marked as brought in. `finish` has to follow."""
    with connection.cursor() as cursor:
        cursor.execute(
            WRITE,
            {
                "tenant_id": tenant_id,
                "mark": orjson.dumps({IMPORTED: True}).decode(),
                "events": (b"[" + b",".join(lines) + b"]").decode(),
            },
        )


def finish(tenant_id: uuid.UUID) -> None:
    """Set the heads of the tenant's streams, after the last `write`."""
    with connection.cursor() as cursor:
        cursor.execute(HEADS, [tenant_id])
    transaction.on_commit(wake.committed, robust=True)


def imported_among(positions: Collection[int]) -> set[int]:
    """Those of these positions whose event was brought in as history."""
    if not positions:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(AMONG, {"positions": list(positions), "mark": IMPORTED})
        return {position for (position,) in cursor.fetchall()}


def _cold(tenant_id: uuid.UUID) -> Iterator[dict[str, Any]]:
    """The tenant's events in the cold archives, a segment at a time."""
    wanted = str(tenant_id).encode()
    for archive in models.Archive.objects.filter(is_cold=True).order_by("first"):
        folder = archiving.folder_of(archive)
        for segment in archive_files.read_manifest(folder, archive.sha256).segments:
            lines = archive_files.read_lines(folder, segment)
            events = [orjson.loads(line) for line in lines if archive_files.tenant_of(line) == wanted]
            yield from sorted(events, key=lambda told: int(told["position"]))


def _canonical(told: dict[str, Any]) -> bytes:
    """The same bytes for the same event, wherever it was read and however often it was brought in."""
    kept = {name: told[name] for name in COLUMNS}
    kept["meta"] = {key: value for key, value in told["meta"].items() if key != IMPORTED}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
