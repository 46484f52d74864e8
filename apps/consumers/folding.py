"""Folding events into states: the same few lines for the live runner, the rebuild and the verification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apps.consumers import projections, writing
from apps.events import envelope
from apps.outbox import log


def fold(
    projection: projections.Projection, before: writing.Folded | None, events: Sequence[envelope.Event]
) -> writing.Folded:
    """The aggregate after `events`, all of it, in version order. Events it already has are passed over.

    Raises whatever `apply` raises.
    """
    state = before.state if before else None
    version = before.version if before else 0
    for event in events:
        if event.version <= version:
            continue
        state = projection.apply(state, event)
        version = event.version
    return writing.Folded(events[0].tenant_id, events[0].aggregate_id, version, state)


def fold_all(projection: projections.Projection, *, until: int) -> Iterator[writing.Folded]:
    """Every aggregate as the fold of the whole log up to a position, in key order. Needs an open transaction."""
    streams = log.read_by_aggregate(
        until=until, aggregate_types=projection.aggregate_types, types=projection.types
    )
    for stream in streams:
        yield fold(projection, None, stream)
