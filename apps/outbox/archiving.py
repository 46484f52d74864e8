"""Archiving: the events of full partitions of positions, once more in files that are read back before they count.

A partition of positions is full when its last position is handed out. What it says is final then: a position is given
to an event whose commit the sequencer saw, so no open transaction can add to the range or take from it. (Partitions of
the log, by id, are another matter, and `retention` waits for their writers before it drops one.)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.kernel import errors
from apps.outbox import archive_files, models, partitions, sequencer
from apps.outbox.archive_files import EVENTS, MANIFEST, PARTIAL, Line, Manifest, Segment

# Every column of the log, and with which tick the position came.
LINES = """
SELECT p.lane, l.id, l.type, COALESCE(t.epoch, 1), t.at, row_to_json(line)::text
FROM outbox_position p JOIN outbox_log l ON l.id = p.id
LEFT JOIN LATERAL (
    SELECT epoch, at FROM outbox_tick
    WHERE last_position >= p.position AND n > 0 ORDER BY last_position LIMIT 1
) t ON true
CROSS JOIN LATERAL (
    SELECT l.aggregate_id, l.tenant_id, l.aggregate_type, l.version, p.position, p.lane, l.id, l.xid::text AS xid,
           l.event_id, l.type, l.schema_version, l.actor, l.correlation_id, l.causation_id, l.occurred_at,
           l.recorded_at, t.epoch, t.at AS positioned_at, l.meta, l.data
) line
WHERE p.position BETWEEN %s AND %s ORDER BY p.lane, p.position
"""
AT = "SELECT at FROM outbox_tick WHERE last_position >= %s ORDER BY last_position, tick_id LIMIT 1"


class ArchiveConflict(errors.Conflict):
    """The folder holds events that are not those of this log."""

    code = "archive_conflict"


class ArchiveUnwritable(errors.Conflict):
    """The archive directory takes no files: it is full, not ours, or not there."""

    code = "archive_unwritable"


class EventsMissing(errors.Conflict):
    """Positions of the range have no event: the log is broken, and copying it would hide that."""

    code = "events_missing"


type OnProgress = Callable[[int, int], None]


def directory() -> Path:
    """Where archives are kept."""
    return Path(settings.EVENTS_ARCHIVE_DIR)


def folder_of(archive: models.Archive) -> Path:
    return directory() / archive.folder


def sealed(*, before: datetime | None = None) -> list[tuple[int, int]]:
    """Ranges of positions, first and last, that may be archived and are not: those of full partitions, in order.

    With `before` only those whose last position was handed out before that moment, by the clock of the database.
    """
    head = sequencer.head()
    done = models.Archive.objects.order_by("-last").values_list("last", flat=True).first() or 0
    full = [
        (max(leaf.low, 1), leaf.high - 1) for leaf in partitions.leaves(partitions.POSITION) if leaf.high - 1 <= head
    ]
    return [
        (first, last)
        for first, last in full
        if first > done and (before is None or (handed_out_at(last) or timezone.now()) < before)
    ]


def handed_out_at(position: int) -> datetime | None:
    """When a position was handed out: the time of its tick, as the times of rows are those of their transactions."""
    with connection.cursor() as cursor:
        cursor.execute(AT, [position])
        row = cursor.fetchone()
    return row[0] if row else None


def archive(first: int, last: int, *, on_progress: OnProgress = lambda done, total: None) -> models.Archive:
    """Write positions first..last, read them back, compare them with the log and enter them into the catalogue.

    A killed one is gone on with. `on_progress` gets events written or compared, and twice the events there are. Raises
    MaintenanceRunning, EventsMissing, ArchiveUnwritable, ArchiveDamaged, and ArchiveConflict when the folder holds
    something else.
    """
    try:
        return _archive(first, last, on_progress)
    except OSError as error:
        raise ArchiveUnwritable(
            f"{error.filename or directory()} can't be written ({error.strerror}); see RUSTOK_EVENTS_ARCHIVE_DIR, "
            "then run it again to go on."
        ) from error


def _archive(first: int, last: int, on_progress: OnProgress) -> models.Archive:
    with partitions.exclusively():
        found = models.Archive.objects.filter(first=first, last=last).first()
        if found:
            return found
        folder = directory() / archive_files.folder_name(first, last)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / MANIFEST).exists():
            _write(folder, first, last, on_progress)
        manifest = Manifest.from_json((folder / MANIFEST).read_bytes())
        _compare(folder, manifest, first, last, on_progress)
        return models.Archive.objects.create(
            first=first,
            last=last,
            folder=folder.name,
            lowest_id=min(segment.lowest_id for segment in manifest.segments),
            highest_id=max(segment.highest_id for segment in manifest.segments),
            bytes=manifest.size,
            sha256=archive_files.hash_file(folder / MANIFEST),
            archived_at=timezone.now(),
        )


def _write(folder: Path, first: int, last: int, on_progress: OnProgress) -> None:
    """The file of events and, as its last act, the manifest; each under another name until it is whole and on disk."""
    unfinished, note = folder / (EVENTS + PARTIAL), folder / (MANIFEST + PARTIAL)
    segments = _begun(unfinished, note, first, last)
    with unfinished.open("ab") as file:
        file.truncate(segments[-1].end if segments else 0)
        for low in range(segments[-1].last + 1 if segments else first, last + 1, archive_files.SEGMENT_EVENTS):
            high = min(low + archive_files.SEGMENT_EVENTS - 1, last)
            offset = segments[-1].end if segments else 0
            segment, frames = archive_files.compress(_lines(low, high), first=low, last=high, offset=offset)
            file.write(frames)
            archive_files.sync(file)
            segments.append(segment)
            archive_files.write_durably(note, Manifest(first, last, segments).to_json())
            on_progress(high - first + 1, 2 * (last - first + 1))
    whole = Manifest(first, last, segments, sha256=archive_files.hash_file(unfinished))
    archive_files.rename_durably(unfinished, folder / EVENTS)
    archive_files.write_durably(folder / MANIFEST, whole.to_json())
    note.unlink()


def _begun(unfinished: Path, note: Path, first: int, last: int) -> list[Segment]:
    """The segments a killed run has left on disk."""
    renamed = unfinished.with_name(EVENTS)
    if renamed.exists() and not unfinished.exists():
        renamed.rename(unfinished)  # killed between the two last acts
    if not note.exists() or not unfinished.exists():
        return []
    left = Manifest.from_json(note.read_bytes())
    is_ours = (left.first, left.last) == (first, last) and left.size <= unfinished.stat().st_size
    return left.segments if is_ours else []


def _lines(first: int, last: int) -> list[Line]:
    """The rows of a segment as lines, in the order of lanes and positions. Raises EventsMissing."""
    with connection.cursor() as cursor:
        cursor.execute(LINES, [first, last])
        lines = [
            Line(lane, row_id, name, epoch, at, text.encode())
            for lane, row_id, name, epoch, at, text in cursor.fetchall()
        ]
    if len(lines) != last - first + 1:
        raise EventsMissing(
            f"Positions {first:,} to {last:,} lead to {len(lines):,} events; run events_verify and mend the log first."
        )
    return lines


def _compare(folder: Path, manifest: Manifest, first: int, last: int, on_progress: OnProgress) -> None:
    """What was written against the log, every segment."""
    total = last - first + 1
    if (manifest.first, manifest.last) != (first, last):
        raise ArchiveConflict(f"{folder} holds positions {manifest.first:,} to {manifest.last:,}; move it away.")
    for segment, _ in archive_files.check(folder, manifest):
        if archive_files.hash_lines(_lines(segment.first, segment.last)) != segment.sha256:
            raise ArchiveConflict(
                f"{folder} holds other events at {segment.first:,} to {segment.last:,}: those of another log, or of "
                "before a restore. Move the folder away."
            )
        on_progress(total + segment.last - first + 1, 2 * total)
