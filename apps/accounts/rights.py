"""What somebody may do in a tenant, as a set of `resource:action`: the one place that keys and scopes ask."""

from __future__ import annotations

from collections.abc import Iterable

from guardian.shortcuts import get_user_perms

from apps.accounts import models
from apps.accounts.access.catalogue import ACTIONS, PERMISSIONS
from apps.accounts.services.roles import ROLE_PERMISSIONS
from apps.tenants.models import Tenant

# What the permissions on a tenant stand for in the words of the catalogue.
MANAGED = {
    "manage_content": ("posts", "pages", "nodes", "media", "comments"),
    "manage_commerce": ("products", "categories", "orders", "customers", "inventory", "discounts"),
    "manage_settings": ("users", "tenants", "modules", "settings", "analytics", "logs", "webhooks"),
}


def rights_of(*, user: models.User, tenant: Tenant) -> frozenset[str]:
    """Everything the user may do in the tenant now."""
    if not user.is_active:
        return frozenset()
    if user.is_superuser:
        return PERMISSIONS
    return _spelled_out(get_user_perms(user, tenant))


def rights_of_role(role: str) -> frozenset[str]:
    """Everything a role lets its holder do."""
    return _spelled_out(ROLE_PERMISSIONS[role])


def scopes_cover(scopes: frozenset[str] | None, required: str) -> bool:
    """Whether a request limited to the scopes may use a permission on the tenant, such as `tenants.manage_content`."""
    name = required.rpartition(".")[2]
    needed = {f"{resource}:manage" for resource in MANAGED.get(name, ())}
    return scopes is None or (bool(needed) and needed <= scopes)


def _spelled_out(names: Iterable[str]) -> frozenset[str]:
    return frozenset(
        f"{resource}:{action}" for name in names for resource in MANAGED.get(name, ()) for action in ACTIONS
    )
