"""Entries for tests."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from apps.audit import models, recording, sealing
from apps.kernel import context, isolation

CLIENT = "198.51.100.7"


def write(tenant_id: uuid.UUID | None, count: int = 1, *, action: str = "shelf.dusted") -> None:
    """That many entries, each in a transaction of its own."""
    for number in range(count):
        with context.use(actor="user:ann", client_address=CLIENT), transaction.atomic():
            recording.record(
                action=action,
                tenant_id=tenant_id,
                object_type="shelf",
                object_id=number,
                before={"dust": number},
                after={"dust": 0.5},
            )


def seal() -> int:
    return sealing.drain(now=timezone.now)


def entries_of(tenant_id: uuid.UUID | None) -> list[models.Entry]:
    """The oldest first, whoever is at work."""
    with isolation.all_tenants(reason="test"):
        return list(models.Entry.objects.filter(tenant_id=tenant_id).order_by("id"))


def actions_of(tenant_id: uuid.UUID | None) -> list[str]:
    return [entry.action for entry in entries_of(tenant_id)]
