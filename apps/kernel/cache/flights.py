"""One load per key and process: whoever comes while it is under way takes its result, a failure included."""

from __future__ import annotations

import threading
from concurrent.futures import Future


class Flights[V]:
    """The loads under way, by group and entry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[str, dict[str, Future[V | None]]] = {}

    def join(
        self, group: str, entry: str, *, in_place_of: Future[V | None] | None = None
    ) -> tuple[Future[V | None], bool]:
        """The load under way, and whether the caller is to do it; `in_place_of` is one no longer waited for."""
        with self._lock:
            flight = self._flying.get(group, {}).get(entry)
            if flight is not None and flight is not in_place_of:
                return flight, False
            flight = self._flying.setdefault(group, {})[entry] = Future()
            return flight, True

    def end(self, group: str, entry: str, flight: Future[V | None]) -> None:
        """The result is there; later callers begin anew."""
        with self._lock:
            entries = self._flying.get(group)
            if entries is not None and entries.get(entry) is flight:
                del entries[entry]
                if not entries:
                    del self._flying[group]

    def detach(self, group: str) -> None:
        """What is under way began before a change: those who wait get it, those who come now do not."""
        with self._lock:
            self._flying.pop(group, None)

    def detach_all(self) -> None:
        with self._lock:
            self._flying.clear()
