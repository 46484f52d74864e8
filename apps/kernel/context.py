"""Who is acting and in which chain of causes: ambient for one request, task or command."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from apps.kernel import ids


@dataclass(frozen=True, slots=True)
class Context:
    """`actor` is `user:<uuid>`, `command:<name>` or `system`; `causation_id` is the event that led here.

    `break_glass_id` names the emergency access the actor works under, if any.
    """

    correlation_id: uuid.UUID | None = None
    actor: str = "system"
    causation_id: uuid.UUID | None = None
    break_glass_id: uuid.UUID | None = None


_context: ContextVar[Context] = ContextVar("rustok_context", default=Context())  # noqa: B039 - Context is frozen


def current() -> Context:
    return _context.get()


@contextmanager
def use(
    *, actor: str | None = None, correlation_id: uuid.UUID | None = None, causation_id: uuid.UUID | None = None
) -> Iterator[Context]:
    """Set the given parts for the block; a correlation id is drawn when none is known."""
    before = current()
    after = replace(
        before,
        actor=actor or before.actor,
        correlation_id=correlation_id or before.correlation_id or ids.new_id(),
        causation_id=causation_id or before.causation_id,
    )
    token = _context.set(after)
    try:
        yield after
    finally:
        _context.reset(token)


def set_actor(actor: str) -> None:
    """Name who acts in the context already in use, once authentication knows it."""
    _context.set(replace(current(), actor=actor))


def set_break_glass(break_glass_id: uuid.UUID) -> None:
    """Name the emergency access the actor works under, once the check of a permission knows it."""
    _context.set(replace(current(), break_glass_id=break_glass_id))
