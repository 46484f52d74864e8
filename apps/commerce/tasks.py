"""Celery's share of commerce: a nudge that drains, right if it runs zero, one or many times at once."""

from __future__ import annotations

from django.utils import timezone

from apps.commerce import models, services
from apps.kernel import context
from apps.kernel.tasks import platform_task
from apps.tenants import queries, scope


@platform_task("commerce.expire_reservations")
def expire_reservations() -> int:
    """Take back what was promised for a time that is over, in every tenant; returns how many reservations ended."""
    now = timezone.now()
    due = models.Reservation.objects.filter(status="active", expires_at__lte=now)
    expired = 0
    for tenant_id in list(due.order_by("tenant_id").values_list("tenant_id", flat=True).distinct()):
        tenant = queries.get_tenant(slug_or_id=str(tenant_id))
        with scope.use(queries.scope_of(tenant)), context.use(actor="task:commerce.expire_reservations"):
            expired += services.expire_reservations(now=now)
    return expired
