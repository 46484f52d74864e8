"""Folding events into states: the same few lines for the live runner, the rebuild and the verification."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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


def fold_all(
    projection: projections.Projection,
    *,
    until: int,
    on_poison: Callable[[Sequence[envelope.Event], Exception], None],
) -> Iterator[writing.Folded]:
    """Every aggregate as the fold of the whole log up to a position, in key order. Needs an open transaction.

    A stream that can't be folded is handed to `on_poison` with its error and left out.
    """
    streams = log.read_by_aggregate(until=until, aggregate_types=projection.aggregate_types, types=projection.types)
    for stream in streams:
        try:
            folded = fold(projection, None, stream)
        except Exception as error:  # noqa: BLE001 - whatever a fold raises makes its aggregate poison, no other
            on_poison(stream, error)
        else:
            yield folded
