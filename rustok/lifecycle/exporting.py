"""Export: a tenant's whole life into one file, as one moment shows it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from apps.audit import recording as audit
from apps.kernel import failpoints, isolation
from apps.outbox import history, log
from apps.tenants import events, models
from rustok.lifecycle import archive, catalogue, checksum, files, rows

MIGRATIONS = "SELECT app, max(name) FROM django_migrations GROUP BY app ORDER BY app"

type OnTotal = Callable[[int], None]
type OnRows = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an archive has; `checksum` is what `tenant_checksum` says of the same moment."""

    rows: int
    events: int
    files: int
    bytes: int
    checksum: str


def export_tenant(
    tenant_id: uuid.UUID, path: Path, *, on_total: OnTotal = lambda total: None, on_rows: OnRows = lambda count: None
) -> Exported:
    """Write everything of the tenant to `path`, in one snapshot, beside writers, in constant memory.

    `on_total` gets the number of rows and events, `on_rows` each as it is written. The tenant's audit log tells of it.
    Raises ArchiveRefused.
    """
    with archive.Writer(path) as writer, log.one_snapshot(), isolation.to_tenant(tenant_id):
        tables = catalogue.exported()
        on_total(sum(rows.count(table, tenant_id) for table in tables) + history.count(tenant_id))
        with writer.lines(archive.PEOPLE) as content:
            for line in rows.people(tables, tenant_id):
                content.write(line)
        for table in tables:
            with writer.lines(f"tables/{table.name}.ndjson.zst", table=table.name, columns=table.moved) as content:
                for line in rows.read(table, tenant_id):
                    content.write(line)
                    on_rows(1)
            failpoints.reach("export.after_part")
        with writer.lines(archive.EVENTS) as content:
            for line in history.read(tenant_id):
                content.write(line)
                on_rows(1)
        _write_files(writer, tenant_id)
        manifest = _manifest(tenant_id, writer.parts)
        writer.finish(manifest)
    named = {part.name: part.rows for part in manifest.parts}
    exported = Exported(
        rows=sum(part.rows for part in manifest.parts if part.table),
        events=named[archive.EVENTS],
        files=sum(name.startswith("files/") for name in named),
        bytes=path.stat().st_size,
        checksum=manifest.checksum,
    )
    with isolation.to_tenant(tenant_id), transaction.atomic():
        record("exported", tenant_id, after=asdict(exported))
    return exported


def record(verb: str, tenant_id: uuid.UUID, *, after: dict[str, Any]) -> None:
    """Tell the tenant's audit log, in the caller's transaction, that all of it left or came."""
    audit.record(
        action=f"tenants.tenant.{verb}",
        tenant_id=tenant_id,
        object_type=events.AGGREGATE,
        object_id=tenant_id,
        after=after,
    )


def _write_files(writer: archive.Writer, tenant_id: uuid.UUID) -> None:
    for name in files.names(tenant_id):
        with files.read(tenant_id, name) as stream:
            writer.file(f"files/{name}", stream)


def _manifest(tenant_id: uuid.UUID, parts: list[archive.Part]) -> archive.Manifest:
    tenant = models.Tenant.objects.get(pk=tenant_id)
    with connection.cursor() as cursor:
        cursor.execute(MIGRATIONS)
        migrations = dict(cursor.fetchall())
    return archive.Manifest(
        tenant_id=str(tenant_id),
        slug=tenant.slug,
        domains=sorted(tenant.domains.values_list("host", flat=True)),
        exported_at=timezone.now().isoformat(),
        migrations=migrations,
        parts=parts,
        left_out={table.name: table.reason for table in catalogue.tables() if table.reason},
        checksum=checksum.total(summed(parts)),
    )


def summed(parts: list[archive.Part]) -> dict[str, checksum.Part]:
    """The checksums of an archive's parts as `checksum` has those of a tenant."""
    found = {part.table: checksum.Part(part.rows, part.digest) for part in parts if part.table}
    digest = rows.Digest()
    for part in parts:
        if part.name == archive.EVENTS:
            found[checksum.EVENTS] = checksum.Part(part.rows, part.digest)
        elif part.name.startswith("files/"):
            digest.add(f"{part.name.removeprefix('files/')} {part.sha256}".encode())
    if digest.rows:
        found[checksum.FILES] = checksum.Part(digest.rows, digest.hexdigest())
    return found
