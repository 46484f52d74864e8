"""A product on its way from rows to an input of the services, and what the report says about it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.commerce.importing.rows import Row
from apps.commerce.services import inputs
from apps.kernel import validation
from apps.kernel.errors import DomainError, ValidationFailed


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the report: `key` names a column as the header's `fields` do."""

    row: int
    key: str
    value: str
    problem: str


class Skipped(Exception):
    """The product can't be taken."""

    def __init__(self, note: Note) -> None:
        super().__init__(note.problem)
        self.note = note


@dataclass(frozen=True, slots=True)
class Target:
    """What the file does not say: the language of its texts, the currency of its prices, where its stock is."""

    locale: str
    currency: str
    location: str


@dataclass(slots=True)
class Mapped:
    """The fields of a product's input; `columns` tells which column a field was made of. `is_whole` says that the file
    has all a new product needs; without it, it can only change one that is there."""

    external_id: str
    name: str
    rows: Sequence[Row]
    columns: Mapping[str, str]
    fields: dict[str, Any] = field(default_factory=dict)
    category_paths: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    variant_rows: list[Row] = field(default_factory=list)
    is_whole: bool = True

    def note(self, row: Row, key: str, problem: str, *, value: str | None = None) -> None:
        self.notes.append(Note(row.number, key, row.get(key) if value is None else value, problem))

    def build(self, category_ids: Sequence[uuid.UUID]) -> inputs.NewProduct:
        """The input. Raises Skipped for what no product may be."""
        if "category_ids" in self.fields:
            self.fields["category_ids"] = list(dict.fromkeys(category_ids))
        try:
            return validation.parse(inputs.NewProduct, self.fields)
        except ValidationFailed as failure:
            raise Skipped(self.note_of(failure)) from None

    def note_of(self, failure: DomainError) -> Note:
        """The first wrong field as a line of the report."""
        problem = failure.problems[0] if failure.problems else None
        parts = problem.pointer.split("/")[1:] if problem else []
        usual = self.rows[0].header.usual
        name = next((part for part in reversed(parts) if part in self.columns or part in usual), "external_id")
        key = self.columns.get(name, name)
        row = self.rows[0]
        if parts[:1] == ["variants"] and len(parts) > 1 and self.variant_rows:
            row = self.variant_rows[int(parts[1])]
        detail = (problem.detail if problem else failure.detail).rstrip(".")
        return Note(row.number, key, row.get(key), f'{detail}; product "{self.name}" skipped')
