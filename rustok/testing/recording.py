"""What was recorded in the log, published on the bus, and sent by mail."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core import mail
from django.core.mail import EmailMessage

from apps.events import bus
from apps.events.bus.contract import Message
from apps.events.bus.memory import MemoryBus
from apps.kernel import isolation
from apps.outbox.models import Log
from apps.tenants.models import Tenant

_TOKEN = re.compile(r"Token: (rts_\S+)")


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the log has it, with a position or without."""

    type: str
    data: dict[str, Any]
    aggregate_id: uuid.UUID
    actor: str


def events_of(tenant: Tenant, *, of: uuid.UUID | None = None, after: int = 0) -> list[Recorded]:
    """The events of the tenant in the order they were recorded: all, of one aggregate, or behind a `mark`."""
    with isolation.to_tenant(tenant.id):
        rows = Log.objects.filter(tenant_id=tenant.id, id__gt=after).order_by("id")
        rows = rows if of is None else rows.filter(aggregate_id=of)
        return [Recorded(*row) for row in rows.values_list("type", "data", "aggregate_id", "actor")]


def mark(tenant: Tenant) -> int:
    """How far the log of the tenant is now, for `after`."""
    with isolation.to_tenant(tenant.id):
        return Log.objects.filter(tenant_id=tenant.id).order_by("-id").values_list("id", flat=True).first() or 0


class RecordingBus(MemoryBus):
    """The bus of this process, which keeps every message in `sent` though it is trimmed or wiped."""

    def __init__(self, *, shards: int = 1) -> None:
        super().__init__(shards=shards)
        self.sent: list[Message] = []

    def publish(self, batch: bus.Batch, *, after: int = 0, shard: int = 0) -> None:
        super().publish(batch, after=after, shard=shard)
        known = {message.position for message in self.sent}
        self.sent += [message for message in batch.messages() if message.position not in known]

    @property
    def types(self) -> list[str]:
        """The types of the events, in the order of their positions."""
        return [
            message.fields["type"].removeprefix("com.rustok.")
            for message in sorted(self.sent, key=lambda message: message.position)
        ]


@contextmanager
def recorded_bus() -> Iterator[RecordingBus]:
    """In the block the relay of this process publishes here, from the beginning of the log."""
    recording, installed = RecordingBus(), bus.default
    bus.default = lambda: recording  # type: ignore[assignment]
    try:
        yield recording
    finally:
        bus.default = installed


class Mails:
    """The mails of this test so far, the oldest first."""

    @property
    def all(self) -> list[EmailMessage]:
        return list(mail.outbox)

    def to(self, address: str) -> list[EmailMessage]:
        """Those that name the address."""
        return [message for message in self.all if address in message.to]

    def token(self, address: str) -> str:
        """The token in the last mail to the address. Raises AssertionError where there is none."""
        for message in reversed(self.to(address)):
            if found := _TOKEN.search(str(message.body)):
                return found[1]
        raise AssertionError(f"No mail to {address} carries a token; mails went to {[each.to for each in self.all]}.")
