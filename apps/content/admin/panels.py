"""The site on the dashboard: how much of it is published, and what changed last."""

from __future__ import annotations

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.access import limiting
from apps.accounts.desk import dashboard
from apps.content import kinds, models, permitted
from apps.kernel import text
from apps.tenants import modules, scope

_SHOWN, _SHOWN_SIGNS = 6, 60


def _readable() -> QuerySet[models.Node]:
    rows = models.Node.objects.all()
    return rows if scope.find() is None else limiting.among(rows, "nodes:read", permitted.COLUMNS)


@dashboard.panel(order=30)
def site(request: HttpRequest) -> dashboard.Panel | None:
    """Nodes by status, in one query."""
    if modules.are_off(modules.owners_of_package(models.__name__)) or not dashboard.may(request, "nodes:read"):
        return None
    rows = _readable().exclude(kind__in=[kinds.COMMENT, kinds.ATTACHMENT])
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


@dashboard.panel(order=40)
def comments(request: HttpRequest) -> dashboard.Panel | None:
    """What people have written and nobody has looked at yet; nothing where there are no comments at all."""
    if modules.are_off(modules.owners_of_package(models.__name__)) or not dashboard.may(request, "nodes:update"):
        return None
    rows = _readable().filter(kind=kinds.COMMENT)
    counted = rows.aggregate(
        all=Count("pk"),
        waiting=Count("pk", filter=Q(status=models.Status.DRAFT)),
        spam=Count("pk", filter=Q(is_spam=True)),
    )
    if not counted["all"]:
        return None
    address = f"{reverse('admin:content_node_changelist')}?kind__exact={kinds.COMMENT}"
    waiting = (
        rows.filter(status=models.Status.DRAFT).order_by("-id").prefetch_related("translations", "bodies")[:_SHOWN]
    )
    return dashboard.Panel(
        title="Comments",
        figures=[
            dashboard.Figure(
                label="waiting",
                value=f"{counted['waiting']:,}",
                address=f"{address}&status__exact={models.Status.DRAFT}",
            ),
            dashboard.Figure(label="all", value=f"{counted['all']:,}", address=address),
            dashboard.Figure(label="spam", value=f"{counted['spam']:,}", address=f"{address}&is_spam__exact=1"),
        ],
        lines=[
            dashboard.Line(
                text=str(row), address=reverse("admin:content_node_change", args=[row.pk]), remark=_said(row)
            )
            for row in waiting
        ],
        address=address,
        nothing="Nothing waits.",
    )


def _said(comment: models.Node) -> str:
    """The beginning of a comment."""
    words = next((text.to_plain_text(body.body) for body in comment.bodies.all()), "")
    return words if len(words) <= _SHOWN_SIGNS else f"{words[:_SHOWN_SIGNS]}…"
