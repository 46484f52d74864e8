"""What can be imported: each app registers the formats it reads, and how the objects it owns are put back."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from apps.kernel import text, validation
from apps.kernel.imports import Problem, Tally

_SHOWN_VALUE_LENGTH = 200
_LONGEST_COLUMN = 500


@dataclass(slots=True)
class Taking:
    """What one batch leaves behind beside its rows: counts, notes, and what was there before."""

    now: datetime
    is_dry_run: bool
    tally: Tally = field(default_factory=Tally)
    notes: list[Problem] = field(default_factory=list)
    before: dict[tuple[str, uuid.UUID], Any] = field(default_factory=dict)

    def note(self, *, row: int, column: str, value: object, problem: str) -> None:
        """Something that was not taken as it stands."""
        shown = "" if value is None else text.storable(str(value))
        if len(shown) > _SHOWN_VALUE_LENGTH:
            shown = shown[:_SHOWN_VALUE_LENGTH] + "…"
        named = text.storable(column)[:_LONGEST_COLUMN]
        self.notes.append(Problem(row, named, shown, text.storable(problem)))

    def remember(self, kind: str, object_id: uuid.UUID, dump: Callable[[], Any]) -> None:
        """The state of an object that is there, before it may change for the first time in this batch."""
        if not self.is_dry_run and (kind, object_id) not in self.before:
            self.before[kind, object_id] = dump()


class Importer(ABC):
    """One file on its way. `total` counts its records, `found` is what the first look found, for the next one."""

    unit = "rows"
    total: int
    # A dry run that can't be told batch by batch: what a batch refers to came with an earlier one.
    is_dry_run_whole = False

    @property
    def found(self) -> Mapping[str, Any]:
        return {}

    @abstractmethod
    def batches(self, *, after: int, size: int) -> Iterator[tuple[int, Sequence[Any]]]:
        """Up to `size` objects with the number of the last record of theirs, beginning with those after `after`."""

    @abstractmethod
    def take(self, batch: Sequence[Any], number: int, taking: Taking) -> None:
        """Write them, in the transaction at work. Raises nothing for a single object: that one is noted."""

    def begin(self, taking: Taking) -> None:  # noqa: B027 - nothing to do for most
        """Before the first batch, in a transaction of its own."""

    def end(self, taking: Taking) -> None:  # noqa: B027 - nothing to do for most
        """After the last batch, in a transaction of its own; can happen again after a kill."""

    def remarks(self) -> list[str]:
        """What is to be said of the file as a whole."""
        return []


@dataclass(frozen=True, slots=True)
class Format:
    """A format by its `name`; `permission` and `modules` are what a run needs. `options` is what can be chosen.

    Without `is_offered` it is for its command only. `opened` makes the importer of the file at a path, from the options
    and what an earlier look has found.
    """

    name: str
    title: str
    action: str
    permission: str
    modules: tuple[str, ...]
    endings: tuple[str, ...]
    options: type[validation.Input]
    opened: Callable[[Path, Any, Mapping[str, Any]], Importer]
    is_offered: bool = True


@dataclass(frozen=True, slots=True)
class Undo:
    """How an object is put back: one the run has made is discarded, another gets the state that was dumped."""

    noun: str
    discard: Callable[[uuid.UUID, datetime], None]
    restore: Callable[[uuid.UUID, Any, datetime], None]


_formats: dict[str, Format] = {}
_undos: dict[str, Undo] = {}


def register(format: Format) -> Format:
    """Declare a format. Raises ValueError when the name is taken."""
    if _formats.setdefault(format.name, format) != format:
        raise ValueError(f"format {format.name} is already registered")
    return format


def register_undo(kind: str, undo: Undo) -> None:
    """Declare how the objects whose streams are of this kind are put back."""
    _undos[kind] = undo


def formats() -> Mapping[str, Format]:
    """Every format by its name."""
    return _formats


def undos() -> Mapping[str, Undo]:
    """Every way back by the kind of the stream."""
    return _undos
