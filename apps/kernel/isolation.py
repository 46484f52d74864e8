"""Whose rows the work at hand may see: those of one tenant, of all of them, or of none.

Every statement takes this to the database, whose row policies hold it against each row.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from prometheus_client import Counter

log = structlog.get_logger(__name__)

ALL = "*"
EXITS = Counter("rustok_isolation_exits_total", "Work over all tenants that was begun, by its reason.", ["reason"])

_shown: ContextVar[str] = ContextVar("rustok_isolation", default="")


def shown() -> str:
    """The id of the tenant whose rows are shown; ALL for those of every tenant; empty for none."""
    return _shown.get()


def shows_all() -> bool:
    return _shown.get() == ALL


class NotOverAllTenants(RuntimeError):
    """Work that is right only with the rows of all tenants in view was begun without them."""


def require_all() -> None:
    """Raises NotOverAllTenants: a part of the rows, or none, would be taken for all of them."""
    if not shows_all():
        raise NotOverAllTenants("wrap the work in isolation.all_tenants(reason=...)")


@contextmanager
def to_tenant(tenant_id: uuid.UUID) -> Iterator[None]:
    """Show this tenant's rows, and no others, within the block."""
    token = _shown.set(str(tenant_id))
    try:
        yield
    finally:
        _shown.reset(token)


@contextmanager
def to_nobody() -> Iterator[None]:
    """Show no tenant's rows within the block."""
    token = _shown.set("")
    try:
        yield
    finally:
        _shown.reset(token)


@contextmanager
def all_tenants(*, reason: str) -> Iterator[None]:
    """The one loud way out: show the rows of all tenants within the block; each use is logged and counted.

    `reason` says in a few constant words what for; it is a label of the metric.
    """
    log.debug("isolation.all_tenants", reason=reason)
    EXITS.labels(reason=reason).inc()
    token = _shown.set(ALL)
    try:
        yield
    finally:
        _shown.reset(token)
