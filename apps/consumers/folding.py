"""Folding events into states: the same few lines for the live runner, the rebuild and the verification."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from apps.consumers import projections, writing
from apps.events import envelope, registry
from apps.outbox import log


def fold(
    projection: projections.Projection, before: writing.Folded | None, events: Sequence[envelope.Event]
) -> writing.Folded:
    """The aggregate after `events`, all of it, in version order. Events it already has are passed over.

    Raises registry.UnknownEventType, and whatever an upcaster or `apply` raises.
    """
    state = before.state if before else None
    version = before.version if before else 0
    for event in events:
        if event.version <= version:
            continue
        data = registry.upcast(event.type, event.schema_version, event.data)
        state = projection.apply(state, replace(event, data=data))
        version = event.version
    return writing.Folded(events[0].tenant_id, events[0].aggregate_id, version, state)


def build(
    projection: projections.Projection, before: writing.Folded | None, events: Sequence[envelope.Event]
) -> writing.Rendered:
    """The aggregate after `events` with the rows it gives. Raises what `fold` and `render` raise."""
    return writing.render(projection, fold(projection, before, events))


def build_all(
    projection: projections.Projection,
    *,
    until: int,
    on_poison: Callable[[Sequence[envelope.Event], Exception], None],
) -> Iterator[writing.Rendered]:
    """Every aggregate as the fold of the whole log up to a position, in key order. Needs an open transaction.

    A stream that can't be folded or rendered is handed to `on_poison` with its error and left out. Raises
    registry.UnknownEventType: this code is older than the log.
    """
    streams = log.read_by_aggregate(until=until, aggregate_types=projection.aggregate_types, types=projection.types)
    for stream in streams:
        try:
            built = build(projection, None, stream)
        except registry.UnknownEventType:
            raise
        except Exception as error:  # noqa: BLE001 - folds and renderings are pure: their errors are the aggregate's own
            on_poison(stream, error)
        else:
            yield built
