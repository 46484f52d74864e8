"""The golden corpus: events of every version there ever was, as the log stored them. Lines are added, never changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("corpus")


@dataclass(frozen=True, slots=True)
class Sample:
    """A row of the log: `stored` is its columns as JSON, `place` the file and line it stands in."""

    place: str
    stored: dict[str, Any]

    @property
    def key(self) -> tuple[str, int]:
        """Type and schema version."""
        return self.stored["type"], self.stored["schema_version"]

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.stored["data"])


class CorpusUnreadable(ValueError):
    """A line of the corpus is no event."""


@cache
def published() -> tuple[Sample, ...]:
    """The corpus this code came with, file by file, each in the order of its log."""
    return tuple(sample for path in sorted(FOLDER.glob("*.jsonl")) for sample in read(path))


def find(name: str, version: int) -> Sample | None:
    """The first sample of a version of a type."""
    return next((sample for sample in published() if sample.key == (name, version)), None)


def read(path: Path) -> list[Sample]:
    """The events of one file. Raises CorpusUnreadable naming the line."""
    return [
        Sample(f"{path.name}:{number}", _parsed(line, f"{path.name}:{number}"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
    ]


def _parsed(line: str, place: str) -> dict[str, Any]:
    try:
        stored = json.loads(line)
        stored["type"], stored["schema_version"], stored["data"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorpusUnreadable(f"{place} is not a stored event ({error!r})") from error
    return dict(stored)
