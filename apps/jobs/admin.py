"""Jobs in the admin, readable: how far they are, and what failed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.desk import dashboard
from apps.jobs import models
from apps.tenants.admin import TenantReadOnlyAdmin

_SHOWN = 6


@admin.register(models.Job)
class JobAdmin(TenantReadOnlyAdmin):
    resource = "audit"
    list_display = ("created_at", "tenant", "kind", "status", "progress", "failed", "left", "actor", "finished_at")
    list_filter = ("status", "kind")
    search_fields = ("actor",)
    ordering = ("-id",)
    readonly_fields = ("progress", "left")

    @admin.display(description="progress")
    def progress(self, job: models.Job) -> str:
        return f"{job.done:,} of {job.total:,}"

    @admin.display(description="seconds left")
    def left(self, job: models.Job) -> int | None:
        return job.seconds_left


@admin.register(models.Operation)
class OperationAdmin(TenantReadOnlyAdmin):
    """Those that failed: the others are what they wrote."""

    called = ("failed step of a job", "failed steps of jobs")
    resource = "audit"
    list_display = ("job", "index", "status", "code")
    list_filter = ("status",)
    list_select_related = ("tenant", "job")
    search_fields = ("job__id",)
    ordering = ("-job_id", "index")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).filter(problem__isnull=False)
        return rows

    @admin.display(description="code")
    def code(self, row: models.Operation) -> str:
        return str((row.problem or {}).get("code", ""))


@dashboard.panel(order=50)
def work(request: HttpRequest) -> dashboard.Panel | None:
    """What is being worked on, and what ended last."""
    if not dashboard.may(request, "audit:read"):
        return None
    rows = models.Job.objects.order_by("finished_at", "-id")
    running = list(rows.filter(finished_at=None)[:_SHOWN])
    ended = list(models.Job.objects.exclude(finished_at=None).order_by("-id")[: _SHOWN - len(running)])
    lines = [
        dashboard.Line(
            text=job.kind,
            address=reverse("admin:jobs_job_change", args=[job.pk]),
            remark=f"{job.status}, {job.done:,} of {job.total:,}" + (f", {job.failed:,} failed" if job.failed else ""),
            percent=None if job.finished_at else 100 * job.done // max(job.total, 1),
        )
        for job in (*running, *ended)
    ]
    address = reverse("admin:jobs_job_changelist")
    return dashboard.Panel(
        title="Imports and jobs", lines=lines, address=address, nothing="Nothing is being worked on."
    )
