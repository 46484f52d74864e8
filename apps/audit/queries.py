"""Reads of the log."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from apps.audit import models
from apps.kernel import isolation

# By the horizon where there is one, so that the count does not grow with the log.
MEASURE = """
SELECT count(*), min(e.occurred_at) FROM audit_entry e
WHERE e.xid >= COALESCE((SELECT pg_snapshot_xmin(h.snap) FROM audit_horizon h
                         WHERE h.cluster = (SELECT system_identifier::text FROM pg_control_system())), '0'::xid8)
  AND NOT EXISTS (SELECT 1 FROM audit_position p WHERE p.entry_id = e.id)
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; what is empty or None does not narrow. `since` is included, `until` is not."""

    actor: str = ""
    action: str = ""
    object_type: str = ""
    object_id: str = ""
    correlation_id: uuid.UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


def entries(wanted: Filter) -> QuerySet[models.Entry]:
    """Of the tenant shown. An action may be a beginning that ends with a dot: `commerce.` is all of commerce."""
    rows = models.Entry.objects.all()
    if wanted.action.endswith("."):
        rows = rows.filter(action__startswith=wanted.action)
    elif wanted.action:
        rows = rows.filter(action=wanted.action)
    for name in ("actor", "object_type", "object_id", "correlation_id"):
        if value := getattr(wanted, name):
            rows = rows.filter(**{name: value})
    if wanted.since:
        rows = rows.filter(occurred_at__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(occurred_at__lt=wanted.until)
    return rows


def personal_of(rows: list[models.Entry]) -> dict[uuid.UUID, models.Personal]:
    """What is personal in these entries, where it has not been erased, by entry."""
    return {row.entry_id: row for row in models.Personal.objects.filter(entry_id__in=[row.id for row in rows])}


def measure_unsealed(*, now: datetime) -> tuple[int, float]:
    """How many committed entries have no seal, and the age of the oldest in seconds, over all tenants."""
    with isolation.all_tenants(reason="audit measuring"), connection.cursor() as cursor:
        cursor.execute(MEASURE)
        count, oldest = cursor.fetchone()
    return int(count), max((now - oldest).total_seconds(), 0.0) if oldest else 0.0
