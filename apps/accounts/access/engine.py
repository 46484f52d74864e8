"""Who may do what in a tenant: read with one query, kept per version, and ambient for the request at work."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog
from django.db import connection

from apps.accounts.access import matrix, rights
from apps.kernel import context

# Always one round trip: the version comes with every request, the roles only where this process has not seen it.
_READ = """
SELECT m.id IS NOT NULL, coalesce(v.version, 0), u.is_superuser, b.id, b.is_read_only,
       CASE WHEN m.id IS NOT NULL AND coalesce(v.version, 0) IS DISTINCT FROM %(known)s::bigint THEN (
           SELECT coalesce(json_agg(json_build_array(mr.system_role, r.slug, g.permission, g.constraint)), '[]')
           FROM accounts_membershiprole mr
           LEFT JOIN accounts_role r ON r.tenant_id = mr.tenant_id AND r.id = mr.role_id
           LEFT JOIN accounts_grant g ON g.tenant_id = r.tenant_id AND g.role_id = r.id
           WHERE mr.tenant_id = m.tenant_id AND mr.membership_id = m.id)::text END
FROM accounts_user u
LEFT JOIN accounts_membership m ON m.user_id = u.id AND m.tenant_id = %(tenant)s
LEFT JOIN accounts_authzversion v ON v.tenant_id = %(tenant)s
LEFT JOIN LATERAL (
    SELECT b.id, b.is_read_only FROM accounts_breakglass b
    WHERE b.tenant_id = %(tenant)s AND b.user_id = u.id AND b.closed_at IS NULL
      AND b.approved_at <= %(now)s AND b.opened_at <= %(now)s AND b.expires_at > %(now)s
    ORDER BY b.is_read_only, b.expires_at DESC LIMIT 1) b ON TRUE
WHERE u.id = %(user)s AND u.is_active
"""
_BUMP = """
INSERT INTO accounts_authzversion (tenant_id, version) VALUES (%s, 1)
ON CONFLICT (tenant_id) DO UPDATE SET version = accounts_authzversion.version + 1
"""
_KEPT_AT_MOST = 20_000

type _Held = tuple[tuple[str, ...], dict[str, tuple[rights.Constraint, ...]]]


class Principal(Protocol):
    """Who asks. One that is no user, such as a customer, names the system roles it has in its one tenant:
    `access_roles` and `tenant_id`."""

    @property
    def pk(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Kept:
    version: int
    held: _Held


_kept: dict[tuple[uuid.UUID, uuid.UUID], _Kept] = {}


def rights_of(user: Principal, tenant_id: uuid.UUID, *, now: datetime, fresh: bool = False) -> rights.Rights:
    """What a user may do in a tenant: one query, and none for who brings roles along. Needs the tenant in scope.

    A change is seen as soon as it is committed. `fresh` neither trusts nor feeds what this process keeps: for work
    inside a transaction that changes rights itself.
    """
    if (named := getattr(user, "access_roles", None)) is not None:
        is_here = getattr(user, "tenant_id", None) == tenant_id
        return _rights(user.pk, system_held(named)) if is_here else rights.NOTHING
    key = (tenant_id, user.pk)
    kept = None if fresh else _kept.get(key)
    found = _read(tenant_id=tenant_id, user_id=user.pk, known=kept.version if kept else None, now=now)
    if found is None:
        return rights.NOTHING
    is_member, version, is_superuser, break_glass_id, is_read_only, rows = found
    if is_superuser:
        return _rights(user.pk, system_held([matrix.SUPER_ADMIN]), is_member=is_member)
    if rows is not None:
        kept = _Kept(version, _held(json.loads(rows)))
        if not fresh:
            _keep(key, kept)
    if is_member and kept is not None:
        return _rights(user.pk, kept.held, is_member=True)
    if break_glass_id is not None:
        role = matrix.SUPPORT_READER if is_read_only else matrix.SUPPORT_WRITER
        return _rights(user.pk, system_held([role]), break_glass_id=break_glass_id)
    return rights.Rights(holder_id=user.pk)


def lock_and_bump(tenant_id: uuid.UUID) -> None:
    """Count a change of who may do what; until the transaction ends, others that would make one wait."""
    with connection.cursor() as cursor:
        cursor.execute(_BUMP, [tenant_id])


def system_held(names: Iterable[str]) -> _Held:
    """What these system roles give together."""
    known = tuple(name for name in names if name in matrix.system_roles())
    return known, rights.expand(grant for name in known for grant in matrix.system_roles()[name].grants)


def _read(*, tenant_id: uuid.UUID, user_id: Any, known: int | None, now: datetime) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"tenant": tenant_id, "user": user_id, "known": known, "now": now})
        return cursor.fetchone()


def _held(rows: list[tuple[str | None, str | None, str | None, dict[str, Any] | None]]) -> _Held:
    system = [name for name, _, _, _ in rows if name in matrix.system_roles()]
    own = sorted({slug for _, slug, _, _ in rows if slug})
    grants = [grant for name in system if name for grant in matrix.system_roles()[name].grants]
    grants += [rights.parse_grant(permission, limit or {}) for _, _, permission, limit in rows if permission]
    return (*sorted(set(filter(None, system))), *own), rights.expand(grants)


def _keep(key: tuple[uuid.UUID, uuid.UUID], kept: _Kept) -> None:
    if len(_kept) >= _KEPT_AT_MOST:
        _kept.clear()
    _kept[key] = kept


def _rights(
    holder_id: uuid.UUID, held: _Held, *, is_member: bool = False, break_glass_id: uuid.UUID | None = None
) -> rights.Rights:
    roles, alternatives = held
    return rights.Rights(holder_id, roles, alternatives, is_member, break_glass_id)


# --- Ambient for one request --------------------------------------------------------------------------------

_acting: ContextVar[rights.Rights | None] = ContextVar("rustok_rights", default=None)


def acting() -> rights.Rights | None:
    """The rights the request at work stands on; None outside of requests, where commands and tasks do their duty."""
    return _acting.get()


@contextmanager
def request() -> Iterator[None]:
    """Begin with no rights; within the block `act` gives those of whoever is found to ask."""
    token = _acting.set(rights.NOTHING)
    try:
        yield
    finally:
        _acting.reset(token)
        structlog.contextvars.unbind_contextvars("break_glass")


def act(held: rights.Rights) -> None:
    """Go on with these rights until the request ends; break-glass marks its lines of the log and its actor."""
    _acting.set(held)
    if held.break_glass_id is not None:
        structlog.contextvars.bind_contextvars(break_glass=str(held.break_glass_id))
        context.set_authority(f"break_glass:{held.break_glass_id}")
