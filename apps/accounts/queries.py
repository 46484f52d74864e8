"""Reads about people."""

from __future__ import annotations

import uuid

from django.db.models import Q

from apps.accounts import models
from apps.accounts.access import matrix
from apps.kernel import errors, ids, isolation, validation, wording

STOCK = ("inventory:update", "inventory:manage")


class UserNotFound(errors.NotFound):
    """No account has this e-mail address. Check its spelling."""

    code = "user_not_found"


def get_user(*, email: str) -> models.User:
    """Raises UserNotFound."""
    user = models.User.objects.filter(email=validation.find_email(email)).first()
    if user is None:
        raise UserNotFound(wording.say('There is no account with the e-mail address "{email}".', email=email))
    return user


class CustomerNotFound(errors.NotFound):
    """The tenant has no such customer. List its customers."""

    code = "customer_not_found"


def get_customer(customer_id: uuid.UUID) -> models.Customer:
    """Raises CustomerNotFound."""
    customer = models.Customer.objects.filter(id=customer_id).first()
    if customer is None:
        raise CustomerNotFound(
            wording.say('There is no customer "{customer}".', customer=ids.encode("cust", customer_id))
        )
    return customer


def emails_of_stock_managers(*, tenant_id: uuid.UUID) -> list[str]:
    """The addresses of the active members who look after a tenant's stock."""
    by_system = Q(roles__system_role__in=matrix.granting(STOCK[0]))
    by_own = Q(roles__role__grants__permission__in=STOCK)
    rows = models.Membership.objects.filter(by_system | by_own, tenant_id=tenant_id, user__is_active=True)
    with isolation.to_tenant(tenant_id):
        return list(rows.order_by("user__email").values_list("user__email", flat=True).distinct())
