"""Level 1: decoded values in the process, bounded and short-lived."""

from __future__ import annotations

import threading
import time
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from apps.kernel.cache import measures

SLOTS = 4096

type Mark = tuple[int, int]


class Missing:
    """Neither a value nor a known absence."""


MISSING: Final = Missing()


@dataclass(frozen=True, slots=True)
class _Entry[V]:
    value: V | None
    until: float
    mark: Mark


def slot_of(group: str) -> int:
    """A group's share of a bounded table, the same in every process. Groups that share one are dropped together."""
    return zlib.crc32(group.encode()) % SLOTS


class Memory[V]:
    """Least recently used entries go first; known absences have room of their own, so that a flood of unknown names
    pushes out nobody's values."""

    def __init__(self, *, kind: str, size: int, negative_size: int) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[tuple[str, str], _Entry[V]] = OrderedDict()
        self._absences: OrderedDict[tuple[str, str], _Entry[V]] = OrderedDict()
        self._size, self._negative_size = size, negative_size
        self._drops = [0] * SLOTS
        self._clears = 0
        self._hits = measures.HITS.labels(kind, measures.MEMORY)
        self._negative_hits = measures.NEGATIVE_HITS.labels(kind, measures.MEMORY)
        self._misses = measures.MISSES.labels(kind, measures.MEMORY)
        self._rejected = measures.REJECTED.labels(kind, measures.MEMORY)
        self._evictions = measures.EVICTIONS.labels(kind)

    def __len__(self) -> int:
        return len(self._values) + len(self._absences)

    def find(self, group: str, entry: str) -> V | Missing | None:
        """The value, None for a known absence, or MISSING."""
        found = self.peek(group, entry)
        if isinstance(found, Missing):
            self._misses.inc()
        else:
            (self._negative_hits if found is None else self._hits).inc()
        return found

    def peek(self, group: str, entry: str) -> V | Missing | None:
        """The same, not counted."""
        key = group, entry
        with self._lock:
            found = self._fresh(self._values, key) or self._fresh(self._absences, key)
        return MISSING if found is None else found.value

    def mark(self, group: str) -> Mark:
        """To be taken before a value is read or loaded, and given to `put` with it."""
        return self._drops[slot_of(group)], self._clears

    def put(self, group: str, entry: str, value: V | None, *, mark: Mark, seconds: float) -> None:
        """Keep a value, unless its group was dropped since the mark: it may be older than the change."""
        with self._lock:
            if mark != self.mark(group):
                self._rejected.inc()
                return
            entries, room = (self._absences, self._negative_size) if value is None else (self._values, self._size)
            self._values.pop((group, entry), None)
            self._absences.pop((group, entry), None)
            entries[group, entry] = _Entry(value, time.monotonic() + seconds, mark)
            if len(entries) > room:
                entries.popitem(last=False)
                self._evictions.inc()

    def drop(self, group: str) -> None:
        """Forget a group, and what is being loaded for it: nothing with an earlier mark is found or taken."""
        with self._lock:
            self._drops[slot_of(group)] += 1

    def clear(self) -> None:
        """Forget everything, and what is being loaded."""
        with self._lock:
            self._clears += 1
            self._values.clear()
            self._absences.clear()

    def _fresh(self, entries: OrderedDict[tuple[str, str], _Entry[V]], key: tuple[str, str]) -> _Entry[V] | None:
        found = entries.get(key)
        if found is None or found.until <= time.monotonic() or found.mark != self.mark(key[0]):
            return None
        entries.move_to_end(key)
        return found
