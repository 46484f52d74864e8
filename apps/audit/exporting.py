"""Entries for the outside: as JSON, and streamed as NDJSON or CSV, page by page in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TypedDict

import orjson
from django.db.models import Q

from apps.audit import models, queries
from apps.kernel import ids, streaming, validation
from apps.kernel.operations import Free, Id, Moment, Uuid

PAGE = 1_000


class AuditEntry(TypedDict):
    """Who did what to which object; `hash` chains the entry to the one before."""

    id: Id
    occurred_at: Moment
    actor: str
    authority: str
    action: str
    object_type: str
    object_id: str
    changes: Free
    correlation_id: Uuid | None
    client_address: str | None
    hash: str


COLUMNS = tuple(AuditEntry.__annotations__)
CSV = streaming.csv_of(COLUMNS)


def shown(row: models.Entry, personal: models.Personal | None) -> AuditEntry:
    """The entry as the API shows it; personal values in their place where they have not been erased."""
    changes = row.read_changes()
    if personal is not None:
        changes |= orjson.loads(personal.changes)
    return {
        "id": ids.encode("audit", row.id),
        "occurred_at": validation.to_text(row.occurred_at),
        "actor": row.actor,
        "authority": row.authority,
        "action": row.action,
        "object_type": row.object_type,
        "object_id": row.object_id,
        "changes": changes,
        "correlation_id": str(row.correlation_id) if row.correlation_id else None,
        "client_address": personal.client_address if personal is not None else None,
        "hash": bytes(row.hash).hex(),
    }


def told(wanted: queries.Filter) -> dict[str, Any]:
    """The filter as an entry of the log tells it."""
    return {name: value for name, value in asdict(wanted).items() if value}


def stream(wanted: queries.Filter, format: streaming.Format) -> Iterator[bytes]:
    """The tenant's entries that pass, the oldest first; a page is read when the client has taken the one before."""
    after: models.Entry | None = None
    while True:
        page = _page(wanted, after)
        personal = queries.personal_of(page)
        yield format.lines(shown(row, personal.get(row.id)) for row in page)
        if len(page) < PAGE:
            return
        after = page[-1]


def _page(wanted: queries.Filter, after: models.Entry | None) -> list[models.Entry]:
    rows = queries.entries(wanted).order_by("occurred_at", "id")
    if after is not None:
        later = Q(occurred_at__gt=after.occurred_at) | Q(occurred_at=after.occurred_at, id__gt=after.id)
        rows = rows.filter(later, occurred_at__gte=after.occurred_at)
    return list(rows[:PAGE])
