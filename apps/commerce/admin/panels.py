"""The catalogue on the dashboard: how much of it is published, what runs low, what changed last."""

from __future__ import annotations

from django.db.models import Count, F, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.access import limiting
from apps.accounts.desk import dashboard
from apps.commerce import models, permitted
from apps.tenants import modules, scope

_SHOWN = 6


@dashboard.panel(order=10)
def catalogue(request: HttpRequest) -> dashboard.Panel | None:
    """Products by status, in one query."""
    if not _is_shown(request, "products:read"):
        return None
    rows = _products()
    counts = rows.aggregate(**{status: Count("pk", filter=Q(status=status)) for status in models.Product.Status.values})
    address = reverse("admin:commerce_product_changelist")
    figures = [
        dashboard.Figure(label=status, value=f"{count:,}", address=f"{address}?status__exact={status}")
        for status, count in counts.items()
    ]
    changed = rows.order_by("-updated_at", "-id").prefetch_related("translations")[:_SHOWN]
    lines = [
        dashboard.Line(
            text=str(row), address=reverse("admin:commerce_product_change", args=[row.pk]), remark=row.status
        )
        for row in changed
    ]
    steps = []
    if scope.find() is not None and dashboard.may(request, "products:create"):
        steps.append(dashboard.Step(label="New product", address=reverse("admin:commerce_product_add")))
    return dashboard.Panel(
        title="Products", figures=figures, lines=lines, steps=steps, address=address, nothing="No product yet."
    )


@dashboard.panel(order=20)
def low_stock(request: HttpRequest) -> dashboard.Panel | None:
    """What is at or below its threshold, or is gone where none is set and none is sold beyond it; the lowest first."""
    if not _is_shown(request, "inventory:read") or not dashboard.may(request, "products:read"):
        return None
    available = F("stocked") - F("reserved")
    levels = models.InventoryLevel.objects.filter(
        Q(low_stock_threshold__isnull=False, stocked__lte=F("low_stock_threshold") + F("reserved"))
        | Q(low_stock_threshold__isnull=True, stocked__lte=F("reserved"), variant__inventory_policy="deny"),
        variant__manage_inventory=True,
        variant__product__in=_products().exclude(status="archived").values("pk"),
    )
    low = levels.annotate(available=available).select_related("variant", "location").order_by("available", "id")
    found = list(low.prefetch_related("variant__product__translations")[: _SHOWN + 1])
    lines = [
        dashboard.Line(
            text=" · ".join(filter(None, [str(level.variant.product), level.variant.sku])),
            address=reverse("admin:commerce_product_change", args=[level.variant.product_id]),
            remark=f"{level.available:,} at {level.location.code}",
        )
        for level in found[:_SHOWN]
    ]
    more = "There are more than these." if len(found) > _SHOWN else ""
    return dashboard.Panel(title="Low stock", lines=lines, nothing=more or "Nothing runs low.")


def _is_shown(request: HttpRequest, permission: str) -> bool:
    return not modules.are_off(modules.owners_of_package(models.__name__)) and dashboard.may(request, permission)


def _products() -> QuerySet[models.Product, models.Product]:
    """Those whoever asks may see; on a host of no tenant all."""
    if scope.find() is None:
        return models.Product.objects.all()
    return limiting.among(models.Product.objects.all(), "products:read", permitted.COLUMNS)
