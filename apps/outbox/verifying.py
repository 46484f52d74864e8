"""Proof of the log, archives and tables together: every event has its place, every place its event."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from django.db import connection

from apps.kernel import isolation
from apps.outbox import archive_files, archived, archiving, log, models, partitions, sequencer
from apps.outbox.events import TOMBSTONE

DENSE = """
SELECT count(*), COALESCE(min(position), 0), COALESCE(max(position), 0), count(DISTINCT id)
FROM outbox_position WHERE position > %(cold)s
"""
ORPHANS = """
SELECT count(*) FROM outbox_position p
WHERE p.position > %(cold)s AND NOT EXISTS (SELECT 1 FROM outbox_log l WHERE l.id = p.id)
"""
# A run is the versions low..high of an aggregate that follow each other: what a segment of an archive has of it, or one
# event of the tables. Tombstones are of no stream.
VERSIONS = """
SELECT count(*) FROM (
    SELECT low, COALESCE(lag(high) OVER w, 0) AS before
    FROM (
        SELECT * FROM archived_runs
        UNION ALL
        SELECT l.tenant_id, l.aggregate_type, l.aggregate_id, p.position, l.version, l.version
        FROM outbox_log l JOIN outbox_position p ON p.id = l.id
        WHERE p.position > %(cold)s AND l.type <> %(tombstone)s
    ) runs
    WINDOW w AS (PARTITION BY tenant_id, aggregate_type, aggregate_id ORDER BY position)
) numbered WHERE low <> before + 1
"""
HEADS = """
SELECT count(*) FROM outbox_stream s FULL JOIN (
    SELECT tenant_id, aggregate_type, aggregate_id, max(version) AS version FROM (
        SELECT tenant_id, aggregate_type, aggregate_id, high AS version FROM archived_runs
        UNION ALL
        SELECT tenant_id, aggregate_type, aggregate_id, version FROM outbox_log WHERE type <> %(tombstone)s
    ) every GROUP BY 1, 2, 3
) l USING (tenant_id, aggregate_type, aggregate_id) WHERE s.version IS DISTINCT FROM l.version
"""
ARCHIVED_RUNS = """
DROP TABLE IF EXISTS pg_temp.archived_runs;
CREATE TEMPORARY TABLE archived_runs (
    tenant_id uuid, aggregate_type text, aggregate_id uuid, position bigint, low integer, high integer
)
"""
COPY_RUNS = "COPY archived_runs FROM STDIN"


@isolation.all_tenants(reason="look after events")
def verify_log(newest_id: int, *, report: Callable[[str], None] = lambda line: None) -> list[str]:
    """Every broken promise of the log, empty when all hold; events above `newest_id` may still lack a position.

    Checks: the archives are what was written, checksum by checksum, and continue each other; cold positions and those
    of the tables are 1..N; every committed event has exactly one; versions count 1..n per aggregate in position order
    and match the stream heads; no row stands without a partition; the cluster is the one the log knows.
    """
    with connection.cursor() as cursor:
        cursor.execute(ARCHIVED_RUNS)
    with log.one_snapshot():
        cold = archived.cold_until()
        damage = _check_archives(report)
        found = damage + _check_positions(newest_id, cold)
        if not damage:  # what can't be read says nothing about versions
            found += _check_versions(cold)
        head = sequencer.head()
    report(f"log: {head:,} positions checked")
    for table, count in partitions.count_strays().items():
        if count:
            found.append(f"{count} rows of {table} have no partition; run events_partition ensure")
    if sequencer.is_foreign():
        found.append(sequencer.FOREIGN)
    return found


def _check_archives(report: Callable[[str], None]) -> list[str]:
    expected = 1
    for archive in models.Archive.objects.order_by("first"):
        if archive.first != expected:
            return [
                f"archives do not continue each other: positions from {expected} to {archive.first - 1} are missing"
            ]
        expected = archive.last + 1
        folder = archiving.folder_of(archive)
        try:
            manifest = archive_files.read_manifest(folder, archive.sha256)
            for _, events in archive_files.check(folder, manifest):
                if archive.is_cold:
                    _note_runs(events)
        except archive_files.ArchiveDamaged as error:
            return [error.detail]
        report(f"archive {archive.folder}: {archive.last - archive.first + 1:,} events read back")
    return []


def _note_runs(events: list[dict[str, Any]]) -> None:
    def key(event: dict[str, Any]) -> tuple[str, str, str]:
        return event["tenant_id"], event["aggregate_type"], event["aggregate_id"]

    with connection.cursor() as cursor, cursor.copy(COPY_RUNS) as copy:
        # By aggregate, each in position order: the sort keeps the order of the lane.
        numbered = (event for event in events if event["type"] != TOMBSTONE)
        for aggregate, stream in groupby(sorted(numbered, key=key), key=key):
            run: list[dict[str, Any]] = []
            for event in stream:
                if run and event["version"] != run[-1]["version"] + 1:
                    copy.write_row((*aggregate, run[0]["position"], run[0]["version"], run[-1]["version"]))
                    run = []
                run.append(event)
            copy.write_row((*aggregate, run[0]["position"], run[0]["version"], run[-1]["version"]))


def _check_positions(newest_id: int, cold: int) -> list[str]:
    found = []
    with connection.cursor() as cursor:
        cursor.execute(DENSE, {"cold": cold})
        count, lowest, highest, distinct = cursor.fetchone()
        head = sequencer.head()
        in_tables = head - cold
        if not (count == in_tables == distinct) or (count and (lowest, highest) != (cold + 1, head)):
            found.append(
                f"positions are not 1..N: {cold} archived, {count} rows from {lowest} to {highest} for {distinct} "
                f"events, newest tick at {head}"
            )
        if unpositioned := sequencer.count_without_position(until_id=newest_id):
            found.append(f"{unpositioned} committed events have no position; let the workers drain, then verify again")
        cursor.execute(ORPHANS, {"cold": cold})
        if orphans := cursor.fetchone()[0]:
            found.append(f"{orphans} positions point at no event")
    return found


def _check_versions(cold: int) -> list[str]:
    found = []
    with connection.cursor() as cursor:
        for sql, meaning in (
            (VERSIONS, "events stand out of version order within their aggregate"),
            (HEADS, "stream heads differ from the newest version in the log"),
        ):
            cursor.execute(sql, {"cold": cold, "tombstone": TOMBSTONE})
            if wrong := cursor.fetchone()[0]:
                found.append(f"{wrong} {meaning}")
    return found
