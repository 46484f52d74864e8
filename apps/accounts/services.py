"""Writes about people: their access tokens. Roles and members: `apps.accounts.access`."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import authenticate

from apps.accounts import models
from apps.accounts.access.members import grant_role  # noqa: F401 - part of this door
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
