"""Jobs: many operations that were asked for in one request and are carried out afterwards."""

from __future__ import annotations

import math

from django.db import models

from apps.accounts.models import User
from apps.kernel import ids
from apps.tenants.constraints import SameTenant, tenant_key
from apps.tenants.models import InTenantForeignKey, TenantModel


class Status(models.TextChoices):
    """`failed` is done to the end, with operations that failed; `interrupted` could not go on."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Job(TenantModel):
    """`actor` and the fields after it are the context of the request, in which the operations are carried out.

    `done` counts the operations with an outcome, `failed` those of them that were refused. `attempts` counts how often
    it was taken up since the last outcome.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    kind = models.CharField(max_length=64)
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    reason = models.TextField(blank=True, help_text="Why it was interrupted.")
    asked_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    actor = models.CharField(max_length=80)
    authority = models.CharField(max_length=80, blank=True)
    client_address = models.CharField(max_length=64, blank=True)
    correlation_id = models.UUIDField(null=True)
    origin = models.CharField(max_length=300, blank=True)
    language = models.CharField(max_length=16)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    worked_at = models.DateTimeField(help_text="When it had its last outcome; until then when it was asked for.")
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True, help_text="When it is deleted; only what is finished is.")

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [tenant_key("jobs_job_tenant_key")]
        indexes = [
            models.Index(fields=["tenant", "worked_at"], name="jobs_job_waiting", condition=models.Q(finished_at=None)),
            models.Index(fields=["tenant", "expires_at"], name="jobs_job_expiring"),
        ]

    def __str__(self) -> str:
        return ids.encode("job", self.id)

    @property
    def per_second(self) -> float | None:
        """Operations a second since it began; None as long as nobody can tell."""
        seconds = (self.worked_at - self.started_at).total_seconds() if self.started_at else 0
        return self.done / seconds if seconds > 0 else None

    @property
    def seconds_left(self) -> int | None:
        """How long it will take at that rate; None where it has ended or nobody can tell."""
        rate = self.per_second
        return None if self.finished_at or not rate else math.ceil((self.total - self.done) / rate)


class Operation(TenantModel):
    """One operation of a job, as it was sent, and what became of it: without a `status` nothing has yet."""

    job = InTenantForeignKey(Job, related_name="operations")
    index = models.PositiveIntegerField()
    given = models.JSONField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    written_id = models.CharField(max_length=64, blank=True)
    problem = models.JSONField(null=True)

    class Meta(TenantModel.Meta):
        ordering = ["index"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "job", "index"], name="jobs_operation_once"),
            SameTenant(field="job", name="jobs_operation_job"),
        ]

    def __str__(self) -> str:
        return f"operation {self.index}"
