"""Nudges: Celery tasks asked for at most once until a worker takes them. Losing one costs a beat, never an event."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings

_PENDING_MILLISECONDS = 1000
_COOL_OFF_SECONDS = 1.0

_silent_until = 0.0


@lru_cache(maxsize=1)
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=0.5, socket_connect_timeout=0.5)


def send(task: Any, name: str) -> None:
    """Send `task` unless one is already waiting; stay silent for a second after a failure, which is raised."""
    global _silent_until  # noqa: PLW0603 - one process, one broker connection
    if time.monotonic() < _silent_until:
        return
    try:
        if _valkey().set(f"rustok:nudge:{name}", 1, nx=True, px=_PENDING_MILLISECONDS):
            task.apply_async(retry=False, expires=_PENDING_MILLISECONDS / 1000 * 5)
    except Exception:
        _silent_until = time.monotonic() + _COOL_OFF_SECONDS
        raise


def taken(name: str) -> None:
    """A worker has the nudge in hand: changes committed from now on need a new one."""
    try:
        _valkey().delete(f"rustok:nudge:{name}")
    except redis.RedisError:
        return  # the key expires by itself within a second
