"""Writes about people: users, roles in a tenant, access tokens."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from guardian.shortcuts import assign_perm, get_user_perms, remove_perm

from apps.accounts import models
from apps.kernel import errors, validation
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
    with transaction.atomic():
        membership, _ = models.Membership.objects.update_or_create(tenant=tenant, user=user, defaults={"role": role})
        wanted, held = ROLE_PERMISSIONS[role], set(get_user_perms(user, tenant))
        for permission in wanted - held:
            assign_perm(permission, user, tenant)
        for permission in held - wanted:
            remove_perm(permission, user, tenant)
    return membership


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is known elsewhere, by e-mail."""

    id: uuid.UUID
    email: str
    name: str


def ensure_people(people: Sequence[Person]) -> tuple[dict[str, uuid.UUID], list[str]]:
    """The ids of users by their e-mail, and the e-mails of those who had to be made.

    A new user gets the id given, unless another one has it, and no password until it is reset.
    """
    emails = [person.email for person in people]
    known = dict(models.User.objects.filter(email__in=emails).values_list("email", "id"))
    taken = set(models.User.objects.filter(id__in=[person.id for person in people]).values_list("id", flat=True))
    new = [person for person in people if person.email not in known]
    for person in new:
        own = {} if person.id in taken else {"id": person.id}
        user = models.User.objects.create_user(person.email, None, name=person.name, **own)
        known[user.email] = user.id
    return known, [person.email for person in new]


def restore_grants(*, tenant: Tenant) -> None:
    """Give every member of the tenant what their role grants, after memberships were brought in as rows."""
    for membership in tenant.memberships.select_related("user"):
        grant_role(user=membership.user, tenant=tenant, role=membership.role)


def issue_token(*, credentials: Credentials, now: datetime) -> IssuedToken:
    """A bearer token for the management API. Raises WrongCredentials."""
    user = authenticate(username=credentials.email.lower(), password=credentials.password)
    if not isinstance(user, models.User):
        raise WrongCredentials("No active account has this e-mail and password.")
    token = f"rtk_{secrets.token_urlsafe(32)}"
    expires_at = now + timedelta(hours=settings.TOKEN_LIFETIME_HOURS)
    models.AccessToken.objects.filter(user=user, expires_at__lt=now).delete()
    models.AccessToken.objects.create(digest=digest(token), user=user, expires_at=expires_at)
    return IssuedToken(token, expires_at)


def revoke_token(*, token: str) -> None:
    """Idempotent."""
    models.AccessToken.objects.filter(digest=digest(token)).delete()


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
