"""The files of an archive: events of a range of positions as compressed lines, and a manifest that says where each is.

    positions-000000000001-000009999999/
        events.ndjson.zst    every event as one line of JSON, all columns; `zstd -dc` reads it
        manifest.json        ranges, counts, checksums and offsets

The range is cut into segments of so many positions; in a segment each lane is a zstd frame of its own, its lines in
position order. So a fold of some lanes reads only theirs, a reader by position only the segments it needs, and nobody
holds more than one segment.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from apps.events import envelope
from apps.kernel import errors

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMAT = 1
EVENTS = "events.ndjson.zst"
MANIFEST = "manifest.json"
PARTIAL = ".partial"
SEGMENT_EVENTS = 20_000
# The aggregate stands first in a line, so that lines of others are passed over without being parsed.
KEY = b'{"aggregate_id":"'
UUID_LENGTH = 36
TENANT_KEY = b'","tenant_id":"'
OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 6,
    zstd.CompressionParameter.checksum_flag: 1,
}


class ArchiveDamaged(errors.Conflict):
    """A file of the archive is not there, or is not what was written."""

    code = "archive_damaged"


@dataclass(frozen=True, slots=True)
class Line:
    """One event on its way into a segment: with `epoch` and time its position came, `text` is its JSON."""

    lane: int
    id: int
    type: str
    epoch: int
    at: datetime | None
    text: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """Positions first..last. Lane n is the bytes lanes[n]..lanes[n + 1] after `offset`; `sha256` is of the lines.

    `last_at` is when the newest of its positions was handed out, empty when nobody knows.
    """

    first: int
    last: int
    offset: int
    lanes: list[int]
    raw_bytes: int
    sha256: str
    types: dict[str, int]
    lowest_id: int
    highest_id: int
    epochs: list[int]
    last_at: str

    @property
    def end(self) -> int:
        """Where the next one begins in the file."""
        return self.offset + self.lanes[-1]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds. `sha256` is that of the file of events, empty while it is being written."""

    first: int
    last: int
    segments: list[Segment]
    sha256: str = ""
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of the file of events."""
        return self.segments[-1].end if self.segments else 0

    def to_json(self) -> bytes:
        summary = {
            "events": self.last - self.first + 1,
            "bytes": self.size,
            "lowest_id": min((segment.lowest_id for segment in self.segments), default=0),
            "highest_id": max((segment.highest_id for segment in self.segments), default=0),
        }
        return orjson.dumps(asdict(self) | summary)

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        told = orjson.loads(text)
        if told["format"] != FORMAT:
            raise ArchiveDamaged(f"The archive has format {told['format']}; this code reads format {FORMAT}.")
        segments = [Segment(**segment) for segment in told["segments"]]
        return cls(told["first"], told["last"], segments, told["sha256"])


def folder_name(first: int, last: int) -> str:
    return f"positions-{first:012d}-{last:012d}"


def compress(lines: Sequence[Line], *, first: int, last: int, offset: int) -> tuple[Segment, bytes]:
    """A segment and its bytes, from its lines in the order of lanes and positions."""
    by_lane: list[list[bytes]] = [[] for _ in range(envelope.LANES)]
    for line in lines:
        by_lane[line.lane].append(line.text + b"\n")
    raw = [b"".join(texts) for texts in by_lane]
    frames = [zstd.compress(text, options=OPTIONS) if text else b"" for text in raw]
    epochs = [line.epoch for line in lines]
    times = [line.at for line in lines if line.at]
    segment = Segment(
        first=first,
        last=last,
        offset=offset,
        lanes=[0, *accumulate(len(frame) for frame in frames)],
        raw_bytes=sum(map(len, raw)),
        sha256=hash_lines(lines),
        types=dict(Counter(line.type for line in lines)),
        lowest_id=min(line.id for line in lines),
        highest_id=max(line.id for line in lines),
        epochs=[min(epochs), max(epochs)],
        last_at=max(times).isoformat() if times else "",
    )
    return segment, b"".join(frames)


def hash_lines(lines: Sequence[Line]) -> str:
    """The checksum of a segment's content."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.text + b"\n")
    return digest.hexdigest()


def write_durably(path: Path, content: bytes) -> None:
    """The whole file or none of it, also when the machine stops."""
    partial = path.with_name(path.name + ".writing")
    with partial.open("wb") as file:
        file.write(content)
        sync(file)
    rename_durably(partial, path)


def rename_durably(partial: Path, path: Path) -> None:
    partial.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


@lru_cache(maxsize=8)
def read_manifest(folder: Path, sha256: str) -> Manifest:
    """The manifest with that checksum. Raises ArchiveDamaged."""
    content = _read(folder / MANIFEST)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArchiveDamaged(f"{folder / MANIFEST} is not the one that was written; bring it back from a backup.")
    return Manifest.from_json(content)


def read_lines(folder: Path, segment: Segment, lane_low: int = 0, lane_high: int = envelope.LANES - 1) -> list[bytes]:
    """The lines of some lanes of a segment, lane by lane in position order. Raises ArchiveDamaged."""
    start, end = segment.lanes[lane_low], segment.lanes[lane_high + 1]
    path = folder / EVENTS
    return _decompress(path, _read(path, segment.offset + start, end - start)).splitlines()


def aggregate_of(line: bytes) -> bytes:
    """The id of the aggregate as the line has it."""
    return line[len(KEY) : len(KEY) + UUID_LENGTH]


def tenant_of(line: bytes) -> bytes:
    """The id of the tenant as the line has it."""
    start = len(KEY) + UUID_LENGTH + len(TENANT_KEY)
    return line[start : start + UUID_LENGTH]


def check(folder: Path, manifest: Manifest, *, name: str = EVENTS) -> Iterator[tuple[Segment, list[dict[str, Any]]]]:
    """Read everything back and compare it with the manifest; yields each segment's events, parsed.

    Raises ArchiveDamaged when something is missing, changed or there twice.
    """
    path = folder / name
    whole = hashlib.sha256()
    position = manifest.first
    for segment in manifest.segments:
        frames = _read(path, segment.offset, segment.lanes[-1])
        whole.update(frames)
        content = hashlib.sha256()
        events: list[dict[str, Any]] = []
        for lane, (start, end) in enumerate(pairwise(segment.lanes)):
            text = _decompress(path, frames[start:end])
            content.update(text)
            events += [event for line in text.splitlines() if (event := orjson.loads(line))["lane"] == lane]
        positions = sorted(event["position"] for event in events)
        if (
            content.hexdigest() != segment.sha256
            or segment.first != position
            or positions != list(range(segment.first, segment.last + 1))
        ):
            raise ArchiveDamaged(
                f"{path} does not hold positions {segment.first:,} to {segment.last:,} as they were written; "
                "bring it back from a backup."
            )
        yield segment, events
        position = segment.last + 1
    if position != manifest.last + 1 or (manifest.sha256 and whole.hexdigest() != manifest.sha256):
        raise ArchiveDamaged(f"{path} is not what its manifest says; bring it back from a backup.")


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _decompress(path: Path, frames: bytes) -> bytes:
    try:
        return zstd.decompress(frames) if frames else b""
    except (zstd.ZstdError, EOFError) as error:
        raise ArchiveDamaged(f"{path} can't be read ({error}); bring it back from a backup.") from error


def _read(path: Path, offset: int = 0, length: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(length)
    except OSError as error:
        raise ArchiveDamaged(
            f"{path} can't be read ({error.strerror}); see RUSTOK_EVENTS_ARCHIVE_DIR, or bring it back from a backup."
        ) from error
    if length >= 0 and len(content) != length:
        raise ArchiveDamaged(f"{path} ends too early; bring it back from a backup.")
    return content
