"""The site on the dashboard: how much of it is published, and what changed last."""

from __future__ import annotations

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.access import limiting
from apps.accounts.desk import dashboard
from apps.content import models, permitted
from apps.tenants import modules, scope

_SHOWN = 6


@dashboard.panel(order=30)
def site(request: HttpRequest) -> dashboard.Panel | None:
    """Nodes by status, in one query."""
    if modules.are_off(modules.owners_of_package(models.__name__)) or not dashboard.may(request, "nodes:read"):
        return None
    rows = models.Node.objects.all()
    if scope.find() is not None:
        rows = limiting.among(rows, "nodes:read", permitted.COLUMNS)
    counts = rows.aggregate(**{status: Count("pk", filter=Q(status=status)) for status in models.Status.values})
    address = reverse("admin:content_node_changelist")
    figures = [
        dashboard.Figure(label=status, value=f"{count:,}", address=f"{address}?status__exact={status}")
        for status, count in counts.items()
    ]
    changed = rows.order_by("-updated_at", "-id").prefetch_related("translations")[:_SHOWN]
    lines = [
        dashboard.Line(
            text=str(row),
            address=reverse("admin:content_node_change", args=[row.pk]),
            remark=f"{row.kind}, {row.status}",
        )
        for row in changed
    ]
    steps = []
    if scope.find() is not None:
        steps.append(dashboard.Step(label="Tree", address=reverse("admin:content_node_tree")))
        if dashboard.may(request, "nodes:create"):
            steps.append(dashboard.Step(label="New page", address=reverse("admin:content_node_add") + "?kind=page"))
            steps.append(dashboard.Step(label="New post", address=reverse("admin:content_node_add") + "?kind=post"))
    return dashboard.Panel(
        title="Pages and posts",
        figures=figures,
        lines=lines,
        steps=steps,
        address=address,
        nothing="Nothing is written yet.",
    )
