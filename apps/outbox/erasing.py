"""Erasing the events of a tenant: each becomes a tombstone, of no tenant and without content, at the same position.

Positions, ids, lanes and the times of recording stay, so that order, density and ticks are what they were. Readers go
by type and pass over tombstones without knowing of them.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from django.db import connection, transaction

from apps.kernel import failpoints
from apps.outbox import archive_files, archived, archiving, models, partitions, retention, sequencer
from apps.outbox.archive_files import EVENTS, MANIFEST, Line, Manifest, Segment
from apps.outbox.events import PLATFORM, TOMBSTONE

AGGREGATE = TOMBSTONE.rpartition(".")[0]
BATCH = 5_000
ERASE = """
UPDATE outbox_log
SET tenant_id = %(platform)s, aggregate_type = %(aggregate)s, aggregate_id = %(platform)s, version = 1,
    type = %(tombstone)s, schema_version = 1, event_id = md5(%(tombstone)s || '/' || id)::uuid, actor = '',
    correlation_id = NULL, causation_id = NULL, occurred_at = recorded_at, data = '{}', meta = '{}'
WHERE id IN (SELECT id FROM outbox_log WHERE tenant_id = %(tenant_id)s ORDER BY id LIMIT %(limit)s)
"""
FOLDER = re.compile(r"positions-(\d+)-(\d+)")

type OnErased = Callable[[int], None]


def erase(tenant_id: uuid.UUID, *, on_erased: OnErased) -> None:
    """Turn every event of the tenant in the tables into a tombstone, in batches.

    `on_erased` gets how many, in the transaction of each batch. A killed one is gone on with.
    """
    is_more = True
    while is_more:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                ERASE,
                {
                    "tenant_id": tenant_id,
                    "platform": PLATFORM,
                    "aggregate": AGGREGATE,
                    "tombstone": TOMBSTONE,
                    "limit": BATCH,
                },
            )
            is_more = bool(cursor.rowcount)
            on_erased(cursor.rowcount)


def erase_archived(tenant_id: uuid.UUID, *, on_erased: OnErased) -> None:
    """The same in the archives, to be called after `erase`; each that holds such events is written anew.

    The new files are read back before the catalogue points at them; the old ones go when nobody reads them any more.
    Copies that a killed archiving has left go first. Raises MaintenanceRunning, LogBusy and ArchiveDamaged.
    """
    with partitions.exclusively():
        _remove_unfinished()
        for archive in models.Archive.objects.order_by("first"):
            _erase_archive(archive, tenant_id, on_erased)
            _remove_superseded(archive)
    archived._events_of.cache_clear()


def holds(tenant_id: uuid.UUID) -> int:
    """How many lines of the archives say the tenant's id, anywhere in them."""
    needle, found = str(tenant_id).encode(), 0
    for archive in models.Archive.objects.order_by("first"):
        folder = archiving.folder_of(archive)
        for segment in archive_files.read_manifest(folder, archive.sha256).segments:
            found += sum(needle in line for line in archive_files.read_lines(folder, segment))
    return found


def _erase_archive(archive: models.Archive, tenant_id: uuid.UUID, on_erased: OnErased) -> None:
    folder = archiving.folder_of(archive)
    manifest = archive_files.read_manifest(folder, archive.sha256)
    affected = {
        number
        for number, segment in enumerate(manifest.segments)
        if any(_is_of(line, tenant_id) for line in archive_files.read_lines(folder, segment))
    }
    if not affected:
        return
    successor = folder.with_name(_next_name(archive))
    erased = _write(folder, successor, manifest, affected, tenant_id)
    written = Manifest.from_json((successor / MANIFEST).read_bytes())
    for _ in archive_files.check(successor, written):
        pass
    failpoints.reach("purge.before_archive_swap")

    def swap() -> None:
        with connection.cursor() as cursor:
            cursor.execute(retention.ALONE)
        archive.folder, archive.bytes = successor.name, written.size
        archive.sha256 = archive_files.hash_file(successor / MANIFEST)
        archive.save(update_fields=["folder", "bytes", "sha256"])
        on_erased(erased)

    partitions.patiently(swap)
    failpoints.reach("purge.after_archive_swap")


def _write(folder: Path, successor: Path, manifest: Manifest, affected: set[int], tenant_id: uuid.UUID) -> int:
    """The archive once more, its affected segments with tombstones, all others byte for byte; how many there are."""
    shutil.rmtree(successor, ignore_errors=True)  # a killed run's
    successor.mkdir()
    segments: list[Segment] = []
    erased = offset = 0
    with (folder / EVENTS).open("rb") as old, (successor / EVENTS).open("wb") as new:
        for number, former in enumerate(manifest.segments):
            if number in affected:
                lines = [_entombed(line, tenant_id) for line in archive_files.read_lines(folder, former)]
                erased += sum(is_erased for _, is_erased in lines)
                entries = [line for line, _ in lines]
                segment, frames = archive_files.compress(entries, first=former.first, last=former.last, offset=offset)
            else:
                old.seek(former.offset)
                segment, frames = replace(former, offset=offset), old.read(former.lanes[-1])
            new.write(frames)
            segments.append(segment)
            offset = segment.end
        archive_files.sync(new)
    whole = replace(manifest, segments=segments, sha256=archive_files.hash_file(successor / EVENTS))
    archive_files.write_durably(successor / MANIFEST, whole.to_json())
    return erased


def _entombed(text: bytes, tenant_id: uuid.UUID) -> tuple[Line, bool]:
    """A line as it is to be written, and whether it became a tombstone."""
    told = orjson.loads(text)
    is_erased = _is_of(text, tenant_id)
    if is_erased:
        told |= _tombstone(told)
        text = orjson.dumps(told)
    at = datetime.fromisoformat(told["positioned_at"]) if told["positioned_at"] else None
    return Line(told["lane"], told["id"], told["type"], told["epoch"] or 1, at, text), is_erased


def _tombstone(told: dict[str, Any]) -> dict[str, Any]:
    """What `ERASE` sets."""
    digest = hashlib.md5(f"{TOMBSTONE}/{told['id']}".encode(), usedforsecurity=False)
    return {
        "tenant_id": str(PLATFORM),
        "aggregate_type": AGGREGATE,
        "aggregate_id": str(PLATFORM),
        "version": 1,
        "type": TOMBSTONE,
        "schema_version": 1,
        "event_id": str(uuid.UUID(bytes=digest.digest())),
        "actor": "",
        "correlation_id": None,
        "causation_id": None,
        "occurred_at": told["recorded_at"],
        "data": {},
        "meta": {},
    }


def _is_of(line: bytes, tenant_id: uuid.UUID) -> bool:
    """Whether the event in a line of an archive is the tenant's; its id stands behind the aggregate's."""
    return archive_files.tenant_of(line) == str(tenant_id).encode()


def _next_name(archive: models.Archive) -> str:
    """A folder beside the present one: `positions-…`, `positions-…-r1`, `positions-…-r2`."""
    _, _, revision = archive.folder.partition("-r")
    return f"{archive_files.folder_name(archive.first, archive.last)}-r{int(revision or 0) + 1}"


def _remove_superseded(archive: models.Archive) -> None:
    for folder in archiving.directory().glob(archive_files.folder_name(archive.first, archive.last) + "*"):
        if folder.name != archive.folder:
            shutil.rmtree(folder)


def _remove_unfinished() -> None:
    """Folders of ranges that are not in the catalogue, and whose events the tables have: archiving begins them anew."""
    known = {(archive.first, archive.last) for archive in models.Archive.objects.all()}
    cold, head = archived.cold_until(), sequencer.head()
    for folder in archiving.directory().glob("positions-*"):
        match = FOLDER.match(folder.name)
        if match and (int(match[1]), int(match[2])) not in known and cold < int(match[1]) <= int(match[2]) <= head:
            shutil.rmtree(folder)
