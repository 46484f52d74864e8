"""Nodes, by their kind, as what tenants define fields of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apps.content import kinds, models
from apps.content.services.checks import FIELDS
from apps.kernel import ids
from apps.tenants import custom_fields


def _rows(kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = models.Node.objects.filter(kind=kind).exclude(fields={}).values_list("id", "fields")
    for node_id, values in rows.iterator(chunk_size=1000):
        yield ids.encode("node", node_id), values


custom_fields.register(custom_fields.Subject(FIELDS, _rows, kinds.names))
