"""Logins to the admin, which are Django's own sessions: whether they have shown a second factor, and how they end."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest

from apps.accounts import models
from apps.accounts.services import second_factors, sessions, trail
from apps.kernel import context

# In the session: when the second factor that it has shown was set up. One set up anew has to be shown anew.
SHOWN = "second_factor_of"
_IS_STRONG = "_login_is_strong"


def mark_strong(user: models.User) -> None:
    """The login that is under way has shown a code."""
    setattr(user, _IS_STRONG, True)


def begin(*, request: HttpRequest, user: models.User, **_: Any) -> None:
    """Remember in a new session what its login has shown."""
    request.session.pop(SHOWN, None)
    if getattr(user, _IS_STRONG, False):
        remember_shown(request, user)


def remember_shown(request: HttpRequest, user: models.User) -> None:
    """The session has shown the second factor its user has now."""
    request.session[SHOWN] = str(second_factors.confirmed_at(user))


def is_too_weak(request: HttpRequest) -> bool:
    """Whether the tenant of the host asks its members for a second factor, and this session has not shown it."""
    if not sessions.is_strength_required():
        return False
    set_up_at = second_factors.confirmed_at(request.user)
    return set_up_at is None or request.session.get(SHOWN) != str(set_up_at)


def end(*, user: models.User | None, **_: Any) -> None:
    """Write a logout down. Django tells also of those that ended nothing."""
    if user is not None:
        with context.use(actor=f"user:{user.pk}"), transaction.atomic():
            trail.tell(user, "logout")
