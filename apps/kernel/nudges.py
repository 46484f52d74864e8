"""Nudges: Celery tasks asked for at most once until a worker takes them. Losing one costs a beat, never an event.

A thread of its own sends them, coalesced: no commit waits for Valkey or the broker, and a busy process does not ask
more often than every few milliseconds.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from functools import lru_cache
from typing import Any

import redis
import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

COALESCE_SECONDS = 0.01
_PENDING_MILLISECONDS = 1000
_COOL_OFF_SECONDS = 1.0


class _Sender:
    """The wanted nudges by name, and the thread that sends them."""

    def __init__(self) -> None:
        self._wanted: dict[str, Any] = {}
        self._is_something_wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._silent_until = 0.0

    def want(self, task: Any, name: str) -> None:
        self._wanted[name] = task
        self._is_something_wanted.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._keep_sending, name="nudges", daemon=True)
            self._thread.start()

    def send_wanted(self) -> None:
        """Send what is wanted, in the calling thread; silent for a second after a failure, which is logged."""
        wanted, self._wanted = self._wanted, {}
        for name, task in wanted.items():
            if time.monotonic() < self._silent_until:
                return
            try:
                _send(task, name)
            except Exception as error:  # noqa: BLE001 - Celery's brokers raise what they like; beat is the safety net
                self._silent_until = time.monotonic() + _COOL_OFF_SECONDS
                log.warning("kernel.nudge_failed", nudge=name, error=str(error))

    def _keep_sending(self) -> None:
        while True:
            self._is_something_wanted.wait()
            self._is_something_wanted.clear()  # before the wishes are taken: a later one sets it again
            self.send_wanted()
            time.sleep(COALESCE_SECONDS)


_sender = _Sender()


def send(task: Any, name: str) -> None:
    """Have `task` sent soon, unless one is already waiting for a worker. Returns at once and never raises."""
    _sender.want(task, name)


def flush() -> None:
    """Send now what `send` was asked for; for tests and the end of a process."""
    _sender.send_wanted()


def taken(name: str) -> None:
    """A worker has the nudge in hand: changes committed from now on need a new one."""
    try:
        _valkey().delete(f"rustok:nudge:{name}")
    except redis.RedisError:
        return  # the key expires by itself within a second


@lru_cache(maxsize=1)
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=0.5, socket_connect_timeout=0.5)


def _send(task: Any, name: str) -> None:
    if _valkey().set(f"rustok:nudge:{name}", 1, nx=True, px=_PENDING_MILLISECONDS):
        task.apply_async(retry=False, expires=_PENDING_MILLISECONDS / 1000 * 5)


def _begin_anew() -> None:
    """A forked process has neither the thread nor the parent's wishes."""
    global _sender  # noqa: PLW0603 - one process, one sender
    _sender = _Sender()


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(flush)
