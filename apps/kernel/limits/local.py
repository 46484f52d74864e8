"""The windows of this process: what Valkey's script does, for when Valkey is away."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from apps.kernel.limits.policies import AUTH, WINDOW_SECONDS, Charge, Standing

_WINDOW = WINDOW_SECONDS * 1_000_000
type _Window = deque[list[int]]


def microseconds() -> int:
    return time.monotonic_ns() // 1000


@dataclass(slots=True)
class Local:
    """At most `largest` windows. When it is full, what guards secrets refuses newcomers; for others the window that was
    asked for least lately makes room."""

    clock: Callable[[], int] = microseconds
    largest: int = 20_000
    # Oldest use first: key → [moment it stops to count, how much of it], in the order of the moments.
    _windows: OrderedDict[str, _Window] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, charges: Sequence[Charge]) -> list[Standing]:
        """Ask all and count in all or none."""
        now = self.clock()
        with self._lock:
            standings = [self._standing(charge, now) for charge in charges]
            if any(standing.is_over for standing in standings):
                return standings
            for charge in charges:
                self._count(charge, now)
        return [
            Standing(standing.charge, standing.remaining - standing.charge.cost, standing.seconds, is_over=False)
            for standing in standings
        ]

    def _standing(self, charge: Charge, now: int) -> Standing:
        window = self._windows.get(charge.key)
        if window is None:
            is_over = charge.policy == AUTH and not self._has_room(now)
            return Standing(charge, 0 if is_over else charge.limit, (_end(charge, now) - now) / 1_000_000, is_over)
        while window and window[0][0] <= now:
            window.popleft()
        counted = sum(count for _, count in window)
        excess = counted + charge.cost - charge.limit
        until = _first_to_free(window, excess) or _end(charge, now)
        return Standing(charge, max(0, charge.limit - counted), (until - now) / 1_000_000, excess > 0)

    def _count(self, charge: Charge, now: int) -> None:
        if charge.key not in self._windows and not self._has_room(now):
            self._windows.popitem(last=False)
        window = self._windows.setdefault(charge.key, deque())
        self._windows.move_to_end(charge.key)
        end = _end(charge, now)
        if window and window[-1][0] >= end:
            window[-1][1] += charge.cost
        else:
            window.append([end, charge.cost])

    def _has_room(self, now: int) -> bool:
        """Forgets from the oldest on what no longer counts."""
        while self._windows and len(self._windows) >= self.largest:
            key, window = next(iter(self._windows.items()))
            if window and window[-1][0] > now:
                return False
            del self._windows[key]
        return True


def _end(charge: Charge, now: int) -> int:
    """The moment what is counted now stops to count."""
    step = charge.step_microseconds
    return -(-(now + _WINDOW) // step) * step


def _first_to_free(window: _Window, excess: int) -> int | None:
    """When so much will have left the window; without excess, when the first leaves."""
    gone = 0
    for end, count in window:
        gone += count
        if gone >= excess:
            return end
    return None
