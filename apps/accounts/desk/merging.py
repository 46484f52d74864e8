"""Two people at one page: what each of them changed, and a page that holds both."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from apps.accounts.desk.sheets import Document, Sheet, Value

type Marks = dict[str, int]


def mark(document: Mapping[str, Value]) -> Marks:
    """A number for each value, by which it is told later whether it is another one."""
    return {path: zlib.crc32(orjson.dumps(value)) for path, value in document.items()}


def written(marks: Marks) -> str:
    return orjson.dumps(marks).decode()


def read(text: str) -> Marks:
    """What `written` gave to the page; nothing of what somebody else may have made of it."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {path: number for path, number in found.items() if isinstance(number, int)}


@dataclass
class Merged:
    """One document of both, and by path their value: of what only they changed (`taken`, and in it now), and of what
    both did (`disputed`, where it holds the editor's own)."""

    document: Document
    taken: dict[str, Value] = field(default_factory=dict)
    disputed: dict[str, Value] = field(default_factory=dict)

    @property
    def is_quiet(self) -> bool:
        """Whether nobody changed what the page shows."""
        return not self.taken and not self.disputed


def merge(*, made_from: Marks, mine: Document, theirs: Document, sheet: Sheet) -> Merged:
    """`made_from` marks what the page was made from, `mine` is the page as filled in, `theirs` what is stored."""
    fields = sheet.fields(theirs) | sheet.fields(mine)
    known = {*fields, *(table.name for table in sheet.tables())}
    my_marks, their_marks = mark(mine), mark(theirs)
    found = Merged(dict(mine))
    for path in [path for path in {**theirs, **mine} if path in known]:
        was, now, wanted = made_from.get(path), their_marks.get(path), my_marks.get(path)
        if now in (was, wanted):
            continue
        if wanted != was:
            found.disputed[path] = theirs.get(path, "")
            continue
        if path in theirs:
            found.document[path] = theirs[path]
        else:
            found.document.pop(path, None)
        if not (path in fields and fields[path].is_live):
            found.taken[path] = theirs.get(path, "")
    return found
