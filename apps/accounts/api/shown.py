"""Accounts, sessions and tokens as JSON."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from apps.accounts import models, services
from apps.kernel import ids, validation
from apps.kernel.operations import Id, Moment, one_of


class Tokens(TypedDict):
    """The access token is good for `expires_in` seconds, the refresh token for one next pair."""

    access_token: str
    refresh_token: str
    token_type: Annotated[str, one_of("Bearer")]
    expires_in: int


class User(TypedDict):
    id: Id
    email: str
    name: str
    is_superuser: bool
    email_verified: bool


class StaffLogin(Tokens):
    user: User


class Customer(TypedDict):
    id: Id
    email: str
    name: str
    created_at: Moment


class CustomerLogin(Tokens):
    customer: Customer


class Session(TypedDict):
    """A login; `current` is the one the request came with."""

    id: Id
    address: str | None
    user_agent: str
    created_at: Moment
    last_used_at: Moment
    expires_at: Moment
    current: bool


class Sessions(TypedDict):
    data: list[Session]


class PastSession(Session):
    """A session that may be over."""

    revoked_at: Moment | None
    revoked_because: str


class LoginHistory(TypedDict):
    data: list[PastSession]


class Mailed(TypedDict):
    """What is on its way, if there is such an account."""

    detail: str


class Joined(TypedDict):
    tenant: str
    role: str


class Enrolment(TypedDict):
    """The secret of an authenticator app, and the same as an otpauth: URI."""

    secret: str
    uri: str


class RecoveryCodes(TypedDict):
    """Each is good for one login without the app."""

    recovery_codes: list[str]


def tokens(issued: services.Tokens) -> Tokens:
    return {
        "access_token": issued.access_token,
        "refresh_token": issued.refresh_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
    }


def user(row: models.User) -> User:
    return {
        "id": ids.encode("user", row.pk),
        "email": row.email,
        "name": row.name,
        "is_superuser": row.is_superuser,
        "email_verified": row.email_verified_at is not None,
    }


def customer(row: models.Customer) -> Customer:
    return {
        "id": ids.encode("cust", row.pk),
        "email": row.email,
        "name": row.name,
        "created_at": validation.to_text(row.created_at),
    }


def session(row: Any, current: Any) -> Session:
    return {
        "id": ids.encode("sess", row.pk),
        "address": row.address,
        "user_agent": row.user_agent,
        "created_at": validation.to_text(row.created_at),
        "last_used_at": validation.to_text(row.last_used_at),
        "expires_at": validation.to_text(row.expires_at),
        "current": row.pk == current.pk,
    }


def login(row: Any, current: Any) -> PastSession:
    """A session that may be over."""
    return {
        **session(row, current),
        "revoked_at": validation.to_text(row.revoked_at) if row.revoked_at else None,
        "revoked_because": row.revoked_because,
    }
