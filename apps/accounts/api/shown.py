"""Accounts, sessions and tokens as JSON."""

from __future__ import annotations

from typing import Any

from apps.accounts import models, services
from apps.kernel import ids, validation


def tokens(issued: services.Tokens) -> dict[str, Any]:
    return {
        "access_token": issued.access_token,
        "refresh_token": issued.refresh_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
    }


def user(row: models.User) -> dict[str, Any]:
    return {
        "id": ids.encode("user", row.pk),
        "email": row.email,
        "name": row.name,
        "is_superuser": row.is_superuser,
        "email_verified": row.email_verified_at is not None,
    }


def customer(row: models.Customer) -> dict[str, Any]:
    return {
        "id": ids.encode("cust", row.pk),
        "email": row.email,
        "name": row.name,
        "created_at": validation.to_text(row.created_at),
    }


def session(row: Any, current: Any) -> dict[str, Any]:
    return {
        "id": ids.encode("sess", row.pk),
        "address": row.address,
        "user_agent": row.user_agent,
        "created_at": validation.to_text(row.created_at),
        "last_used_at": validation.to_text(row.last_used_at),
        "expires_at": validation.to_text(row.expires_at),
        "current": row.pk == current.pk,
    }


def login(row: Any, current: Any) -> dict[str, Any]:
    """A session that may be over."""
    return session(row, current) | {
        "revoked_at": validation.to_text(row.revoked_at) if row.revoked_at else None,
        "revoked_because": row.revoked_because,
    }
