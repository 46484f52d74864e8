"""The catalogue of event types: schemas closed on write, open on read, and the upcasters between versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

_TYPE = re.compile(r"[a-z_]+\.[a-z_]+\.[a-z_]+")

type Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Payload(BaseModel):
    """The data of one event type at its newest version. Unknown fields are refused when it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UnknownEventType(LookupError):
    """The type or version is not in the catalogue: the code that reads is older than the code that wrote."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One entry: `name` is `module.entity.verb`, `version` the newest, `upcasters[n]` turns version n into n + 1.

    `aggregate` is the type of the streams it is recorded on: `module.entity` unless it belongs to another one's stream.
    `aliases` are names it was recorded under before.
    """

    name: str
    version: int
    payload: type[Payload]
    upcasters: dict[int, Upcaster]
    stream: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def aggregate(self) -> str:
        return self.stream or self.name.rpartition(".")[0]

    @property
    def module(self) -> str:
        return self.name.partition(".")[0]

    def upcast(self, version: int, data: dict[str, Any]) -> dict[str, Any]:
        """`data` of a version as the newest one. Raises UnknownEventType for a version that is newer still."""
        if version > self.version:
            raise UnknownEventType(f"{self.name} version {version} is newer than {self.version}, the newest known here")
        for step in range(version, self.version):
            data = self.upcasters[step](data)
        return data


_types: dict[str, EventType] = {}
_names: dict[type[Payload], str] = {}
_aliases: dict[str, str] = {}


def event[P: Payload](
    name: str,
    *,
    version: int = 1,
    upcasters: dict[int, Upcaster] | None = None,
    aggregate: str | None = None,
    aliases: tuple[str, ...] = (),
) -> Callable[[type[P]], type[P]]:
    """Register a payload class.

    Raises ValueError for a wrong name, a name or alias that is taken, or a gap in the upcasters.
    """
    for each in (name, *aliases):
        if not _TYPE.fullmatch(each):
            raise ValueError(f'"{each}" is not an event name of the form module.entity.verb')
    chain = upcasters or {}
    if sorted(chain) != list(range(1, version)):
        raise ValueError(
            f"upcaster missing: {name} is at version {version}, it needs one upcaster from each of 1..{version - 1}"
        )

    def register(payload: type[P]) -> type[P]:
        for each in (name, *aliases):
            if (owner := _find(each)) is not None:
                raise ValueError(f"{each} is already registered by {owner.payload.__qualname__}")
        _types[name] = EventType(name, version, payload, chain, aggregate, aliases)
        _names[payload] = name
        _aliases.update(dict.fromkeys(aliases, name))
        return payload

    return register


def all_types() -> list[EventType]:
    """Every registered type, by name."""
    return [_types[name] for name in sorted(_types)]


def get(name: str) -> EventType:
    """The entry of a type, by its name or one it had before. Raises UnknownEventType."""
    entry = _find(name)
    if entry is None:
        raise UnknownEventType(f'event type "{name}" is not registered')
    return entry


def _find(name: str) -> EventType | None:
    return _types.get(_aliases.get(name, name))


def type_of(payload: Payload) -> EventType:
    """The entry a payload belongs to. Raises UnknownEventType."""
    try:
        return _types[_names[type(payload)]]
    except KeyError:
        raise UnknownEventType(f"{type(payload).__qualname__} is not registered with @registry.event") from None


def stored_names(names: Iterable[str]) -> list[str]:
    """Each name with the names the type was recorded under before: what to look for in the log."""
    found: dict[str, None] = {}
    for name in names:
        entry = _find(name)
        found |= dict.fromkeys((name, *(entry.aliases if entry else ())))
    return list(found)


def upcast(name: str, version: int, data: dict[str, Any]) -> dict[str, Any]:
    """`data` as the newest version of the type. Raises UnknownEventType for a type or version not known here."""
    return get(name).upcast(version, data)
