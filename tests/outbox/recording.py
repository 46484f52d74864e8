"""Events of different aggregates and lanes, committed and positioned."""

import uuid

from apps.content import events as content_events
from apps.outbox import sequencer
from apps.outbox.append import append, unit_of_work


def record_events(count: int, *, aggregate_id: uuid.UUID | None = None) -> None:
    """As many tags, each of its own, or all of one."""
    for _ in range(count):
        with unit_of_work():
            append(
                content_events.TagCreated(translations=[]),
                tenant_id=uuid.UUID(int=1),
                aggregate_type=content_events.TAG,
                aggregate_id=aggregate_id or uuid.uuid4(),
            )
    sequencer.assign_positions()
