"""Projections: read models declared as a pure fold of an aggregate's events and a pure rendering into rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.events import envelope

type State = dict[str, Any]
type Row = tuple[Any, ...]
type Apply = Callable[[State | None, envelope.Event], State | None]
type Render = Callable[[uuid.UUID, uuid.UUID, State], dict[str, list[Row]]]


@dataclass(frozen=True, slots=True)
class Relation:
    """A table of the projection. `template` is the migrated, always empty table every generation is made like.

    `columns` are what `render` fills, in order; the first two are `tenant_id` and `id`, the aggregate's.
    """

    template: str
    columns: tuple[str, ...]

    @property
    def live(self) -> str:
        """The view readers use; it points at the live generation."""
        return f"{self.template}_live"

    def table(self, generation: int) -> str:
        return f"{self.template}__g{generation}"


@dataclass(frozen=True, slots=True)
class Projection:
    """A rebuildable consumer of whole aggregates.

    `apply(state, event)` gives the next state of one aggregate, None when it is gone; `render(tenant_id, id, state)`
    gives the rows of each relation by template name. Both are pure: no I/O, no clock, no signals.
    `version` goes up when either changes its answer: the status command then asks for a rebuild.
    """

    name: str
    version: int
    aggregate_types: tuple[str, ...]
    types: tuple[str, ...]
    state_template: str
    relations: tuple[Relation, ...]
    apply: Apply
    render: Render
    state_relation: Relation = field(init=False)

    def __post_init__(self) -> None:
        state = Relation(self.state_template, ("tenant_id", "id", "version", "state"))
        object.__setattr__(self, "state_relation", state)

    @property
    def all_relations(self) -> tuple[Relation, ...]:
        return (self.state_relation, *self.relations)


_projections: dict[str, Projection] = {}


def register(projection: Projection) -> Projection:
    """Declare a projection. Raises ValueError when the name is taken."""
    if projection.name in _projections:
        raise ValueError(f"projection {projection.name} is already registered")
    _projections[projection.name] = projection
    return projection


def all_projections() -> list[Projection]:
    return [_projections[name] for name in sorted(_projections)]


def find(name: str) -> Projection | None:
    return _projections.get(name)


def get(name: str) -> Projection:
    """Raises LookupError naming the known ones."""
    try:
        return _projections[name]
    except KeyError:
        raise LookupError(f'there is no projection "{name}"; there are: {", ".join(sorted(_projections))}') from None
