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

    `authority` is by what right they act, `token:<id>` of a session, `key:<id>` or `break_glass:<id>`; `client_address`
    where the request came from. Both are empty where there is none. So are `origin` (scheme and host it was sent to),
    `path`, and `languages`, its Accept-Language, which say what an answer is to look like.
    """

    correlation_id: uuid.UUID | None = None
    actor: str = "system"
    causation_id: uuid.UUID | None = None
    authority: str = ""
    client_address: str = ""
    origin: str = ""
    path: str = ""
    languages: str = ""


_context: ContextVar[Context] = ContextVar("rustok_context", default=Context())  # noqa: B039 - Context is frozen


def current() -> Context:
    return _context.get()


@contextmanager
def use(
    *,
    actor: str | None = None,
    correlation_id: uuid.UUID | None = None,
    causation_id: uuid.UUID | None = None,
    authority: str | None = None,
    client_address: str | None = None,
    origin: str | None = None,
    path: str | None = None,
    languages: str | None = None,
) -> Iterator[Context]:
    """Set the given parts for the block; a correlation id is drawn when none is known."""
    before = current()
    after = replace(
        before,
        actor=actor or before.actor,
        correlation_id=correlation_id or before.correlation_id or ids.new_id(),
        causation_id=causation_id or before.causation_id,
        authority=before.authority if authority is None else authority,
        client_address=before.client_address if client_address is None else client_address,
        origin=before.origin if origin is None else origin,
        path=before.path if path is None else path,
        languages=before.languages if languages is None else languages,
    )
    token = _context.set(after)
    try:
        yield after
    finally:
        _context.reset(token)


def set_actor(actor: str, *, authority: str = "") -> None:
    """Name who acts in the context already in use, and by what right, once authentication knows it."""
    _context.set(replace(current(), actor=actor, authority=authority))


def set_authority(authority: str) -> None:
    """Name the right they act by beyond their own, once the check of a permission knows it."""
    _context.set(replace(current(), authority=authority))
