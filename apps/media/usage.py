"""Who shows an asset: those who know are on other floors, and register how to ask them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from apps.kernel import wording

AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Use:
    """Something that shows an asset: its type, such as `product`, its id as the API has it, and what it is called.

    Of what who asks may not read only the type is told.
    """

    type: str
    id: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """`find` gives at most so many of those that show the asset, of the tenant at work, what is told of first.

    What `holds` an asset keeps it from being deleted in any case; others only mention it.
    """

    name: str
    holds: bool
    find: Callable[[uuid.UUID, int], Sequence[Use]]


_sources: dict[str, Source] = {}


def register(source: Source) -> None:
    """Once more is as good as once. Raises ValueError for a name that another one has."""
    if _sources.get(source.name, source) != source:
        raise ValueError(f"{source.name} is registered already")
    _sources[source.name] = source


def of(asset_id: uuid.UUID, *, holding_only: bool = False) -> list[Use]:
    """What shows the asset, whoever may read it, at most 100 of each source."""
    sources = [source for source in _sources.values() if source.holds or not holding_only]
    return [use for source in sources for use in source.find(asset_id, AT_MOST)]


def told(uses: Iterable[Use]) -> list[Use]:
    """Those of which more than the type is told."""
    return [use for use in uses if use.id]


def named(uses: Sequence[Use], at_most: int | None = None) -> str:
    """By type and title, and how many there are of which these are not told."""
    known = told(uses)
    names = [f"{use.type} {use.title}" for use in known[:at_most]]
    if others := len(uses) - len(known):
        names.append(wording.say("{count:,} that only others may see", count=others))
    return wording.join(", ", names)
