"""API keys: what a machine comes in with, in one tenant, for as long as somebody there answers for it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.accounts.models.people import User
from apps.kernel import ids
from apps.tenants.models import TenantModel


class ApiKey(TenantModel):
    """May do what its scopes say and its creator may do at the time of use. Only a digest of it is stored."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    name = models.CharField(max_length=255)
    prefix = models.CharField(max_length=64, help_text="The beginning of the key, to know it by.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the key, in hex.")
    scopes = ArrayField(models.CharField(max_length=64))
    addresses = ArrayField(
        models.CharField(max_length=64), default=list, help_text="Networks it may be used from; empty for any."
    )
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="accounts_apikey_tenant_key")]

    def __str__(self) -> str:
        return f"{self.prefix}…"
