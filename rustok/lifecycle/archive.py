"""The portable archive of a tenant: a zip of compressed lines, and a manifest that says what has to be in it.

    manifest.json            format, tenant, migrations, parts with rows and checksums; its own checksum
    people.ndjson.zst        e-mail and name of the users the rows point at
    tables/<table>.ndjson.zst
    events.ndjson.zst        the tenant's events in the order of the log
    files/<path>

`unzip` and `zstd -dc` read it. The manifest is written last: without its end a zip can't be opened.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import orjson

from apps.kernel import errors
from rustok.lifecycle.rows import Digest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMAT = 1
MANIFEST = "manifest.json"
PEOPLE = "people.ndjson.zst"
EVENTS = "events.ndjson.zst"
LEVEL = 6
LONGEST_LINE = 64 * 2**20
BLOCK = 2**20


class ArchiveRefused(errors.DomainError):
    """The file is no archive of a tenant, not a whole one, not what was written, or not for this installation."""

    code = "archive_refused"


@dataclass(frozen=True, slots=True)
class Part:
    """One member of the zip. `table` is empty where it is not one's; `columns` are those of its rows.

    `sha256` is of the uncompressed content, `digest` that of its rows in whatever order.
    """

    name: str
    table: str
    columns: list[str]
    rows: int
    sha256: str
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive has to hold. `checksum` is the tenant's; `sha256` is of all else in the manifest."""

    tenant_id: str
    slug: str
    domains: list[str]
    exported_at: str
    migrations: dict[str, str]
    parts: list[Part]
    left_out: dict[str, str]
    checksum: str
    format: int = FORMAT
    sha256: str = ""

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self) | {"sha256": self.seal()}, option=orjson.OPT_INDENT_2)

    def seal(self) -> str:
        told = asdict(self) | {"sha256": ""}
        return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(slots=True)
class Content:
    """What goes into a part or comes out of it, counted on the way."""

    stream: IO[bytes]
    digest: Digest = field(default_factory=Digest)
    hashed: Any = field(default_factory=hashlib.sha256)

    compressor: zstd.ZstdCompressor = field(default_factory=partial(zstd.ZstdCompressor, level=LEVEL))

    def write(self, line: bytes) -> None:
        self.count(line + b"\n")
        self.stream.write(self.compressor.compress(line + b"\n"))

    def count(self, line: bytes) -> None:
        """Take in a line with its end."""
        self.digest.add(line[:-1])
        self.hashed.update(line)

    def finish(self) -> None:
        """The end of the frame, which nothing written has too."""
        self.stream.write(self.compressor.flush())


class Writer:
    """Writes an archive beside its place and moves it there when it is whole; a killed one leaves only `.partial`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.parts: list[Part] = []

    def __enter__(self) -> Self:
        try:
            self._zip = zipfile.ZipFile(self.partial, "w", zipfile.ZIP_STORED)
        except OSError as error:
            raise ArchiveRefused(f"{self.partial} can't be written ({error.strerror}).") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._zip.close()
        if kind is None:
            self.partial.replace(self.path)
        else:
            self.partial.unlink(missing_ok=True)

    @contextmanager
    def lines(self, name: str, *, table: str = "", columns: tuple[str, ...] = ()) -> Iterator[Content]:
        """A part of lines. Memory is that of one block."""
        with self._zip.open(name, "w", force_zip64=True) as member:
            content = Content(member)
            yield content
            content.finish()
        digest = content.digest
        part = Part(name, table, list(columns), digest.rows, content.hashed.hexdigest(), digest.hexdigest())
        self.parts.append(part)

    def file(self, name: str, stream: IO[bytes]) -> None:
        """A part as it is."""
        hashed = hashlib.sha256()
        with self._zip.open(name, "w", force_zip64=True) as member:
            while block := stream.read(BLOCK):
                hashed.update(block)
                member.write(block)
        self.parts.append(Part(name, "", [], 1, hashed.hexdigest(), ""))

    def finish(self, manifest: Manifest) -> None:
        self._zip.writestr(MANIFEST, manifest.to_json())


class Reader:
    """An archive that is there and has a manifest that is whole. Raises ArchiveRefused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
            told = orjson.loads(self._zip.read(MANIFEST))
            if told.get("format") != FORMAT:
                raise ArchiveRefused(f"{path} has format {told.get('format')}; this code reads format {FORMAT}.")
            self.manifest = Manifest(**told | {"parts": [Part(**part) for part in told["parts"]]})
        except OSError as error:
            raise ArchiveRefused(f"{path} can't be read ({error.strerror}).") from error
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged(f"it is no archive of a tenant, or not a whole one ({error})") from error
        if self.manifest.seal() != self.manifest.sha256:
            raise self._damaged("its manifest is not the one that was written")
        promised = [part.name for part in self.manifest.parts]
        if sorted(self._zip.namelist()) != sorted([*promised, MANIFEST]):
            raise self._damaged("it has not the parts its manifest promises")

    def close(self) -> None:
        self._zip.close()

    def lines(self, part: Part) -> Iterator[bytes]:
        """The lines of a part, without their ends; each is checked on the way, the whole at the end."""
        content = Content(self._open(part))
        try:
            with zstd.ZstdFile(content.stream) as stream:
                while line := stream.readline(LONGEST_LINE):
                    content.count(line)
                    yield line[:-1]
        except (zstd.ZstdError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise self._damaged(f"{part.name} can't be read ({error})") from error
        found = (content.digest.rows, content.hashed.hexdigest(), content.digest.hexdigest())
        if found != (part.rows, part.sha256, part.digest):
            raise self._damaged(f"{part.name} is not what was written: {found[0]:,} rows of {part.rows:,}")

    @contextmanager
    def file(self, part: Part) -> Iterator[IO[bytes]]:
        """The content of a part that is a file."""
        with self._open(part) as stream:
            yield stream

    def check_file(self, part: Part) -> None:
        """Raises ArchiveRefused when a file is not what was written."""
        hashed = hashlib.sha256()
        try:
            with self._open(part) as stream:
                while block := stream.read(BLOCK):
                    hashed.update(block)
        except (zipfile.BadZipFile, EOFError) as error:
            raise self._damaged(f"{part.name} can't be read ({error})") from error
        if hashed.hexdigest() != part.sha256:
            raise self._damaged(f"{part.name} is not what was written")

    def _open(self, part: Part) -> IO[bytes]:
        try:
            return self._zip.open(part.name)
        except (zipfile.BadZipFile, KeyError) as error:
            raise self._damaged(f"{part.name} can't be read ({error})") from error

    def _damaged(self, reason: str) -> ArchiveRefused:
        return ArchiveRefused(f"{self.path} is refused: {reason}. Nothing was imported.")
