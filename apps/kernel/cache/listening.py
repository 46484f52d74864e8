"""Invalidations of other processes: a thread hears them over Valkey's publish and subscribe.

Nothing is kept for a listener that is away. So whenever it comes, and whenever it has lost the connection, level 1 is
emptied; in between level 1 is at most as old as its entries may get.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.kernel.cache import shared

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.25
_ASK_SECONDS = 1.0
_SILENCE_SECONDS = 3.0
_RETRY_SECONDS = 0.2


class Listener:
    """`dropped(kind, groups)` is called for each invalidation, `lost()` when some may have been missed, and `tick()`
    several times a second while there is a connection."""

    def __init__(
        self, *, dropped: Callable[[str, list[str]], None], lost: Callable[[], None], tick: Callable[[], None]
    ) -> None:
        self._dropped, self._lost, self._tick = dropped, lost, tick
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.is_connected = threading.Event()

    def ensure_started(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._keep_listening, name="cache-invalidations", daemon=True)
                self._thread.start()

    def _keep_listening(self) -> None:
        while True:
            try:
                self._listen()
            except Exception as error:  # noqa: BLE001 - without this thread the process would serve old values
                if self.is_connected.is_set():
                    log.warning("cache.listener_lost", error=str(error))
            self.is_connected.clear()
            self._lost()
            time.sleep(_RETRY_SECONDS)

    def _listen(self) -> None:
        """Until the connection is lost. A server that hangs is one too: it is asked, and must answer."""
        client = redis.Redis.from_url(
            settings.CACHE_URL, socket_timeout=_ASK_SECONDS, socket_connect_timeout=_ASK_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        with client, client.pubsub() as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(shared.channel())
            heard = asked = time.monotonic()
            while True:
                message = subscription.get_message(timeout=TICK_SECONDS)
                now = time.monotonic()
                if message is not None:
                    heard = now
                    self._take(message)
                elif now - heard > _SILENCE_SECONDS:
                    raise redis.ConnectionError("no answer to a ping")
                if now - asked > _ASK_SECONDS:
                    subscription.ping()
                    asked = now
                self._tick()

    def _take(self, message: dict[str, object]) -> None:
        if message["type"] == "subscribe":
            self._lost()  # what was told before is not known here
            self.is_connected.set()
        elif message["type"] == "message" and isinstance(data := message["data"], bytes):
            kind, *groups = data.decode().split("\n")
            self._dropped(kind, groups)
