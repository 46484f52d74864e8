"""Tenants, and the base every tenant-owned table stands on."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models

from apps.kernel import ids, isolation
from apps.tenants import scope


class Tenant(models.Model):
    """One customer of the installation: a shop, a site, or both, unrelated to all others."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=255)
    default_locale = models.CharField(max_length=10, default="en")
    currency = models.CharField(max_length=3, default="USD", help_text="ISO 4217 code of prices given without one.")
    is_active = models.BooleanField(default=True)
    suspended_at = models.DateTimeField(null=True, editable=False)
    suspended_reason = models.CharField(max_length=255, blank=True, editable=False)
    settings = models.JSONField(default=dict, blank=True)
    limits = models.JSONField(
        default=dict, blank=True, help_text="Rate limits of its plan in place of the installation's."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Domain(models.Model):
    """A host name that leads to the tenant; lower case, without port."""

    host = models.CharField(max_length=253, primary_key=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="domains")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.host


class TenantLocale(models.Model):
    """A language the tenant publishes in, beside its default one."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="locales")
    locale = models.CharField(max_length=10)
    name = models.CharField(max_length=100, blank=True)
    is_enabled = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "locale"], name="tenants_locale_once_per_tenant"),
        ]

    def __str__(self) -> str:
        return self.locale


class TenantModule(models.Model):
    """What a tenant has chosen about a module; without a row the module's default holds."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="modules")
    slug = models.CharField(max_length=64)
    is_enabled = models.BooleanField()
    settings = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="tenants_module_once_per_tenant"),
        ]

    def __str__(self) -> str:
        return self.slug


class Purge(models.Model):
    """The end of a tenant, under way or done. It outlives the tenant, and is the only place that still names it.

    `counts` is what was deleted so far, kept in the transaction of each batch; `receipt` is what was proved at the end,
    `sha256` its checksum and `signature` that of this installation. `hosts` and `members` are forgotten then.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    purged_id = models.UUIDField()
    slug = models.CharField(max_length=64)
    actor = models.TextField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)
    hosts = models.JSONField(default=list)
    members = models.JSONField(default=list)
    receipt = models.JSONField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    signature = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["purged_id"], condition=models.Q(finished_at=None), name="tenants_one_purge_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"purge of {self.slug}"


class TenantManager[M: models.Model](models.Manager[M]):
    """Sees the rows of the tenant in scope, or of all within `isolation.all_tenants`; else raises NoTenantScope."""

    use_in_migrations = False

    def get_queryset(self) -> models.QuerySet[M]:
        rows = super().get_queryset()
        return rows if isolation.shows_all() else rows.filter(tenant_id=scope.current_id())


class TenantModel(models.Model):
    """Base of every tenant-owned table. New rows belong to the tenant in scope."""

    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.DO_NOTHING,
        default=scope.current_id,
        db_index=False,  # every index of a tenant table leads with the tenant
        related_name="+",
        editable=False,
    )

    objects: ClassVar[models.Manager[Self]] = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"


class IdempotencyRecord(TenantModel):
    """What a write was answered with, for whoever sends it again with the same key.

    `actor` is who sent it, as the context names them; `fingerprint` is the SHA-256 of what was sent.
    """

    actor = models.CharField(max_length=80)
    method = models.CharField(max_length=8)
    path = models.TextField()
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "actor", "key", "method", "path"], name="tenants_idempotency_once"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "created_at"], name="tenants_idempotency_old")]

    def __str__(self) -> str:
        return self.key


class FieldSchema(TenantModel):
    """The fields that a tenant has added to one kind of node or one type of product, as a JSON Schema."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    subject = models.CharField(max_length=16)
    name = models.CharField(max_length=255)
    definition = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["tenant", "subject", "name"], name="tenants_field_schema_once"),
        ]
        indexes = [models.Index(fields=["tenant", "id"], name="tenants_field_schema_list")]

    def __str__(self) -> str:
        return f"{self.subject} {self.name}"


def loaded_words(row: models.Model, field: str) -> str:
    """The text of a translated row where its translations are prefetched: a name for it that asks no query.

    In the default locale of the tenant in scope, else in the first one; empty when nothing is loaded.
    """
    loaded: dict[str, Any] = getattr(row, "_prefetched_objects_cache", {})
    at_work = scope.find()
    default = at_work.default_locale if at_work else ""
    translations = sorted(loaded.get("translations", ()), key=lambda entry: (entry.locale != default, entry.locale))
    return str(getattr(translations[0], field)) if translations else ""


class InTenantForeignKey(models.ForeignKey[Any, Any]):
    """A reference within the tenant: the database constraint is the model's SameTenant, which also acts on delete.

    No index of its own: the tenant-leading uniques and indexes of the model serve it.
    """

    def __init__(self, to: Any, **options: Any) -> None:
        options |= {"on_delete": models.DO_NOTHING, "db_constraint": False, "db_index": False}
        super().__init__(to, **options)
