"""Runs of importers: how far each came, what it touched, and what it could not take as it stood."""

from __future__ import annotations

import math
from typing import Any

from django.db import models

from apps.accounts.models import User
from apps.kernel import ids
from apps.tenants.constraints import SameTenant, tenant_key
from apps.tenants.models import InTenantForeignKey, TenantModel


class Status(models.TextChoices):
    """`stopped` was cancelled, interrupted or refused on its way, and can be resumed; `running` may have been killed,
    and can be resumed too."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


class Run(TenantModel):
    """One import of one file. `done` of `total` records of it are dealt with; `tally` counts what became of what was in
    them, by kind and outcome. `path` is where the file lies for one that a command reads; others lie in `Piece`s.

    `asked_by` and the fields after it are the context of who asked in the admin; a command has its own.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    format = models.CharField(max_length=32)
    file_name = models.CharField(max_length=255)
    file_digest = models.CharField(max_length=64, help_text="SHA-256 of the file.")
    file_size = models.BigIntegerField()
    path = models.TextField(blank=True)
    options = models.JSONField(default=dict)
    found = models.JSONField(default=dict, help_text="What the first look through the file found.")
    is_dry_run = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    reason = models.TextField(blank=True, help_text="Why it stopped.")
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    tally = models.JSONField(default=dict)
    notes = models.PositiveIntegerField(default=0)
    touched = models.PositiveIntegerField(default=0)
    undone = models.PositiveIntegerField(default=0)
    left = models.PositiveIntegerField(default=0)
    asked_by = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    actor = models.CharField(max_length=80)
    client_address = models.CharField(max_length=64, blank=True)
    correlation_id = models.UUIDField(null=True)
    language = models.CharField(max_length=16, default="en")
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True, help_text="When it is tried again after a failure.")
    undo_asked_at = models.DateTimeField(null=True, help_text="From then on it can only be undone to its end.")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    worked_at = models.DateTimeField(help_text="When it last came further.")
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(help_text="When it is forgotten, and can't be undone any more.")

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [tenant_key("imports_run_tenant_key")]
        indexes = [
            models.Index(
                fields=["tenant", "worked_at"],
                name="imports_run_waiting",
                condition=models.Q(status__in=[Status.QUEUED, Status.RUNNING, Status.UNDOING]),
            ),
            models.Index(fields=["tenant", "expires_at"], name="imports_run_expiring"),
        ]

    def __str__(self) -> str:
        return ids.encode("imp", self.id)

    @property
    def skipped(self) -> int:
        """How many things of the file were not taken."""
        return sum(counts.get("skipped", 0) for counts in self.tally.values())

    @property
    def per_second(self) -> float | None:
        """Records a second since it began; None as long as nobody can tell."""
        seconds = (self.worked_at - self.started_at).total_seconds() if self.started_at else 0
        return self.done / seconds if seconds > 0 and self.done else None

    @property
    def seconds_left(self) -> int | None:
        """How long it will take at that rate; None where it is not at work or nobody can tell."""
        rate = self.per_second
        at_work = self.status in (Status.QUEUED, Status.RUNNING)
        return math.ceil(max(self.total - self.done, 0) / rate) if at_work and rate else None

    def shown(self) -> dict[str, Any]:
        """What a progress bar needs."""
        return {
            "status": self.status,
            "total": self.total,
            "done": self.done,
            "per_second": self.per_second,
            "seconds_left": self.seconds_left,
            "tally": self.tally,
            "notes": self.notes,
            "touched": self.touched,
            "undone": self.undone,
            "left": self.left,
            "reason": self.reason,
        }


class Piece(TenantModel):
    """A part of a file that was sent: it lies where every worker can read it, and row security guards it."""

    run = InTenantForeignKey(Run, related_name="pieces")
    index = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta(TenantModel.Meta):
        ordering = ["index"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "run", "index"], name="imports_piece_once"),
            SameTenant(field="run", name="imports_piece_run"),
        ]


class Entry(TenantModel):
    """An object a run has written: its stream was at `found_version` before, 0 where it is the run's own, and is at
    `version` after. `before` is its state at that time, as its app has dumped it."""

    class Outcome(models.TextChoices):
        KEPT = "", "not undone"
        UNDONE = "undone"
        LATER = "later", "tried again when others are undone"
        LEFT = "left", "left as it is"

    run = InTenantForeignKey(Run, related_name="entries")
    kind = models.CharField(max_length=64)
    object_id = models.UUIDField()
    before = models.JSONField(null=True)
    found_version = models.IntegerField()
    version = models.IntegerField()
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.KEPT, blank=True)
    reason = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "run", "kind", "object_id"], name="imports_entry_once"),
            SameTenant(field="run", name="imports_entry_run"),
        ]
        indexes = [models.Index(fields=["tenant", "object_id", "version"], name="imports_entry_by_object")]


class Problem(TenantModel):
    """One thing that was not taken as it stood. `row` counts data rows or items from 1."""

    run = InTenantForeignKey(Run, related_name="problems")
    row = models.PositiveIntegerField()
    column = models.CharField(max_length=500)
    value = models.CharField(max_length=250, blank=True)
    problem = models.TextField()

    class Meta(TenantModel.Meta):
        ordering = ["id"]
        constraints = [SameTenant(field="run", name="imports_problem_run")]
        indexes = [models.Index(fields=["tenant", "run", "id"], name="imports_problem_of_run")]
