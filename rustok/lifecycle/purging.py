"""Purge: nothing of a tenant is left, which is proved and put on record.

    suspended     nobody is answered any more
    events        become tombstones, in the tables and in the archives; consumers that were reading end first
    rows          deleted table by table, those that refer to others first, in batches that are counted as they commit
    audit log     goes as a whole, which the platform's own log tells
    elsewhere     files, what is known of its names, cache keys, the bus
    proved        every row of every table is looked at for the tenant's id; if something came in between, once more
    receipt       signed, with an event of the installation

A killed one is gone on with by running it again.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from guardian.models import GroupObjectPermission, UserObjectPermission
from psycopg import sql

from apps import audit
from apps.accounts.models import User
from apps.audit import models as audit_models
from apps.audit import retention
from apps.consumers import generations, projections
from apps.consumers import models as consumers
from apps.kernel import context, errors, failpoints, isolation
from apps.outbox import erasing
from apps.outbox import events as outbox_events
from apps.outbox.append import append, unit_of_work
from apps.tenants import events, models, queries, resolution
from rustok.lifecycle import caches, catalogue, files, locking, rows

FORMAT = 1
BATCH = 2_000
ROUNDS = 3
SALT = "rustok.purge"
PURGES = models.Purge._meta.db_table
AUDITED = audit_models.Entry._meta.db_table
# Rows that speak of a purged tenant and stay, by a condition: records of the installation, which tell that it was here.
KEPT = {
    PURGES: sql.SQL("true"),
    AUDITED: sql.SQL("tenant_id IS NULL"),
    audit_models.Personal._meta.db_table: sql.SQL("tenant_id IS NULL"),
}
# Not deleted row by row: the log of a tenant goes whole.
AUDIT = {*audit.APPEND_ONLY_TABLES, *audit.ERASABLE_TABLES}
# What is written once and kept lets this tenant's rows go in this transaction: apps/commerce/constraints.py.
OPEN = "SELECT set_config('rustok.purged_tenant', %s, true)"
# Tables of the installation that name tenants by their id as text.
NAMED_IN = [
    (UserObjectPermission, "object_pk"),
    (GroupObjectPermission, "object_pk"),
    (LogEntry, "object_id"),
]

type OnStep = Callable[[str, int], None]


class NotSuspended(errors.Conflict):
    """A tenant that answers requests is not purged."""

    code = "tenant_not_suspended"


class NotConfirmed(errors.DomainError):
    """The confirmation does not name the tenant."""

    code = "purge_not_confirmed"


class RebuildRunning(errors.Conflict):
    """A read model is being built, which may have read what is to be erased."""

    code = "rebuild_running"


class PurgeIncomplete(errors.Conflict):
    """Something of the tenant is still there."""

    code = "purge_incomplete"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a purge would delete, by table; events, files and keys beside them."""

    rows: dict[str, int]
    events: int
    files: int
    cache_keys: int


@dataclass(slots=True)
class Left:
    """What is still there, by table, and beside the tables."""

    rows: dict[str, int] = field(default_factory=dict)
    tables: int = 0
    archived: int = 0
    files: int = 0
    cache_keys: int = 0

    @property
    def total(self) -> int:
        return sum(self.rows.values()) + self.archived + self.files + self.cache_keys

    def __str__(self) -> str:
        places = {**self.rows, "archives of the log": self.archived, "files": self.files, "cache": self.cache_keys}
        return ", ".join(f"{count:,} in {place}" for place, count in places.items() if count)


def estimate(tenant: models.Tenant) -> Estimate:
    """What `purge` would delete, without deleting it. Raises RebuildRunning and CacheUnreachable."""
    with isolation.all_tenants(reason="tenant purge"):
        _refuse_rebuild()
    hosts = list(tenant.domains.values_list("host", flat=True))
    with isolation.to_tenant(tenant.id):
        counts = {table.name: rows.count(table, tenant.id) for table in catalogue.tables()}
        in_log = counts.pop(catalogue.LOG)
    return Estimate(
        rows={name: count for name, count in counts.items() if count},
        events=in_log,
        files=sum(1 for _ in files.names(tenant.id)),
        cache_keys=caches.count_keys(tenant.id, hosts),
    )


def find_unfinished(slug_or_id: str) -> models.Purge | None:
    """The purge of this tenant that was begun and has not ended."""
    begun = models.Purge.objects.filter(finished_at=None)
    return next((purge for purge in begun if slug_or_id in (purge.slug, str(purge.purged_id))), None)


def purge(*, slug_or_id: str, confirm: str, on_step: OnStep = lambda step, count: None) -> models.Purge:
    """Delete everything of a suspended tenant, prove that nothing is left, and record it with a receipt.

    `on_step` gets what is being done and how much of it was. Raises TenantNotFound, NotSuspended, NotConfirmed,
    TenantBusy, RebuildRunning, CacheUnreachable, PurgeIncomplete, and what `erasing` raises.
    """
    with isolation.all_tenants(reason="tenant purge"):
        begun = find_unfinished(slug_or_id)
        tenant = None if begun else queries.get_tenant(slug_or_id=slug_or_id)
        if confirm != (slug := begun.slug if begun else tenant.slug if tenant else ""):
            raise NotConfirmed(f'To purge the tenant, confirm with its slug: --confirm {slug}. Got "{confirm}".')
        tenant_id = begun.purged_id if begun else tenant.id if tenant else uuid.UUID(int=0)
        with locking.only_one(tenant_id):
            return _Run(begun or _begin(tenant_id), on_step).run()


def is_genuine(purge: models.Purge) -> bool:
    """Whether the receipt is the one this installation has signed."""
    sha256 = _sha256(purge.receipt)
    return sha256 == purge.sha256 and _signature(sha256) == purge.signature


def find_left(tenant_id: uuid.UUID, hosts: list[str]) -> Left:
    """Every row of every table in which the tenant's id stands, in whatever column; and files, keys, archives."""
    left = Left(
        archived=erasing.holds(tenant_id),
        files=sum(1 for _ in files.names(tenant_id)),
        cache_keys=caches.count_keys(tenant_id, hosts),
    )
    with isolation.all_tenants(reason="tenant purge proof"), connection.cursor() as cursor:
        for name in catalogue.all_names():
            left.tables += 1
            query = sql.SQL("SELECT count(*) FROM {} t WHERE t::text LIKE %s AND NOT ({})").format(
                sql.Identifier(name), KEPT.get(name, sql.SQL("false"))
            )
            cursor.execute(query, [f"%{tenant_id}%"])
            if found := cursor.fetchone()[0]:
                left.rows[name] = int(found)
    return left


def _begin(tenant_id: uuid.UUID) -> models.Purge:
    _refuse_rebuild()
    with transaction.atomic():
        tenant = models.Tenant.objects.select_for_update().get(pk=tenant_id)
        if tenant.is_active:
            raise NotSuspended(
                f'"{tenant.slug}" answers requests; suspend it first: manage.py tenant_suspend {tenant.slug} --reason …'
            )
        return models.Purge.objects.create(
            purged_id=tenant.id,
            slug=tenant.slug,
            actor=context.current().actor,
            started_at=timezone.now(),
            hosts=sorted(tenant.domains.values_list("host", flat=True)),
            members=[str(user_id) for user_id in tenant.memberships.values_list("user_id", flat=True)],
        )


def _refuse_rebuild() -> None:
    """The tables of a rebuild can't be read before they are finished, so those of one that was given up go first."""
    for projection in projections.all_projections():
        building = generations.find_unfinished(projection)
        if building is not None and building.state == "building":
            raise RebuildRunning(
                f"{projection.name} is being rebuilt from the log; let it end, or give it up with events_rebuild."
            )
        if not generations.sweep(projection):
            raise RebuildRunning(f"A rebuild of {projection.name} that was given up is still at work; run it again.")


class _Run:
    """One purge, begun or gone on with."""

    def __init__(self, purge: models.Purge, on_step: OnStep) -> None:
        self.purge, self.tenant_id, self.on_step = purge, purge.purged_id, on_step

    def run(self) -> models.Purge:
        left = Left()
        for _ in range(ROUNDS):
            self._erase_events()
            self._delete_rows()
            self._delete_audit_log()
            self._delete_elsewhere()
            failpoints.reach("purge.before_receipt")
            self.on_step("looking for what is left", 0)
            left = find_left(self.tenant_id, self.purge.hosts)
            if not left.total:
                return self._finish(left)
        raise PurgeIncomplete(f'Of "{self.purge.slug}" there is still {left}; run it again when nobody writes for it.')

    def _erase_events(self) -> None:
        erasing.erase(self.tenant_id, on_erased=self._counter("events"))
        _let_readers_end()
        _refuse_rebuild()
        erasing.erase_archived(self.tenant_id, on_erased=self._counter("archived_events"))

    def _delete_rows(self) -> None:
        for model, column in NAMED_IN:
            count, _ = model._default_manager.filter(**{column: str(self.tenant_id)}).delete()
            self._counter(model._meta.db_table)(count)
        for table in reversed(catalogue.tables()):
            if table.name != catalogue.LOG and table.name not in AUDIT:
                self._empty(table)

    def _delete_audit_log(self) -> None:
        """The entries and all that seals them. A purge that is gone on with tells of an empty log nothing."""
        tables = [table for table in catalogue.tables() if table.name in AUDIT]
        with transaction.atomic():
            counts = {table.name: rows.count(table, self.tenant_id) for table in tables}
            if any(counts.values()) or audit_models.Position.objects.filter(chain=self.tenant_id).exists():
                counts[AUDITED] = retention.purge_tenant(tenant_id=self.tenant_id, reason=f"purge {self.purge.id}")
            for name, count in counts.items():
                self._counter(name)(count)

    def _empty(self, table: catalogue.Table) -> None:
        """Delete the tenant's rows of one table, in batches; of trees the leaves first."""
        count = self._counter(table.name)
        with isolation.to_tenant(self.tenant_id):
            for is_leaf_only in (True, False) if table.parents else (False,):
                while self._delete_batch(table, count, is_leaf_only=is_leaf_only):
                    pass

    def _delete_batch(self, table: catalogue.Table, count: Callable[[int], None], *, is_leaf_only: bool) -> int:
        query = sql.SQL(
            "DELETE FROM {table} WHERE ctid IN (SELECT t.ctid FROM {table} t WHERE t.{tenant} = %s {leaf} {limit})"
        ).format(
            table=table.identifier(),
            tenant=sql.Identifier(table.tenant_column),
            leaf=_is_leaf(table) if is_leaf_only else sql.SQL(""),
            # What refers to each other in a circle goes in one statement.
            limit=sql.SQL("LIMIT {}").format(BATCH) if is_leaf_only or not table.parents else sql.SQL(""),
        )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(OPEN, [str(self.tenant_id)])
            cursor.execute(query, [self.tenant_id])
            deleted = int(cursor.rowcount)
            count(deleted)
        failpoints.reach("purge.after_batch")
        return deleted

    def _delete_elsewhere(self) -> None:
        self._counter("files")(files.delete_all(self.tenant_id))
        names = [f"slug:{self.purge.slug}", *(f"host:{host}" for host in self.purge.hosts)]
        resolution.forget(self.tenant_id, names=names)
        self._counter("cache_keys")(caches.delete_keys(self.tenant_id, self.purge.hosts))
        self.purge.counts["bus_emptied"] = caches.empty_bus()
        self.purge.save(update_fields=["counts"])

    def _counter(self, name: str) -> Callable[[int], None]:
        """Counts what is deleted, in the transaction that deletes it."""

        def add(count: int) -> None:
            if count:
                self.purge.counts[name] = self.purge.counts.get(name, 0) + count
                self.purge.save(update_fields=["counts"])
                self.on_step(name, count)

        return add

    def _finish(self, left: Left) -> models.Purge:
        now = timezone.now()
        purge = self.purge
        purge.receipt = _receipt(purge, left, now)
        purge.sha256 = _sha256(purge.receipt)
        purge.signature = _signature(purge.sha256)
        purge.finished_at, purge.hosts, purge.members = now, [], []
        deleted = purge.receipt["deleted"]
        with unit_of_work():
            purge.save()
            append(
                events.TenantPurged(
                    rows=sum(deleted["rows"].values()),
                    events=deleted["events"],
                    files=deleted["files"],
                    receipt_sha256=purge.sha256,
                ),
                tenant_id=outbox_events.PLATFORM,
                aggregate_type=events.PURGE,
                aggregate_id=purge.id,
            )
        return purge


def _let_readers_end() -> None:
    """Wait for consumers that have read events before they were erased: each holds its checkpoint until it is done."""
    with transaction.atomic():
        list(consumers.Checkpoint.objects.select_for_update().order_by("consumer", "generation", "shard"))


def _is_leaf(table: catalogue.Table) -> sql.Composable:
    """AND no row of the same table refers to it."""
    refers = [
        sql.SQL(" AND ").join(
            sql.SQL("child.{} = t.{}").format(sql.Identifier(own), sql.Identifier(other))
            for own, other in zip(parent.columns, parent.target_columns, strict=True)
        )
        for parent in table.parents
    ]
    return sql.SQL("").join(
        sql.SQL("AND NOT EXISTS (SELECT 1 FROM {} child WHERE {}) ").format(table.identifier(), condition)
        for condition in refers
    )


def _receipt(purge: models.Purge, left: Left, now: datetime) -> dict[str, Any]:
    counts = dict(purge.counts)
    beside = {name: counts.pop(name, 0) for name in ("events", "archived_events", "files", "cache_keys")}
    bus_emptied = counts.pop("bus_emptied", False)
    alone = User.objects.filter(id__in=purge.members, memberships=None).order_by("id").values_list("id", flat=True)
    return {
        "format": FORMAT,
        "purge": str(purge.id),
        "tenant": str(purge.purged_id),
        "slug": purge.slug,
        "actor": purge.actor,
        "started_at": purge.started_at.isoformat(),
        "finished_at": now.isoformat(),
        "deleted": {"rows": dict(sorted(counts.items())), **beside, "bus_emptied": bus_emptied},
        "users_without_membership": [str(user_id) for user_id in alone],
        "proof": {
            "tables": left.tables,
            "rows": sum(left.rows.values()),
            "archived_events": left.archived,
            "files": left.files,
            "cache_keys": left.cache_keys,
        },
    }


def _sha256(receipt: Any) -> str:
    return hashlib.sha256(orjson.dumps(receipt, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _signature(sha256: str) -> str:
    return salted_hmac(SALT, sha256, algorithm="sha256").hexdigest()
