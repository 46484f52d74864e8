"""The installation on the dashboard, for the platform's own staff: its tenants, and how far behind its readers are."""

from __future__ import annotations

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.desk import dashboard
from apps.consumers import status
from apps.kernel import isolation
from apps.tenants import models, scope

_WORRYING_SECONDS = 10
_SHOWN = 8


@dashboard.panel(order=5)
def tenants(request: HttpRequest) -> dashboard.Panel | None:
    """On a host of no tenant: how many there are, and the newest."""
    if scope.find() is not None or not isolation.shows_all():
        return None
    counts = models.Tenant.objects.aggregate(active=Count("pk", filter=Q(is_active=True)), all=Count("pk"))
    address = reverse("admin:tenants_tenant_changelist")
    figures = [
        dashboard.Figure(label="active", value=f"{counts['active']:,}", address=f"{address}?is_active__exact=1"),
        dashboard.Figure(
            label="switched off",
            value=f"{counts['all'] - counts['active']:,}",
            address=f"{address}?is_active__exact=0",
        ),
    ]
    lines = [
        dashboard.Line(
            text=tenant.name, address=reverse("admin:tenants_tenant_change", args=[tenant.pk]), remark=tenant.slug
        )
        for tenant in models.Tenant.objects.order_by("-created_at")[:_SHOWN]
    ]
    return dashboard.Panel(title="Tenants", figures=figures, lines=lines, address=address, nothing="No tenant yet.")


@dashboard.panel(order=60)
def events(request: HttpRequest) -> dashboard.Panel | None:
    """How long what is written takes to be seen, and what is parked."""
    if not request.user.has_perm("consumers.operate_events"):
        return None
    found = status.status()
    behind = max((consumer["lag_seconds"] for consumer in found["consumers"]), default=0.0)
    parked = sum(consumer["parked"] for consumer in found["consumers"])
    address = reverse("admin:consumers_consumer_changelist")
    figures = [
        dashboard.Figure(
            label="seconds behind",
            value=f"{behind:.1f}",
            address=address,
            mood="bad" if behind > _WORRYING_SECONDS else "good",
        ),
        dashboard.Figure(
            label="parked",
            value=f"{parked:,}",
            address=reverse("admin:consumers_parked_changelist"),
            mood="bad" if parked else "good",
        ),
        dashboard.Figure(label="events", value=f"{found['head']:,}"),
    ]
    return dashboard.Panel(title="Events", figures=figures, address=address)
