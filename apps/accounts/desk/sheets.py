"""What an editor fills in: a sheet of fields, each with a path, and the document of values those paths hold.

A document is flat: `translations/en/title` → text, or a list of texts where a field takes several. The path is the
name of the input in the page, the place a problem points at, and what two versions are compared by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from apps.kernel import wording

type Value = str | list[str]
type Document = dict[str, Value]

ON = "on"
MOST_ROWS = 2000
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NEW = re.compile(r"new([0-9]{1,6})")
_INDEX = re.compile(r"[0-9]{1,9}")
_LISTS = frozenset({"many", "find_many"})


@dataclass(frozen=True, kw_only=True)
class Field:
    """One thing to fill in.

    `kind` is how it looks: line, text, code, number, flag, choice, many, find, find_many, image, body. `name` is its
    path; `{locale}` and `{row}` stand for where it is repeated. `find` is the address a chooser asks, `preview` where a
    body is seen as it will look, `blocks` what is known of the blocks it may be made of. What `is_live` changes by
    itself, such as stock, and is no conflict unless the editor changed it as well.
    """

    name: str
    label: str
    kind: str = "line"
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    suggestions: tuple[str, ...] = ()
    find: str = ""
    preview: str = ""
    blocks: str = ""
    lines: int = 3
    is_required: bool = False
    is_fixed: bool = False
    is_live: bool = False
    is_wide: bool = False

    @property
    def takes_many(self) -> bool:
        return self.kind in _LISTS

    def read(self, posted: QueryDict, path: str, stored: Value) -> Value:
        """What the page says about this field; what it could not say stays as it is stored."""
        if self.is_fixed:
            return stored
        if self.kind == "flag":
            return ON if posted.get(path) == ON else ""
        if self.takes_many:
            return [value for value in posted.getlist(path) if value]
        return str(posted.get(path, stored)).replace("\r\n", "\n")


@dataclass(frozen=True, kw_only=True)
class Section:
    """Fields under a heading; beside the others with `is_aside`, closed until it is needed with `is_folded`."""

    title: str
    fields: Sequence[Field]
    note: str = ""
    is_aside: bool = False
    is_folded: bool = False

    template = "desk/section.html"

    def paths(self, document: Mapping[str, Value]) -> Iterator[tuple[Field, str]]:
        return ((each, each.name) for each in self.fields)


@dataclass(frozen=True, kw_only=True)
class Languages:
    """The same fields in every language, side by side. A language is there when the field `shown_by` has a text."""

    title: str
    fields: Sequence[Field]
    locales: Sequence[str]
    shown_by: str
    note: str = ""
    is_aside: bool = False

    template = "desk/languages.html"

    def paths(self, document: Mapping[str, Value]) -> Iterator[tuple[Field, str]]:
        return ((each, each.name.format(locale=locale)) for locale in self.locales for each in self.fields)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that can be added, removed and put in order: `document[name]` names them. `details` are below each row,
    `more` the buttons that add several, each with its name and what it says."""

    name: str
    title: str
    row: str
    columns: Sequence[Field]
    details: Sequence[Field] = ()
    more: Sequence[tuple[str, str]] = ()
    note: str = ""
    is_fixed: bool = False
    picture: str = ""
    is_aside: bool = False

    template = "desk/table.html"

    def rows(self, document: Mapping[str, Value]) -> list[str]:
        return [*document.get(self.name, [])]

    def paths(self, document: Mapping[str, Value]) -> Iterator[tuple[Field, str]]:
        fields = (*self.columns, *self.details)
        return ((each, each.name.format(row=row)) for row in self.rows(document) for each in fields)

    def read_rows(self, posted: QueryDict, stored: list[str]) -> list[str]:
        """The rows of the page in its order, without those ticked off, with one more where that was asked for."""
        if self.is_fixed:
            return stored
        tokens = dict.fromkeys(token for token in posted.getlist(self.name) if _TOKEN.fullmatch(token))
        rows = [token for token in tokens if posted.get(f"{self.name}/{token}/gone") != ON]
        if posted.get("_add") == self.name:
            rows.append(f"new{newest(tokens) + 1}")
        return rows[:MOST_ROWS]


def newest(rows: Iterable[str]) -> int:
    """The highest number of the rows that are new; 0 where none is."""
    return max((int(match[1]) for row in rows if (match := _NEW.fullmatch(row))), default=0)


type Part = Section | Languages | Table


@dataclass(frozen=True)
class Sheet:
    """The parts of a page, in order."""

    parts: Sequence[Part]

    def read(self, posted: QueryDict, stored: Mapping[str, Value]) -> Document:
        """The document as the editor has filled it in."""
        found: Document = {}
        for part in self.parts:
            if isinstance(part, Table):
                found[part.name] = part.read_rows(posted, part.rows(stored))
            for each, path in part.paths(found):
                found[path] = each.read(posted, path, stored.get(path, [] if each.takes_many else ""))
        return found

    def fields(self, document: Mapping[str, Value]) -> dict[str, Field]:
        """Every field by its path."""
        return {path: each for part in self.parts for each, path in part.paths(document)}

    def tables(self) -> list[Table]:
        return [part for part in self.parts if isinstance(part, Table)]


@dataclass
class Draft:
    """A sheet filled in: what is wrong by path, and where within the value there; what others stored meanwhile, and
    what to call the values chosen."""

    sheet: Sheet
    document: Document
    problems: dict[str, list[str]] = field(default_factory=dict)
    general: list[str] = field(default_factory=list)
    within: dict[str, list[str]] = field(default_factory=dict)
    theirs: dict[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def cell(self, each: Field, path: str) -> Cell:
        return Cell(self, each, path)

    @property
    def wrong(self) -> list[Cell]:
        """The fields with problems, in the order of the page."""
        return [
            Cell(self, each, path) for path, each in self.sheet.fields(self.document).items() if path in self.problems
        ]

    @property
    def main(self) -> list[Any]:
        return [_bound(part, self) for part in self.sheet.parts if not part.is_aside]

    @property
    def aside(self) -> list[Any]:
        return [_bound(part, self) for part in self.sheet.parts if part.is_aside]

    def point(self, path: str, detail: str) -> None:
        """Put a problem at its field, at the first field of what it points at, or above them all."""
        fields = self.sheet.fields(self.document)
        places = [path, *(path.rsplit("/", steps)[0] for steps in range(1, path.count("/") + 1))] if path else []
        for place in places:
            found = place if place in fields else next((name for name in fields if name.startswith(f"{place}/")), None)
            if found is not None:
                each = fields[found]
                if each.is_required and not self.document.get(found):
                    detail = wording.say("this is required")
                inner = path.removeprefix(f"{found}/") if path.startswith(f"{found}/") else ""
                self.problems.setdefault(found, []).append(f"{_said(inner)}: {detail}" if inner else detail)
                self.within.setdefault(found, []).append(inner)
                return
        self.general.append(detail)


@dataclass(frozen=True)
class Cell:
    """A field at its place in a page."""

    draft: Draft
    field: Field
    path: str

    @property
    def id(self) -> str:
        return "at-" + self.path.replace("/", "-")

    @property
    def value(self) -> Any:
        return self.draft.document.get(self.path, [] if self.field.takes_many else "")

    @property
    def problems(self) -> list[str]:
        return self.draft.problems.get(self.path, [])

    @property
    def wrong_within(self) -> list[str]:
        """Where in the value: `0/actions/1/url`."""
        return self.draft.within.get(self.path, [])

    @property
    def theirs(self) -> str | None:
        return self.draft.theirs.get(self.path)

    @property
    def called(self) -> str:
        """Its label, and which of several it is: `Title (de)`, `SKU (no. 2)`."""
        group, *within = self.path.split("/")
        rows = self.draft.document.get(group)
        if isinstance(rows, list) and within and within[0] in rows:
            return f"{self.field.label} (no. {rows.index(within[0]) + 1})"
        return f"{self.field.label} ({within[0]})" if len(within) > 1 else self.field.label

    @property
    def template(self) -> str:
        return f"desk/fields/{self.field.kind}.html"

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """What a chooser holds, with its names."""
        values = self.value if isinstance(self.value, list) else [self.value] if self.value else []
        known = dict(self.field.choices)
        return [(value, self.draft.names.get(value) or known.get(value) or f"not found ({value})") for value in values]

    @property
    def options(self) -> list[tuple[str, str, bool]]:
        """The choices, each with whether it is chosen; a value that is no choice any more stays one."""
        values = self.value if isinstance(self.value, list) else [self.value]
        known = [*self.field.choices]
        known += [(value, value) for value in values if value and value not in dict(known)]
        return [(value, label, value in values) for value, label in known]


@dataclass(frozen=True)
class Bound:
    """A part with its cells, as its template takes it."""

    part: Any
    cells: Sequence[Cell] = ()
    panels: Sequence[Panel] = ()
    blank: Panel | None = None

    @property
    def template(self) -> str:
        return str(self.part.template)

    @property
    def is_open(self) -> bool:
        return any(cell.problems or cell.theirs is not None for cell in self.cells)


@dataclass(frozen=True)
class Panel:
    """One language, or one row."""

    name: str
    cells: Sequence[Cell]
    details: Sequence[Cell] = ()
    is_missing: bool = False
    picture: str = ""

    @property
    def is_open(self) -> bool:
        return any(cell.problems or cell.theirs is not None for cell in self.details)

    @property
    def has_problems(self) -> bool:
        return any(cell.problems for cell in (*self.cells, *self.details))


def _bound(part: Part, draft: Draft) -> Bound:
    if isinstance(part, Section):
        return Bound(part, cells=[draft.cell(each, path) for each, path in part.paths(draft.document)])
    if isinstance(part, Languages):
        return Bound(part, panels=[_language(part, locale, draft) for locale in part.locales])
    rows = [_row(part, row, draft) for row in part.rows(draft.document)]
    return Bound(part, panels=rows, blank=_row(part, "__row__", draft))


def _language(part: Languages, locale: str, draft: Draft) -> Panel:
    cells = [draft.cell(each, each.name.format(locale=locale)) for each in part.fields]
    return Panel(locale, cells, is_missing=not draft.document.get(part.shown_by.format(locale=locale)))


def _row(part: Table, row: str, draft: Draft) -> Panel:
    def cells(fields: Iterable[Field]) -> list[Cell]:
        return [draft.cell(each, each.name.format(row=row)) for each in fields]

    picture = str(draft.document.get(part.picture.format(row=row), "")) if part.picture else ""
    picture = picture if is_of_this_host(picture) else ""
    return Panel(row, cells(part.columns), cells(part.details), picture=picture)


def _said(inner: str) -> str:
    """A place as people say it: `0/items/1/title` is `no. 1, items, no. 2, title`."""
    return ", ".join(f"no. {int(token) + 1}" if _INDEX.fullmatch(token) else token for token in inner.split("/"))


def is_of_this_host(address: str | None) -> bool:
    """Pages of the admin show pictures of their own host only: the policy keeps all others out."""
    return bool(address) and str(address).startswith("/") and not str(address).startswith("//")
