"""The coarse outer wall before public endpoints: requests per address, whoever they are about."""

from __future__ import annotations

from django_ratelimit.core import is_ratelimited
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled
from rest_framework.request import Request


def hold_back(request: Request, *, group: str, rate: str) -> None:
    """Raises Throttled. Without Valkey the wall stands open: the lockout behind it has a count of its own."""
    try:
        is_too_much = is_ratelimited(request._request, group=group, key="ip", rate=rate, increment=True)
    except RedisError:
        return
    if is_too_much:
        raise Throttled(wait=60, detail="Too many requests of this kind from this address.")
