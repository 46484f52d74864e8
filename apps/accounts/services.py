"""Writes about people: their access tokens. Roles and members: `apps.accounts.access`."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction

from apps.accounts import models
from apps.accounts.access.members import grant_role  # noqa: F401 - part of this door
from apps.audit import recording as audit
from apps.kernel import errors, validation


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
