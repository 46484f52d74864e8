"""Effects: what the outside is told because of an event. Planned once, in the transaction of the checkpoint, by the one
writer below; performed later by `sending`. A replay plans nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from django.db import connection

from apps.consumers import folding, models, parking
from apps.events import envelope, registry
from apps.kernel import failpoints
from apps.outbox import sequencer

# The floor is read in the statement that inserts, and so is the mark of history that was brought in from elsewhere: no
# path, however it came here, can plan below the floor, of such history, or twice.
WRITE = """
INSERT INTO consumers_effect (key, consumer, position, event_id, tenant_id, target, payload, state, attempts, next_at,
                              response, planned_at)
SELECT c.name || ':' || e.event_id || ':' || e.target, c.name, e.position, e.event_id, e.tenant_id, e.target,
       e.payload::jsonb, 'pending', 0, clock_timestamp(), '', clock_timestamp()
FROM unnest(%(positions)s::bigint[], %(event_ids)s::uuid[], %(tenant_ids)s::uuid[], %(targets)s::text[],
            %(payloads)s::text[]) AS e(position, event_id, tenant_id, target, payload)
JOIN consumers_consumer c ON c.name = %(consumer)s
WHERE e.position > c.effect_floor
  AND NOT EXISTS (SELECT 1 FROM outbox_position p JOIN outbox_log l ON l.id = p.id
                  WHERE p.position = e.position AND l.meta ? 'imported')
ON CONFLICT (key) DO NOTHING
"""


class Undeliverable(Exception):
    """Trying again is of no use, such as when the address does not exist."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing to do for an event. `target` tells several of one event apart and is part of the unique key."""

    target: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A planned effect in the hands of its performer; `key` is the same at every attempt, for receivers that dedupe."""

    key: str
    tenant_id: uuid.UUID
    target: str
    payload: dict[str, Any]
    attempt: int


type Plan = Callable[[envelope.Event], Sequence[Planned]]
type Perform = Callable[[Task], str]
type Tenancy = Literal["tenant", "platform", "public"]


@dataclass(frozen=True, slots=True)
class Effect:
    """A consumer that tells the outside.

    `tenancy` says whose rows `perform` sees: those of the event's tenant, of the whole platform, or none ("public").
    `plan(event)` is pure: what is to be done because of an event of `types`, upcast to the newest version.
    `perform(task)` does it and returns a line for the record; it raises Undeliverable to give up, anything else to be
    tried again up to `attempts` times, with growing pauses.
    """

    name: str
    types: tuple[str, ...]
    plan: Plan
    perform: Perform
    tenancy: Tenancy
    attempts: int = 10


_effects: dict[str, Effect] = {}


def register(effect: Effect) -> Effect:
    """Declare an effect. Raises ValueError when the name is taken."""
    if effect.name in _effects:
        raise ValueError(f"effect {effect.name} is already registered")
    _effects[effect.name] = effect
    return effect


def all_effects() -> list[Effect]:
    return [_effects[name] for name in sorted(_effects)]


def find(name: str) -> Effect | None:
    return _effects.get(name)


def ensure(effect: Effect) -> None:
    """Make its row and its checkpoint at the head of the log: what was before is not told. Idempotent."""
    head = sequencer.head()
    _, is_new = models.Consumer.objects.get_or_create(
        name=effect.name, defaults={"kind": "effect", "effect_floor": head}
    )
    if is_new:
        models.Checkpoint.objects.create(consumer=effect.name, generation=1, position=head)


def plan_stream(
    effect: Effect, events: Sequence[envelope.Event]
) -> tuple[list[tuple[envelope.Event, Planned]], parking.Failure | None]:
    """What is to be done for the events of one aggregate, up to the first that cannot be planned.

    Raises registry.UnknownEventType.
    """
    planned: list[tuple[envelope.Event, Planned]] = []
    for number, event in enumerate(events):
        try:
            planned += [(event, entry) for entry in effect.plan(folding.upcast(event))]
        except registry.UnknownEventType:
            raise
        except Exception as error:  # noqa: BLE001 - planning is pure: its errors are the aggregate's own
            return planned, parking.Failure(events[number:], repr(error))
    return planned, None


def write(effect: Effect, planned: Sequence[tuple[envelope.Event, Planned]], *, is_live: bool) -> int:
    """The EffectWriter: the only place that plans effects; returns how many were new.

    Nothing is written unless `is_live`: replays pass False and stay silent, whatever they plan.
    """
    if not is_live or not planned:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            WRITE,
            {
                "consumer": effect.name,
                "positions": [event.position for event, _ in planned],
                "event_ids": [event.event_id for event, _ in planned],
                "tenant_ids": [event.tenant_id for event, _ in planned],
                "targets": [entry.target for _, entry in planned],
                "payloads": [orjson.dumps(entry.payload).decode() for _, entry in planned],
            },
        )
        failpoints.reach("effects.after_write")
        return int(cursor.rowcount)
