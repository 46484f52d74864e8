"""Import: the archive of a tenant back into rows, events and files, all of it or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

import orjson
from django.db import DataError, IntegrityError, connection

from apps.accounts import access
from apps.accounts import services as account_services
from apps.kernel import errors, failpoints, isolation, validation
from apps.outbox import history
from apps.outbox.append import unit_of_work
from apps.tenants import models
from apps.tenants import services as tenant_services
from rustok.lifecycle import archive, catalogue, checksum, exporting, files, locking, rows

BATCH = 500
DOMAINS = models.Domain._meta.db_table

type OnRows = Callable[[int], None]


class IdTaken(errors.Conflict):
    """A tenant, or rows or events of one, with the id of the archive's are here already."""

    code = "tenant_id_taken"


class Placement(validation.Input):
    """Where the tenant comes to stand. Without a slug and domains those of the archive."""

    slug: validation.ShortSlug | None = None
    domains: tenant_services.Hosts | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """`checksum` is what was proved to be here; `new_people` are users that did not exist, without a password."""

    tenant_id: uuid.UUID
    slug: str
    rows: int
    events: int
    files: int
    new_people: list[str]
    checksum: str


def import_tenant(
    path: Path,
    *,
    placement: Placement,
    on_stage: Callable[[str, int], None] = lambda stage, total: None,
    on_rows: OnRows = lambda count: None,
) -> Imported:
    """Bring in what `path` holds. Everything is read and checked before anything is written, in one transaction.

    Ids, times, versions and the order of events stay; effects never act on what is brought in. What was written is
    compared with the archive before it is committed. Raises ArchiveRefused, IdTaken, SlugTaken, DomainTaken,
    TenantBusy and ValidationFailed.
    """
    reader = archive.Reader(path)
    try:
        run = _Run(reader, placement, on_rows)
        run.refuse_unfit()
        on_stage("Checking", reader.manifest.rows)
        run.check_content()
        on_stage("Importing", reader.manifest.rows)
        return run.write()
    finally:
        reader.close()


class _Run:
    """One import: the archive and where it is to go."""

    def __init__(self, reader: archive.Reader, placement: Placement, on_rows: OnRows) -> None:
        self.reader, self.manifest, self.on_rows = reader, reader.manifest, on_rows
        try:
            self.tenant_id = uuid.UUID(self.manifest.tenant_id)
        except ValueError:
            raise archive.ArchiveRefused(f"{reader.path} names no tenant.") from None
        self.slug = placement.slug or self.manifest.slug
        self.keeps_domains = placement.domains is None
        self.hosts = placement.domains or []
        self.tables = catalogue.exported()
        self.parts = {part.table: part for part in self.manifest.parts if part.table}
        self.named = {part.name: part for part in self.manifest.parts}

    def refuse_unfit(self) -> None:
        """Before anything is read: does it fit this installation, and is its place free."""
        self._refuse_other_schema()
        for part in self.manifest.parts:
            if ".." in part.name.split("/"):
                raise archive.ArchiveRefused(f"{self.reader.path} is refused: {part.name} leads out of its folder.")
        with isolation.all_tenants(reason="tenant import"):
            self._refuse_taken()

    def _refuse_other_schema(self) -> None:
        known = {table.name: table for table in self.tables}
        missing = {archive.PEOPLE, archive.EVENTS} - self.named.keys()
        if missing or catalogue.TENANTS not in self.parts:
            raise archive.ArchiveRefused(f"{self.reader.path} has no {', '.join(sorted(missing)) or 'tenant'}.")
        for name, part in self.parts.items():
            if part.rows and name not in known:
                raise archive.ArchiveRefused(
                    f'{self.reader.path} has rows of "{name}", which this installation does not know; migrate it first.'
                )
            if name in known and part.rows:
                self._refuse_other_columns(known[name], part)

    def _refuse_other_columns(self, table: catalogue.Table, part: archive.Part) -> None:
        if unknown := sorted(set(part.columns) - set(table.moved)):
            raise archive.ArchiveRefused(
                f'{self.reader.path} has columns of "{table.name}" this installation does not know: '
                f"{', '.join(unknown)}; migrate it first."
            )
        needed = {column.name for column in table.columns if column.is_needed} & set(table.moved)
        if absent := sorted(needed - set(part.columns)):
            raise archive.ArchiveRefused(
                f'{self.reader.path} is older than this installation: "{table.name}" needs {", ".join(absent)}. '
                "Import it where it came from, migrate there, and export again."
            )

    def _refuse_taken(self) -> None:
        if models.Tenant.objects.filter(pk=self.tenant_id).exists():
            raise IdTaken(f"The tenant {self.tenant_id} is here already; purge it first, or leave it.")
        if history.count(self.tenant_id):
            raise IdTaken(f"Events of the tenant {self.tenant_id} are here already; finish its purge first.")
        if models.Tenant.objects.filter(slug=self.slug).exists():
            raise tenant_services.SlugTaken(f'A tenant with the slug "{self.slug}" exists already; give --slug.')
        wanted = self.manifest.domains if self.keeps_domains else self.hosts
        for domain in models.Domain.objects.filter(host__in=wanted):
            raise tenant_services.DomainTaken(
                f'The domain "{domain.host}" already leads to a tenant; give --no-domains, or others with --domain.'
            )

    def check_content(self) -> None:
        """Everything in the archive is read once, before anything is written."""
        for part in self.manifest.parts:
            if part.name.startswith("files/"):
                self.reader.check_file(part)
                continue
            for _ in self.reader.lines(part):
                self.on_rows(1)
        if checksum.total(exporting.summed(self.manifest.parts)) != self.manifest.checksum:
            raise archive.ArchiveRefused(f"{self.reader.path} is refused: its checksum is not that of its parts.")

    def write(self) -> Imported:
        """Rows, events and files in one transaction, compared with the archive before it ends."""
        saved: list[str] = []
        try:
            with (
                locking.only_one(self.tenant_id),
                self._refusing(),
                isolation.to_tenant(self.tenant_id),
                unit_of_work(),
            ):
                with isolation.all_tenants(reason="tenant import"):
                    self._refuse_taken()
                new_people = self._write_rows()
                self._write_events()
                self._check_references()
                self._write_files(saved)
                self._settle()
                self._prove()
                failpoints.reach("import.before_commit")
        except BaseException:
            for name in saved:
                files.delete(self.tenant_id, name)
            raise
        return Imported(
            tenant_id=self.tenant_id,
            slug=self.slug,
            rows=sum(part.rows for part in self.parts.values()),
            events=self.named[archive.EVENTS].rows,
            files=len(saved),
            new_people=new_people,
            checksum=self.manifest.checksum,
        )

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """What the database does not take becomes a refusal."""
        try:
            yield
        except (IntegrityError, DataError) as error:
            reason = str(error).strip().splitlines()[0]
            raise IdTaken(
                f"The database refuses what {self.reader.path} holds ({reason}). Nothing was imported."
            ) from error

    def _write_rows(self) -> list[str]:
        people, new = self._people()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")  # trees come in no order
        for table in self.tables:
            part = self.parts.get(table.name)
            if part is None or (table.name == DOMAINS and not self.keeps_domains):
                continue
            ids = rows.ids_here(table, self.tenant_id, people)
            for lines in batched(self.reader.lines(part), BATCH):
                placed = [self._placed(line) for line in lines] if table.name == catalogue.TENANTS else lines
                rows.write(table, self.tenant_id, placed, columns=part.columns, ids=ids)
                self.on_rows(len(lines))
            failpoints.reach("import.after_rows")
        access.engine.lock_and_bump(self.tenant_id)
        return new

    def _people(self) -> tuple[dict[str, uuid.UUID], list[str]]:
        wanted = [orjson.loads(line) for line in self.reader.lines(self.named[archive.PEOPLE])]
        return account_services.ensure_people(
            [account_services.Person(uuid.UUID(each["id"]), each["email"], each["name"]) for each in wanted]
        )

    def _placed(self, line: bytes) -> bytes:
        """The tenant's own row, under the slug it gets here."""
        return line if self.slug == self.manifest.slug else orjson.dumps(orjson.loads(line) | {"slug": self.slug})

    def _write_events(self) -> None:
        for lines in batched(self.reader.lines(self.named[archive.EVENTS]), BATCH):
            history.write(self.tenant_id, lines)
            self.on_rows(len(lines))
        history.finish(self.tenant_id)

    def _check_references(self) -> None:
        """Have the database check its foreign keys now, with plans for tables as large as they have become."""
        with connection.cursor() as cursor:
            cursor.execute("DISCARD PLANS; SET CONSTRAINTS ALL IMMEDIATE")

    def _write_files(self, saved: list[str]) -> None:
        for part in self.manifest.parts:
            if part.name.startswith("files/"):
                name = part.name.removeprefix("files/")
                saved.append(name)
                with self.reader.file(part) as stream:
                    files.write(self.tenant_id, name, stream)

    def _settle(self) -> None:
        """What is different here is told by events of its own, behind the history; so does the audit log begin."""
        tenant_services.settle_tenant(
            tenant=models.Tenant.objects.get(pk=self.tenant_id),
            has_new_slug=self.slug != self.manifest.slug,
            lost_hosts=[] if self.keeps_domains else self.manifest.domains,
            new_hosts=self.hosts,
        )
        told = {"slug": self.slug, "exported_at": self.manifest.exported_at, "checksum": self.manifest.checksum}
        exporting.record("imported", self.tenant_id, after=told)

    def _prove(self) -> None:
        """What stands in the tables now against what the archive says, but for what was to be different.

        Events of this installation are still buffered, so that only the history is seen.
        """
        expected, found = exporting.summed(self.manifest.parts), checksum.in_transaction(self.tenant_id)
        different = self._different(expected, found)
        if different:
            raise archive.ArchiveRefused(
                f"What was written is not what {self.reader.path} holds: {', '.join(different)}. Nothing was imported."
            )

    def _different(self, expected: dict[str, checksum.Part], found: dict[str, checksum.Part]) -> Sequence[str]:
        placed = {DOMAINS} if not self.keeps_domains else set()
        placed |= {catalogue.TENANTS} if self.slug != self.manifest.slug else set()
        names = {name for name, part in expected.items() if part.rows} | found.keys()
        return [name for name in sorted(names - placed) if expected.get(name) != found.get(name)]
