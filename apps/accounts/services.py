"""Writes about people: users, roles in a tenant, access tokens."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from guardian.shortcuts import assign_perm, get_user_perms, remove_perm

from apps.accounts import models
from apps.audit import recording as audit
from apps.kernel import errors, isolation, validation
from apps.tenants.models import Tenant

ROLE_PERMISSIONS = {
    "owner": {"manage_content", "manage_commerce", "manage_settings"},
    "editor": {"manage_content"},
    "merchandiser": {"manage_commerce"},
}


class WrongCredentials(errors.DomainError):
    """No active account has this e-mail and password."""

    code = "wrong_credentials"
    status = 401
    title = "The e-mail address or the password is wrong"


class Credentials(validation.Input):
    email: validation.ShortText
    password: validation.ShortText


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """The only time the token itself is known."""

    token: str
    expires_at: datetime


def grant_role(*, user: models.User, tenant: Tenant, role: str) -> models.Membership:
    """Make the user a member with this role, replacing an earlier one. Raises ValidationFailed for an unknown role."""
    if role not in ROLE_PERMISSIONS:
        raise errors.ValidationFailed.for_field(
            "/role", "unknown_role", f'"{role}" is not one of {", ".join(ROLE_PERMISSIONS)}.'
        )
    with isolation.to_tenant(tenant.id), transaction.atomic():
        memberships = models.Membership.objects.filter(tenant=tenant, user=user)
        before = memberships.values_list("role", flat=True).first()
        membership, _ = memberships.update_or_create(tenant=tenant, user=user, defaults={"role": role})
        audit.record(
            action="accounts.role.granted",
            tenant_id=tenant.id,
            object_type="user",
            object_id=user.pk,
            before={"role": before},
            after={"role": role},
        )
        wanted, held = ROLE_PERMISSIONS[role], set(get_user_perms(user, tenant))
        for permission in wanted - held:
            assign_perm(permission, user, tenant)
        for permission in held - wanted:
            remove_perm(permission, user, tenant)
    return membership


def issue_token(*, credentials: Credentials, now: datetime) -> IssuedToken:
    """A bearer token for the management API. Raises WrongCredentials."""
    user = authenticate(username=credentials.email.lower(), password=credentials.password)
    if not isinstance(user, models.User):
        _record_failed_login(credentials)
        raise WrongCredentials("No active account has this e-mail and password.")
    token = f"rtk_{secrets.token_urlsafe(32)}"
    expires_at = now + timedelta(hours=settings.TOKEN_LIFETIME_HOURS)
    with transaction.atomic():
        models.AccessToken.objects.filter(user=user, expires_at__lt=now).delete()
        row = models.AccessToken.objects.create(digest=digest(token), user=user, expires_at=expires_at)
        after = {"by": authority_of(row), "expires_at": expires_at}
        audit.record(
            action="accounts.login.succeeded", tenant_id=None, object_type="user", object_id=user.pk, after=after
        )
    return IssuedToken(token, expires_at)


def revoke_token(*, token: str) -> None:
    """Idempotent."""
    with transaction.atomic():
        row = models.AccessToken.objects.filter(digest=digest(token)).select_related("user").first()
        if row is not None:
            before = {"by": authority_of(row)}
            row.delete()
            audit.record(
                action="accounts.login.ended", tenant_id=None, object_type="user", object_id=row.user_id, before=before
            )


def _record_failed_login(credentials: Credentials) -> None:
    """By the account where there is one: an address that was typed in is nobody's id, and may be a password."""
    user_id = models.User.objects.filter(email=credentials.email.lower()).values_list("pk", flat=True).first()
    with transaction.atomic():
        audit.record(action="accounts.login.failed", tenant_id=None, object_type="user", object_id=user_id or "unknown")


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def authority_of(token: models.AccessToken) -> str:
    """By what right its bearer acts: names the token without telling it, for the audit log."""
    return f"token:{token.digest[:16]}"
