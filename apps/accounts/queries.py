"""Reads about people."""

from __future__ import annotations

import uuid

from apps.accounts import models
from apps.kernel import isolation

STOCK_ROLES = ("owner", "merchandiser")


def emails_of_stock_managers(*, tenant_id: uuid.UUID) -> list[str]:
    """The addresses of the active members who look after a tenant's stock."""
    with isolation.to_tenant(tenant_id):
        rows = models.Membership.objects.filter(tenant_id=tenant_id, role__in=STOCK_ROLES, user__is_active=True)
        return list(rows.order_by("user__email").values_list("user__email", flat=True))
