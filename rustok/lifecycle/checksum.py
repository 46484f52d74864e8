"""The checksum of a tenant: of all that an export has, independent of order, of the installation and of its schema's
surrogates. Equal after export, purge and import."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from apps.kernel import isolation
from apps.outbox import history, log
from rustok.lifecycle import catalogue, files, rows

EVENTS = "events"
FILES = "files"

type OnRows = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A table, the events or the files: how many rows, and the checksum over them."""

    rows: int
    digest: str


def of_tenant(tenant_id: uuid.UUID, *, on_rows: OnRows = lambda count: None) -> dict[str, Part]:
    """The checksum of each part that has something in it, in one snapshot."""
    with log.one_snapshot():
        return in_transaction(tenant_id, on_rows=on_rows)


def in_transaction(tenant_id: uuid.UUID, *, on_rows: OnRows = lambda count: None) -> dict[str, Part]:
    """The same as the caller's transaction sees it."""
    found: dict[str, rows.Digest] = {}
    with isolation.to_tenant(tenant_id):
        for table in catalogue.exported():
            digest = found.setdefault(table.name, rows.Digest())
            for line in rows.read(table, tenant_id):
                digest.add(line)
                on_rows(1)
        digest = found.setdefault(EVENTS, rows.Digest())
        for line in history.read(tenant_id):
            digest.add(line)
            on_rows(1)
    digest = found.setdefault(FILES, rows.Digest())
    for name in files.names(tenant_id):
        digest.add(files.line_of(tenant_id, name))
    return {name: Part(digest.rows, digest.hexdigest()) for name, digest in found.items() if digest.rows}


def total(parts: Mapping[str, Part]) -> str:
    """One checksum over all parts; those without rows do not count."""
    lines = [f"{name} {part.rows} {part.digest}\n" for name, part in sorted(parts.items()) if part.rows]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
