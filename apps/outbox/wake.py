"""Wake-ups: best effort and coalesced. Correctness never depends on them; beat is the safety net."""

from __future__ import annotations

from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

type Listener = Callable[[], None]

_on_commit: list[Listener] = []
_on_positions: list[Listener] = []


def on_commit(listener: Listener) -> None:
    """Have `listener` called after each commit that recorded events. It must be quick and may be called for nothing."""
    if listener not in _on_commit:
        _on_commit.append(listener)


def on_positions(listener: Listener) -> None:
    """Have `listener` called when events got positions and consumers have something to read."""
    if listener not in _on_positions:
        _on_positions.append(listener)


def committed() -> None:
    _call(_on_commit)


def positioned() -> None:
    _call(_on_positions)


def _call(listeners: list[Listener]) -> None:
    for listener in listeners:
        try:
            listener()
        except Exception as error:  # noqa: BLE001 - a lost wake-up costs at most one beat; the commit has happened
            log.warning("outbox.wake_failed", listener=f"{listener.__module__}", error=str(error))
