"""What an event is once it is recorded: the envelope every reader gets."""

from __future__ import annotations

import uuid
import zlib
from datetime import datetime
from typing import Any, NamedTuple

LANES = 256


class Event(NamedTuple):
    """A recorded event. The fold upcasts `data` from `schema_version` to the newest version of the type.

    `position` is dense and gapless over the whole log; `version` counts 1..n within the aggregate;
    `occurred_at` is when it happened, `recorded_at` when the row was written, both UTC. A tuple because a rebuild makes
    millions of them, and a frozen dataclass takes five times as long to make.
    """

    position: int
    event_id: uuid.UUID
    tenant_id: uuid.UUID
    aggregate_type: str
    aggregate_id: uuid.UUID
    version: int
    type: str
    schema_version: int
    data: dict[str, Any]
    actor: str
    correlation_id: uuid.UUID | None
    causation_id: uuid.UUID | None
    occurred_at: datetime
    recorded_at: datetime


def lane_of(tenant_id: uuid.UUID, aggregate_id: uuid.UUID) -> int:
    """The virtual lane, 0..255: events of one aggregate always share it, so a lane is read in order by one owner.

    CRC-32 because it must never change: the lane is stored with the event.
    """
    return zlib.crc32(tenant_id.bytes + aggregate_id.bytes) % LANES
