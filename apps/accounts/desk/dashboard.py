"""What people see first: panels that apps put there, each with its numbers, rows and next steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number that leads somewhere; `mood` is calm, good or bad."""

    label: str
    value: str
    address: str = ""
    mood: str = "calm"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a list: what it is, where it leads, what is to be said of it, and how far it is of 100."""

    text: str
    address: str = ""
    remark: str = ""
    percent: int | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something people come here to begin."""

    label: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    title: str
    figures: Sequence[Figure] = ()
    lines: Sequence[Line] = ()
    steps: Sequence[Step] = ()
    nothing: str = ""
    address: str = ""


type Maker = Callable[[HttpRequest], Panel | None]
_makers: list[tuple[int, Maker]] = []


def panel(*, order: int) -> Callable[[Maker], Maker]:
    """Put a panel on the dashboard, the lowest order first; it answers None for who may not see it."""

    def register(make: Maker) -> Maker:
        _makers.append((order, make))
        return make

    return register


def panels(request: HttpRequest) -> list[Panel]:
    made = (make(request) for _, make in sorted(_makers, key=lambda entry: entry[0]))
    return [found for found in made if found is not None]


def may(request: HttpRequest, permission: str) -> bool:
    """Whether whoever asks holds it in the tenant of the host; superusers everywhere."""
    from apps.accounts.access import backend

    user: Any = request.user
    return bool(user.is_superuser or backend.rights_here(user).allows(permission))
