"""Who shows an asset: those who know are on other floors, and register how to ask them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Use:
    """Something that shows an asset: its type, such as `product`, its id as the API has it, and what it is called."""

    type: str
    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Source:
    """`find` gives at most so many of those that show the asset, of the tenant at work.

    What `holds` an asset keeps it from being deleted in any case; others only mention it.
    """

    name: str
    holds: bool
    find: Callable[[uuid.UUID, int], Sequence[Use]]


_sources: dict[str, Source] = {}


def register(source: Source) -> None:
    """Raises ValueError for a name that is taken."""
    if source.name in _sources:
        raise ValueError(f"{source.name} is registered already")
    _sources[source.name] = source


def of(asset_id: uuid.UUID, *, holding_only: bool = False) -> list[Use]:
    """What shows the asset, at most 100 of each source."""
    sources = [source for source in _sources.values() if source.holds or not holding_only]
    return [use for source in sources for use in source.find(asset_id, AT_MOST)]
