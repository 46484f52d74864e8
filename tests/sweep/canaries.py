"""Words and ids that stand for one tenant wherever they turn up, and their twins, which nobody has."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from apps.kernel import ids

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TYPE_ID = re.compile(r"\b([a-z]+)_([0-7][0-9a-hjkmnp-tv-z]{25})\b")
CURSOR = re.compile(r"cursor=([\w-]+)")
NOBODY = "qn"


@dataclass
class Words:
    """Each call gives another word of the tenant; all begin with `mark`, and are slugs, handles and codes as well.

    Letters that are no hexadecimal digits tell the tenants apart, so that no word is nearer to another by chance.
    """

    letters: str
    mark: str = field(init=False)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.mark = self.letters + uuid.uuid4().hex[:10]

    def __call__(self) -> str:
        return f"{self.mark}x{next(self._numbers):03d}"


@dataclass(frozen=True)
class Canaries:
    """What of a tenant must not be seen by another: its words, and the ids of its rows."""

    mark: str
    ids: frozenset[uuid.UUID]

    def found_in(self, text: str, *, allowed: Iterable[str] = ()) -> list[str]:
        """The words and ids in a text, but for those that stand in what is `allowed`, such as what was sent."""
        known = {found for each in allowed for found in self._all(each)}
        return sorted(set(self._all(text)) - known)

    def _all(self, text: str) -> list[str]:
        unpacked = f"{text} {' '.join(map(_unpacked, CURSOR.findall(text)))}"
        words = re.findall(rf"{self.mark}(?:x\d{{3}})?", unpacked, re.IGNORECASE)
        return [word.lower() for word in words] + [str(found) for found in ids_in(unpacked) if found in self.ids]


def ids_in(text: str) -> list[uuid.UUID]:
    """Every UUID in a text, however it is spelled."""
    plain = [uuid.UUID(found) for found in UUID.findall(text)]
    return plain + [ids.decode(prefix, f"{prefix}_{tail}") for prefix, tail in TYPE_ID.findall(text)]


def twin(text: str, mark: str) -> str:
    """The same text about nobody: of the same form and length, and in the same place of every order."""
    about_nobody = text.replace(mark, NOBODY + mark[2:])
    about_nobody = UUID.sub(lambda found: str(_twin_id(uuid.UUID(found[0]))), about_nobody)
    return TYPE_ID.sub(lambda found: ids.encode(found[1], _twin_id(ids.decode(found[1], found[0]))), about_nobody)


def untwin(text: str, mark: str, known: frozenset[uuid.UUID]) -> str:
    """The text with nobody's words and ids made those of the tenant again."""
    text = text.replace(NOBODY + mark[2:], mark)
    text = UUID.sub(lambda found: _untwinned(uuid.UUID(found[0]), known, str, found[0]), text)
    return TYPE_ID.sub(
        lambda found: _untwinned(ids_in(found[0])[0], known, lambda one: ids.encode(found[1], one), found[0]), text
    )


def _untwinned(value: uuid.UUID, known: frozenset[uuid.UUID], spell: Callable[[uuid.UUID], str], as_it_is: str) -> str:
    return spell(_twin_id(value)) if _twin_id(value) in known else as_it_is


def twin_cursor(cursor: str, mark: str) -> str:
    packed = twin(_unpacked(cursor), mark).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _twin_id(value: uuid.UUID) -> uuid.UUID:
    return uuid.UUID(int=value.int ^ 0xFFFFFF)


def _unpacked(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
