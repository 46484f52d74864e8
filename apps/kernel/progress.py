"""Progress of a long command on the terminal: done, total, rate and time left, a line at most every half second."""

from __future__ import annotations

import sys
import time
from typing import Self, TextIO


class Progress:
    """Counts `unit`s. `total` None means unknown: then no time left is shown. Nothing is printed when `quiet`."""

    def __init__(
        self, label: str, *, unit: str, total: int | None = None, quiet: bool = False, stream: TextIO | None = None
    ) -> None:
        self.label, self.unit, self.total = label, unit, total
        self.done = 0
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._started = self._shown = time.monotonic()
        self._on_one_line = self._stream.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """However the work ends, what is said next starts on a line of its own."""
        self.finish()

    @property
    def rate(self) -> float:
        """Units per second since the start."""
        return self.done / max(time.monotonic() - self._started, 1e-6)

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._started

    def add(self, count: int = 1) -> None:
        self.done += count
        if not self._quiet and time.monotonic() - self._shown >= (0.5 if self._on_one_line else 5):
            self._show()

    def to(self, done: int) -> None:
        self.add(done - self.done)

    def relabel(self, label: str) -> None:
        """Begin another part of the work: counted, timed and named by itself."""
        self.finish()
        self.label, self.done, self.total = label, 0, None
        self._started = time.monotonic()

    def finish(self) -> None:
        """The last line; none where nothing was to be done."""
        if self.done and not self._quiet:
            self._show()
            if self._on_one_line:
                self._stream.write("\n")

    def _show(self) -> None:
        self._shown = time.monotonic()
        text = f"{self.label}: {self.done:,} {self.unit}"
        if self.total:
            share = min(self.done / self.total, 1)
            left = max(self.total - self.done, 0) / max(self.rate, 1e-6)
            text += f" of {self.total:,} ({share:.0%}), {self.rate:,.0f}/s, {left:,.0f} s left"
        else:
            text += f", {self.rate:,.0f}/s"
        self._stream.write(f"\r\x1b[K{text}" if self._on_one_line else f"{text}\n")
        self._stream.flush()
