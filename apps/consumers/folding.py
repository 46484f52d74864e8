"""Folding events into states: the same few lines for the live runner, the rebuild and the verification."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from apps.consumers import parking, projections, writing
from apps.consumers.ahead import read_ahead
from apps.events import envelope, registry
from apps.outbox import log


class Outcome(NamedTuple):
    """As much of a stream as can be applied: `taken` events of it give `rendered`, None when not even one can.

    `error` is empty when all were taken, else what stood in the way of the next. What can be applied but not rendered
    counts as not taken.
    """

    rendered: writing.Rendered | None
    taken: int
    error: str


def fold(
    projection: projections.Projection, before: writing.Folded | None, events: Sequence[envelope.Event]
) -> tuple[writing.Folded | None, int, str]:
    """The aggregate after `events` in version order, how many of them were taken, and why not the next one.

    Events it already has are passed over: delivered twice equals once. Raises registry.UnknownEventType.
    """
    version, state = (before.version, before.state) if before else (0, None)
    error, taken = "", 0
    for event in events:
        if event.version > version:
            try:
                state = projection.apply(state, upcast(event))
            except registry.UnknownEventType:
                raise
            except Exception as raised:  # noqa: BLE001 - a fold is pure: its errors are the aggregate's own, kept with it
                error = repr(raised)
                break
            version = event.version
        taken += 1
    first = events[0]
    return writing.Folded(first.tenant_id, first.aggregate_id, version, state) if version else None, taken, error


def upcast(event: envelope.Event) -> envelope.Event:
    """The event under today's name of its type, its data at the newest version. Raises registry.UnknownEventType."""
    entry = registry.get(event.type)
    if event.schema_version == entry.version and event.type == entry.name:
        return event
    return event._replace(type=entry.name, data=registry.upcast(event.type, event.schema_version, event.data))


def build(
    projection: projections.Projection, before: writing.Folded | None, events: Sequence[envelope.Event]
) -> Outcome:
    """The aggregate after `events` with the rows it gives, or after those before the first that cannot be applied.

    Raises registry.UnknownEventType: this code is older than the log, and nothing is wrong with the aggregate.
    """
    folded, taken, error = fold(projection, before, events)
    if folded is None:
        return Outcome(None, taken, error)
    try:
        return Outcome(writing.render(projection, folded), taken, error)
    except Exception as raised:  # noqa: BLE001 - a rendering is pure: its errors are the aggregate's own
        return Outcome(None, 0, repr(raised))


def build_all(
    projection: projections.Projection,
    *,
    until: int,
    on_poison: Callable[[Sequence[envelope.Event], str], None],
    lanes: tuple[int, int] = (0, envelope.LANES - 1),
    tenant_id: uuid.UUID | None = None,
    aggregate_ids: Sequence[uuid.UUID] | None = None,
    on_events: Callable[[int], None] = lambda count: None,
    ahead: bool = False,
) -> Iterator[writing.Rendered]:
    """Aggregates as the fold of the whole log up to a position, in key order: all, those of a range of lanes, of a
    tenant, or those named. Needs an open transaction.

    The part of a stream that can't be applied is handed to `on_poison` with the error; `on_events` gets the length of
    every stream read. `ahead` reads through a connection of its own while the caller works. Raises
    registry.UnknownEventType: this code is older than the log.
    """
    passed_over = parking.skipped(projection.name)
    read = partial(
        log.read_by_aggregate,
        until=until,
        aggregate_types=projection.aggregate_types,
        types=projection.types,
        lane_low=lanes[0],
        lane_high=lanes[1],
        tenant_id=tenant_id,
        aggregate_ids=aggregate_ids,
    )
    for stream in read_ahead(read) if ahead else read():
        on_events(len(stream))
        kept = [event for event in stream if event.position not in passed_over] if passed_over else stream
        if not kept:
            continue
        outcome = build(projection, None, kept)
        if outcome.error:
            on_poison(kept[outcome.taken :], outcome.error)
        if outcome.rendered:
            yield outcome.rendered


def render_stored(
    projection: projections.Projection,
    generation: int,
    *,
    lanes: tuple[int, int],
    on_poison: Callable[[tuple[uuid.UUID, uuid.UUID], str], None],
    on_states: Callable[[int], None],
) -> Iterator[writing.Rendered]:
    """Aggregates rendered anew from the states a generation has stored, without the log. Needs an open transaction."""
    for folded in writing.read_states(projection, generation, lanes):
        on_states(1)
        try:
            yield writing.render(projection, folded)
        except Exception as error:  # noqa: BLE001 - a rendering is pure: its errors are the aggregate's own
            on_poison((folded.tenant_id, folded.id), repr(error))
