"""The coarse outer wall before the login of the admin: attempts per address, whoever they are about.

A fixed window of django-ratelimit is enough: the lockout behind it counts by itself, and the API has true windows.
"""

from __future__ import annotations

from django.http import HttpRequest
from django_ratelimit.core import is_ratelimited
from redis.exceptions import RedisError

from apps.accounts import attempts

RATE = "30/m"


def hold_back(request: HttpRequest, *, group: str) -> None:
    """Raises TooManyAttempts. Without Valkey the wall stands open: the lockout behind it has a count of its own."""
    try:
        is_too_much = is_ratelimited(request, group=group, key="ip", rate=RATE, increment=True)
    except RedisError:
        return
    if is_too_much:
        raise attempts.TooManyAttempts("Too many attempts from this address; try again in a minute.", retry_after=60)
