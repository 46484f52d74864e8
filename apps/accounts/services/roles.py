"""Roles in a tenant, and the permissions that come with them."""

from __future__ import annotations

from django.db import transaction
from guardian.shortcuts import assign_perm, get_user_perms, remove_perm

from apps.accounts import models
from apps.kernel import errors
from apps.tenants.models import Tenant

ROLE_PERMISSIONS = {
    "owner": {"manage_content", "manage_commerce", "manage_settings"},
    "editor": {"manage_content"},
    "merchandiser": {"manage_commerce"},
}


def grant_role(*, user: models.User, tenant: Tenant, role: str) -> models.Membership:
    """Make the user a member with this role, replacing an earlier one. Raises ValidationFailed for an unknown role."""
    if role not in ROLE_PERMISSIONS:
        raise errors.ValidationFailed.for_field(
            "/role", "unknown_role", f'"{role}" is not one of {", ".join(ROLE_PERMISSIONS)}.'
        )
    with transaction.atomic():
        membership, _ = models.Membership.objects.update_or_create(tenant=tenant, user=user, defaults={"role": role})
        wanted, held = ROLE_PERMISSIONS[role], set(get_user_perms(user, tenant))
        for permission in wanted - held:
            assign_perm(permission, user, tenant)
        for permission in held - wanted:
            remove_perm(permission, user, tenant)
    return membership
