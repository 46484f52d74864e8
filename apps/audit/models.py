"""Entries, what of them is personal, and the chain of seals over them."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Self

import orjson
from django.db import models

from apps.kernel import ids, isolation

# The chain of what was done to the installation and not to a tenant.
PLATFORM_CHAIN = uuid.UUID(int=0)


class NobodysEntries(RuntimeError):
    """Entries were asked for outside a tenant's scope."""


class EntryManager[M: models.Model](models.Manager[M]):
    """Sees the entries of the tenant shown, or all within `isolation.all_tenants`; else raises NobodysEntries."""

    def get_queryset(self) -> models.QuerySet[M]:
        rows = super().get_queryset()
        if isolation.shows_all():
            return rows
        if not isolation.shown():
            raise NobodysEntries("the audit log is read in a tenant's scope, or in isolation.all_tenants(reason=...)")
        return rows.filter(tenant_id=isolation.shown())


class Entry(models.Model):
    """One thing somebody did. Never changed, and deleted only with a whole tenant or a whole beginning of the log.

    `tenant_id` is null for what concerns the installation. `changes` is the JSON text that was hashed:
    `{field: [before, after]}`. `personal_digest` binds the row of Personal without which the entry still verifies.
    A column of the database alone, `xid`, tells the sealer which transaction wrote it.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    tenant_id = models.UUIDField(null=True)
    occurred_at = models.DateTimeField()
    actor = models.TextField()
    authority = models.TextField(default="", blank=True)
    action = models.TextField()
    object_type = models.TextField()
    object_id = models.TextField(default="", blank=True)
    changes = models.TextField(default="{}")
    correlation_id = models.UUIDField(null=True)
    personal_digest = models.BinaryField(default=b"")
    hash = models.BinaryField()

    objects: ClassVar[models.Manager[Self]] = EntryManager()

    class Meta:
        ordering = ["-occurred_at", "-id"]
        verbose_name_plural = "entries"
        indexes = [
            models.Index(fields=["tenant_id", "occurred_at", "id"], name="audit_entry_time"),
            models.Index(fields=["tenant_id", "object_id", "occurred_at"], name="audit_entry_object"),
            models.Index(fields=["tenant_id", "actor", "occurred_at"], name="audit_entry_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_id}"

    @property
    def chain(self) -> uuid.UUID:
        return self.tenant_id or PLATFORM_CHAIN

    def read_changes(self) -> dict[str, Any]:
        """`{field: [before, after]}`."""
        found: dict[str, Any] = orjson.loads(self.changes)
        return found


class Personal(models.Model):
    """What of an entry is about a person and can be erased: the address of the client, and personal fields' values."""

    entry_id = models.UUIDField(primary_key=True)
    tenant_id = models.UUIDField(null=True)
    client_address = models.TextField(default="", blank=True)
    changes = models.TextField(default="{}")
    salt = models.BinaryField()

    objects: ClassVar[models.Manager[Self]] = EntryManager()


class Position(models.Model):
    """The place of an entry in its tenant's chain, dense from 1; `mac` binds place and entry with the key.

    `chain` is the tenant's id, or PLATFORM_CHAIN. It is not called tenant_id, because here are only hashes, and those
    who read them work over all tenants.
    """

    pk = models.CompositePrimaryKey("chain", "sequence")
    chain = models.UUIDField()
    sequence = models.BigIntegerField()
    entry_id = models.UUIDField(unique=True)
    mac = models.BinaryField()
    key_id = models.TextField()


class Seal(models.Model):
    """A run of entries of a chain under one keyed hash, which covers the seal before too. `number` is dense from 1.

    `ordinal` counts seals over all chains in the order they were made.
    """

    pk = models.CompositePrimaryKey("chain", "number")
    chain = models.UUIDField()
    number = models.BigIntegerField()
    ordinal = models.BigIntegerField(unique=True)
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    previous = models.BinaryField()
    seal = models.BinaryField()
    key_id = models.TextField()
    sealed_at = models.DateTimeField()

    @property
    def count(self) -> int:
        return int(self.last - self.first + 1)


class Anchor(models.Model):
    """The last seal of a beginning that was dropped because of its age: what is left goes on from here."""

    pk = models.CompositePrimaryKey("chain", "number")
    chain = models.UUIDField()
    number = models.BigIntegerField()
    last = models.BigIntegerField()
    seal = models.BinaryField()
    mac = models.BinaryField()
    key_id = models.TextField()
    pruned_at = models.DateTimeField()
