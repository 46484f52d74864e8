"""Rows by the names of their columns, under whatever names the file has them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from apps.kernel import text

type Names = Mapping[str, tuple[str, ...]]


def spelled(name: str) -> str:
    """A column's name without what people vary: case, accents, blanks and punctuation."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[\W_]+", "", "".join(sign for sign in plain if not unicodedata.combining(sign)))


@dataclass(slots=True)
class Header:
    """Where the columns are; `usual` has all names of each. `extras` are columns that are kept as they are, by kind;
    `ignored` those nothing is taken from."""

    names: list[str]
    usual: Names
    fields: dict[str, int] = field(default_factory=dict)
    extras: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def has(self, key: str) -> bool:
        return key in self.fields

    def name(self, key: str) -> str:
        """The column's name in this file, or its usual one, or the key where it is none."""
        if key in self.fields:
            return self.names[self.fields[key]]
        return self.usual[key][0] if key in self.usual else key

    def ignored_note(self) -> str:
        """One sentence for the summary about the columns nothing is taken from; empty when there are none."""
        if not self.ignored:
            return ""
        counted = "1 column is" if len(self.ignored) == 1 else f"{len(self.ignored)} columns are"
        return f"{counted} not imported: {', '.join(self.ignored)}."


@dataclass(frozen=True, slots=True)
class Row:
    """A row by the names of its header's `fields`."""

    number: int
    cells: Sequence[str]
    header: Header

    def get(self, key: str) -> str:
        """The trimmed cell; empty when the file has no such column."""
        index = self.header.fields.get(key)
        return "" if index is None else self.cells[index].strip()

    def line(self, key: str) -> str:
        """The cell as one line: exports break titles and names in the middle."""
        return text.to_one_line(self.get(key))

    def others(self, kind: str) -> dict[str, str]:
        """The filled cells of the columns of a kind, by their names."""
        pairs = ((name, self.cells[index].strip()) for index, name in self.header.extras.get(kind, ()))
        return {name: value for name, value in pairs if value}
