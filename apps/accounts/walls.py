"""The coarse outer wall before the login of the admin: attempts per address, whoever they are about.

A fixed window of django-ratelimit is enough: the lockout behind it counts by itself, and the API has true windows.
"""

from __future__ import annotations

from django.http import HttpRequest
from django_ratelimit.core import is_ratelimited
from redis.exceptions import RedisError

from apps.kernel import errors, wording

RATE = "30/m"


class AddressHeldBack(errors.DomainError):
    """This address has tried too often, whoever it was about; nothing was looked at."""

    code = "address_held_back"
    status = 429
    title = "Too many attempts"


def hold_back(request: HttpRequest, *, group: str) -> None:
    """Raises AddressHeldBack. Without Valkey the wall stands open: the lockout behind it has a count of its own."""
    try:
        is_too_much = is_ratelimited(request, group=group, key="ip", rate=RATE, increment=True)
    except RedisError:
        return
    if is_too_much:
        raise AddressHeldBack(
            wording.say("Too many attempts from this address; try again in a minute."), retry_after=60
        )
