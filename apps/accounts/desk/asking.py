"""From a document to what services take, and from the problems they point at back to its paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from apps.accounts.desk.sheets import ON, Document, Value
from apps.kernel import errors, wording

_INDEX = re.compile(r"[0-9]{1,9}")


@dataclass
class Asked:
    """What the editor wants, beside what is stored; `before` is empty for something new."""

    document: Document
    before: Mapping[str, Value] = field(default_factory=dict)
    _order: dict[str, tuple[list[str], str]] = field(default_factory=dict)

    def changes(self, *prefixes: str) -> bool:
        """Whether the editor changed anything at or below one of these paths."""
        paths = {*self.document, *self.before}
        return any(
            self.document.get(path) != self.before.get(path)
            for path in paths
            if any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)
        )

    def text(self, path: str) -> str:
        return str(self.document.get(path, ""))

    def flag(self, path: str) -> bool:
        return self.document.get(path) == ON

    def many(self, path: str) -> list[str]:
        return [*self.document.get(path, [])]

    def lines(self, path: str) -> list[str]:
        """What stands in the lines that are not empty."""
        return [line.strip() for line in self.text(path).splitlines() if line.strip()]

    def maybe(self, path: str) -> str | None:
        """None where nothing is filled in."""
        return self.text(path).strip() or None

    def json(self, path: str) -> Any:
        """The object written there; `{}` where there is nothing. Raises ValidationFailed."""
        try:
            return orjson.loads(self.text(path)) if self.text(path).strip() else {}
        except orjson.JSONDecodeError as error:
            raise errors.ValidationFailed.for_field(
                f"/{path}", "invalid_json", wording.say("this is not JSON: {reason}.", reason=str(error))
            ) from None

    def group(self, path: str) -> dict[str, dict[str, Value]]:
        """What is repeated below a path, by what it is repeated for: `translations/en/title` as {en: {title}}."""
        found: dict[str, dict[str, Value]] = {}
        for name, value in self.document.items():
            if name.startswith(f"{path}/"):
                key, _, rest = name.removeprefix(f"{path}/").partition("/")
                if rest:
                    found.setdefault(key, {})[rest] = value
        return found

    def listed[Entry](self, path: str, entries: Mapping[str, Entry], *, below: str | None = None) -> list[Entry]:
        """The entries as a list, remembering which key stands at which index when a problem points there.

        `below` is where the page has them, if that is another path: rows of a table are flat where what they become
        is nested.
        """
        self._order[path] = list(entries), path if below is None else below
        return list(entries.values())

    def path_of(self, pointer: str) -> str:
        """The path a JSON pointer stands for."""
        path = ""
        for token in filter(None, pointer.split("/")):
            order, below = self._order.get(path, ([], path))
            if _INDEX.fullmatch(token) and int(token) < len(order):
                path, token = below, order[int(token)]  # noqa: PLW2901 - the key that stands at this index
            path = f"{path}/{token}" if path else token
        return path


@contextmanager
def within(path: str) -> Iterator[None]:
    """What is wrong within the block is wrong below this path."""
    try:
        yield
    except errors.DomainError as error:
        error.problems = tuple(
            errors.FieldProblem(f"/{path}{problem.pointer}", problem.code, problem.detail) for problem in error.problems
        ) or (errors.FieldProblem(f"/{path}", error.code, error.detail),)
        raise


def to_json(value: Any) -> str:
    """JSON as people read it; nothing for an empty object."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() if value else ""


def flag(value: bool) -> str:
    return ON if value else ""


def number(text: str | None) -> int | str | None:
    """A whole number as one; the input model says what is wrong with anything else."""
    return int(text) if text and text.lstrip("-").isdecimal() and text.isascii() and len(text) < 20 else text
