"""The catalogue of event types: schemas closed on write, open on read, and the upcasters between versions."""

from __future__ import annotations

import re
from collections.abc import Callable
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
    """One entry: `name` is `module.entity.verb`, `version` the newest, `upcasters[n]` turns version n into n + 1."""

    name: str
    version: int
    payload: type[Payload]
    upcasters: dict[int, Upcaster]


_types: dict[str, EventType] = {}
_names: dict[type[Payload], str] = {}


def event[P: Payload](
    name: str, *, version: int = 1, upcasters: dict[int, Upcaster] | None = None
) -> Callable[[type[P]], type[P]]:
    """Register a payload class. Raises ValueError for a wrong name, a second registration or a gap in the upcasters."""
    if not _TYPE.fullmatch(name):
        raise ValueError(f'"{name}" is not an event name of the form module.entity.verb')
    chain = upcasters or {}
    if sorted(chain) != list(range(1, version)):
        raise ValueError(f"{name} is at version {version}: it needs one upcaster from each of 1..{version - 1}")

    def register(payload: type[P]) -> type[P]:
        if name in _types:
            raise ValueError(f"{name} is already registered by {_types[name].payload.__qualname__}")
        _types[name] = EventType(name, version, payload, chain)
        _names[payload] = name
        return payload

    return register


def all_types() -> list[EventType]:
    """Every registered type, by name."""
    return [_types[name] for name in sorted(_types)]


def get(name: str) -> EventType:
    """The entry of a type. Raises UnknownEventType."""
    try:
        return _types[name]
    except KeyError:
        raise UnknownEventType(f'event type "{name}" is not registered') from None


def type_of(payload: Payload) -> EventType:
    """The entry a payload belongs to. Raises UnknownEventType."""
    try:
        return _types[_names[type(payload)]]
    except KeyError:
        raise UnknownEventType(f"{type(payload).__qualname__} is not registered with @registry.event") from None


def upcast(name: str, version: int, data: dict[str, Any]) -> dict[str, Any]:
    """`data` as the newest version of the type. Raises UnknownEventType for a type or version not known here."""
    entry = get(name)
    if version > entry.version:
        raise UnknownEventType(f"{name} version {version} is newer than {entry.version}, the newest known here")
    for step in range(version, entry.version):
        data = entry.upcasters[step](data)
    return data
