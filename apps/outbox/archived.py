"""Reading the cold part of the log, positions 1 to `cold_until`, from archives. Used by `log`, which adds the rest."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from django.db import connection

from apps.events import envelope
from apps.outbox import archive_files, archiving, models
from apps.outbox.archive_files import Segment

# A fold holds the events of some lanes, and of one lane in turns when it is bigger than this.
BUDGET_BYTES = 64 * 2**20
BUCKETS = 256

# Who has read this holds the catalogue until the transaction ends: nothing becomes cold, and nothing is dropped,
# between the look at what is cold and the look at what is not.
COLD_UNTIL = "SELECT COALESCE(max(last), 0) FROM outbox_archive WHERE is_cold"

type Key = tuple[uuid.UUID, str, uuid.UUID]


@dataclass(frozen=True, slots=True)
class Part:
    """Lanes low..high, of which only the aggregates of one of `buckets` are read at a time."""

    low: int
    high: int
    bucket: int = 0
    buckets: int = 1


def cold_until() -> int:
    """The last position readers take from archives, 0 without any; to be asked in the transaction that reads on."""
    with connection.cursor() as cursor:
        cursor.execute(COLD_UNTIL)
        return int(cursor.fetchone()[0])


def read_window(
    *, after: int, until: int, types: Container[str], lane_low: int, lane_high: int
) -> list[envelope.Event]:
    """Cold events with after < position <= until in position order."""
    return [
        event
        for folder, sha256, number, segment in _segments(after=after, until=until)
        for event in _events_of(folder, sha256, number, lane_low, lane_high)
        if after < event.position <= until and event.type in types
    ]


def find_at(position: int) -> envelope.Event | None:
    """The cold event at a position."""
    for folder, sha256, number, segment in _segments(after=position - 1, until=position):
        return _events_of(folder, sha256, number, 0, envelope.LANES - 1)[position - segment.first]
    return None


def count(*, until: int, types: Sequence[str]) -> int:
    """How many cold events of these types stand at or below a position."""
    total = 0
    for folder, sha256, number, segment in _segments(after=0, until=until):
        if segment.last <= until:
            total += sum(segment.types.get(name, 0) for name in types)
        else:
            events = _events_of(folder, sha256, number, 0, envelope.LANES - 1)
            total += sum(1 for event in events if event.position <= until and event.type in types)
    return total


def parts(*, until: int, lanes: Sequence[int]) -> Iterator[Part]:
    """The lanes in parts whose cold events fit the budget."""
    sizes = dict.fromkeys(lanes, 0)
    for _, _, _, segment in _segments(after=0, until=until):
        swelling = segment.raw_bytes / max(segment.lanes[-1], 1)
        for lane in lanes:
            sizes[lane] += int((segment.lanes[lane + 1] - segment.lanes[lane]) * swelling)
    together: list[int] = []
    for lane in lanes:
        is_next = bool(together) and lane == together[-1] + 1
        if together and (not is_next or sum(sizes[each] for each in together) + sizes[lane] > BUDGET_BYTES):
            yield from _cut(together, sum(sizes[each] for each in together))
            together = []
        together.append(lane)
    if together:
        yield from _cut(together, sum(sizes[each] for each in together))


def read_streams(
    part: Part,
    *,
    until: int,
    aggregate_types: Container[str],
    types: Container[str],
    tenant_id: uuid.UUID | None,
    aggregate_ids: Sequence[uuid.UUID] | None,
) -> dict[Key, list[envelope.Event]]:
    """The cold events of a part up to a position, by aggregate, each in version order."""
    wanted = None if aggregate_ids is None else {str(aggregate_id).encode() for aggregate_id in aggregate_ids}
    streams: dict[Key, list[envelope.Event]] = {}
    for folder, _, _, segment in _segments(after=0, until=until):
        for line in archive_files.read_lines(folder, segment, part.low, part.high):
            aggregate = archive_files.aggregate_of(line)
            if wanted is not None and aggregate not in wanted:
                continue
            if part.buckets > 1 and int(aggregate[-2:], 16) % part.buckets != part.bucket:
                continue
            event = _to_event(orjson.loads(line))
            if (
                event.position <= until
                and event.type in types
                and event.aggregate_type in aggregate_types
                and (tenant_id is None or event.tenant_id == tenant_id)
            ):
                streams.setdefault((event.tenant_id, event.aggregate_type, event.aggregate_id), []).append(event)
    return streams


def position_at(moment: datetime) -> int | None:
    """The first cold position handed out at or after a moment, by the ticks of then; None when all are older."""
    for folder, _, _, segment in _segments(after=0, until=cold_until()):
        if segment.last_at and datetime.fromisoformat(segment.last_at) >= moment:
            lines = [orjson.loads(line) for line in archive_files.read_lines(folder, segment)]
            times = {line["position"]: line["positioned_at"] for line in lines if line["positioned_at"]}
            return min(int(position) for position, at in times.items() if datetime.fromisoformat(at) >= moment)
    return None


def _cut(lanes: Sequence[int], size: int) -> Iterator[Part]:
    buckets = min(-(-size // BUDGET_BYTES), BUCKETS) if len(lanes) == 1 else 1
    for bucket in range(max(buckets, 1)):
        yield Part(lanes[0], lanes[-1], bucket, max(buckets, 1))


def _segments(*, after: int, until: int) -> Iterator[tuple[Path, str, int, Segment]]:
    """Those with positions above `after` up to `until`, in order: folder, checksum of its manifest, number, segment."""
    for row in models.Archive.objects.filter(is_cold=True, last__gt=after, first__lte=until).order_by("first"):
        folder = archiving.folder_of(row)
        for number, segment in enumerate(archive_files.read_manifest(folder, row.sha256).segments):
            if segment.last > after and segment.first <= until:
                yield folder, row.sha256, number, segment


# Windows follow each other: the next one is mostly in the segment of the last.
@lru_cache(maxsize=2)
def _events_of(folder: Path, sha256: str, number: int, lane_low: int, lane_high: int) -> tuple[envelope.Event, ...]:
    """The events of some lanes of a segment in position order."""
    segment = archive_files.read_manifest(folder, sha256).segments[number]
    lines = archive_files.read_lines(folder, segment, lane_low, lane_high)
    return tuple(sorted((_to_event(orjson.loads(line)) for line in lines), key=lambda event: event.position))


def _to_event(told: dict[str, Any]) -> envelope.Event:
    return envelope.Event(
        position=told["position"],
        event_id=uuid.UUID(told["event_id"]),
        tenant_id=_to_uuid(told["tenant_id"]),
        aggregate_type=told["aggregate_type"],
        aggregate_id=uuid.UUID(told["aggregate_id"]),
        version=told["version"],
        type=told["type"],
        schema_version=told["schema_version"],
        data=told["data"],
        actor=told["actor"],
        correlation_id=_to_uuid(told["correlation_id"]) if told["correlation_id"] else None,
        causation_id=_to_uuid(told["causation_id"]) if told["causation_id"] else None,
        occurred_at=datetime.fromisoformat(told["occurred_at"]),
        recorded_at=datetime.fromisoformat(told["recorded_at"]),
    )


@lru_cache(maxsize=1024)
def _to_uuid(text: str) -> uuid.UUID:
    return uuid.UUID(text)
