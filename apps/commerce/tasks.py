"""Celery's share of commerce: a nudge that drains, right if it runs zero, one or many times at once."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from apps.commerce import models, services
from apps.kernel import context, isolation
from apps.tenants import queries, scope


@shared_task(name="commerce.expire_reservations", ignore_result=True)
def expire_reservations() -> int:
    """Take back what was promised for a time that is over, in every tenant; returns how many reservations ended."""
    now = timezone.now()
    with isolation.all_tenants(reason="expire reservations"):
        due = models.Reservation.objects.filter(status="active", expires_at__lte=now)
        tenant_ids = list(due.order_by("tenant_id").values_list("tenant_id", flat=True).distinct())
        scopes = [queries.scope_of(queries.get_tenant(slug_or_id=str(tenant_id))) for tenant_id in tenant_ids]
    expired = 0
    for at_work in scopes:
        with scope.use(at_work), context.use(actor="task:commerce.expire_reservations"):
            expired += services.expire_reservations(now=now)
    return expired
