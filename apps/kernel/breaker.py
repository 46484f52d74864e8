"""A circuit breaker: after a failure nobody asks for a while, then one asks whether it works again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Breaker:
    """Opens at the first failure, for `open_seconds`; then lets one caller through at a time until one succeeds.

    `tell(is_open)` is called when it opens and when it closes.
    """

    def __init__(self, *, open_seconds: float, tell: Callable[[bool], None] = lambda is_open: None) -> None:
        self._open_seconds = open_seconds
        self._tell = tell
        self._lock = threading.Lock()
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        return self._open_until is not None

    def allows(self) -> bool:
        """Whether to try; the one who is let through while it is open holds the others off for another while."""
        if not self.is_open:
            return True
        now = time.monotonic()
        with self._lock:
            if self._open_until is not None and now < self._open_until:
                return False
            if self._open_until is not None:
                self._open_until = now + self._open_seconds
            return True

    def failed(self) -> None:
        with self._lock:
            was_open, self._open_until = self.is_open, time.monotonic() + self._open_seconds
        if not was_open:
            self._tell(True)

    def succeeded(self) -> None:
        if not self.is_open:
            return
        with self._lock:
            was_open, self._open_until = self.is_open, None
        if was_open:
            self._tell(False)
