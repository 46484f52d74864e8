"""Who belongs to a tenant, and with which roles. Changes of one tenant come one after another."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from apps.accounts import events, models
from apps.accounts.access import engine, granting, matrix
from apps.audit import recording as audit
from apps.events import registry
from apps.kernel import errors, ids, isolation, wording
from apps.outbox.append import append, unit_of_work
from apps.tenants import queries, scope
from apps.tenants.models import Tenant


class MemberNotFound(errors.NotFound):
    """The user is no member of the tenant. List its members."""

    code = "member_not_found"


class LastOwner(errors.Conflict):
    """The tenant would be left without an active owner. Make somebody else an owner first."""

    code = "last_owner"
    title = "The tenant needs an owner"


class OwnRoles(errors.Forbidden):
    """Somebody would give roles to themselves. Ask another member who holds them."""

    code = "own_roles"
    title = "Nobody gives roles to themselves"


def grant_role(*, user: models.User, tenant: Tenant, role: str) -> models.Membership:
    """Make the user a member with this role instead of the ones they held: for commands and set-up, asks nobody.

    Raises UnknownRole, LastOwner.
    """
    with isolation.to_tenant(tenant.id):
        at_work = queries.scope_of(tenant)
    with scope.use(at_work):
        return put_member(user=user, roles=[role], by=None)


def put_member(*, user: models.User, roles: Collection[str], by: granting.Granter | None) -> models.Membership:
    """Make the user a member of the tenant at work with exactly these roles.

    Raises UnknownRole, CannotGrant, OwnRoles, LastOwner.
    """
    tenant_id = scope.current_id()
    with unit_of_work():
        engine.lock_and_bump(tenant_id)
        membership, is_new = models.Membership.objects.get_or_create(tenant_id=tenant_id, user=user)
        before = set() if is_new else roles_of(membership)
        _set_roles(membership, before, set(roles), by)
        if is_new:
            _record(user.pk, events.MemberAdded(user_id=user.pk, roles=sorted(set(roles))))
        elif before != set(roles):
            changed = events.MemberRolesChanged(user_id=user.pk, roles=sorted(set(roles)))
            _record(user.pk, changed, before={"roles": sorted(before)})
    return membership


def add_role(*, user: models.User, role: str) -> models.Membership:
    """Make the user a member of the tenant at work who holds this role beside others. Raises UnknownRole."""
    with unit_of_work():
        engine.lock_and_bump(scope.current_id())
        membership = models.Membership.objects.filter(tenant_id=scope.current_id(), user=user).first()
        before = roles_of(membership) if membership else set()
        return put_member(user=user, roles=before | {role}, by=None)


def set_roles(*, user_id: uuid.UUID, roles: Collection[str], by: granting.Granter | None) -> models.Membership:
    """Give a member exactly these roles. Raises MemberNotFound, UnknownRole, CannotGrant, OwnRoles, LastOwner."""
    with unit_of_work():
        engine.lock_and_bump(scope.current_id())
        return put_member(user=_membership(user_id).user, roles=roles, by=by)


def remove_member(*, user_id: uuid.UUID, by: granting.Granter | None) -> None:
    """End a membership with its roles; members may leave by themselves.

    Raises MemberNotFound, CannotGrant, LastOwner.
    """
    with unit_of_work():
        engine.lock_and_bump(scope.current_id())
        membership = _membership(user_id)
        before = roles_of(membership)
        if by is None or by.user.pk != user_id:
            granting.check_grantable(grants=granting.grants_of(before), tenant_id=scope.current_id(), by=by)
        _check_owner_stays(membership, before, set())
        models.MembershipRole.objects.filter(membership=membership).delete()
        membership.delete()
        _record(user_id, events.MemberRemoved(user_id=user_id))


def roles_of(membership: models.Membership) -> set[str]:
    """Its system roles by name and the tenant's own by slug."""
    rows = models.MembershipRole.objects.filter(membership=membership).values_list("system_role", "role__slug")
    return {system or own for system, own in rows}


def _set_roles(membership: models.Membership, before: set[str], after: set[str], by: granting.Granter | None) -> None:
    added, removed = after - before, before - after
    own = granting.check_assignable(sorted(added))
    if by is not None and by.user.pk == membership.user_id and added:
        raise OwnRoles(wording.say("Nobody gives roles to themselves; ask another member who holds them."))
    if by is None or by.user.pk != membership.user_id:
        changed = granting.grants_of(added | removed)
        granting.check_grantable(grants=changed, tenant_id=membership.tenant_id, by=by)
    _check_owner_stays(membership, before, after)
    rows = models.MembershipRole.objects.filter(membership=membership)
    rows.filter(system_role__in=removed).delete()
    rows.filter(role__slug__in=removed).delete()
    models.MembershipRole.objects.bulk_create(_rows(membership, sorted(added), own))


def _rows(
    membership: models.Membership, slugs: Iterable[str], own: dict[str, models.Role]
) -> list[models.MembershipRole]:
    return [
        models.MembershipRole(membership=membership, role=own[slug])
        if slug in own
        else models.MembershipRole(membership=membership, system_role=slug)
        for slug in slugs
    ]


def _check_owner_stays(membership: models.Membership, before: set[str], after: set[str]) -> None:
    """Safe against others doing the same at once: each holds the tenant's lock."""
    for name in (before - after) & matrix.protected():
        holders = models.MembershipRole.objects.filter(system_role=name, membership__user__is_active=True)
        if not holders.exclude(membership=membership).exists():
            raise LastOwner(
                wording.say(
                    "{user} is the last active {name}; make somebody else {name} first.",
                    user=membership.user,
                    name=name,
                )
            )


def _membership(user_id: uuid.UUID) -> models.Membership:
    found = (
        models.Membership.objects.select_related("user").filter(tenant_id=scope.current_id(), user_id=user_id).first()
    )
    if found is None:
        raise MemberNotFound(wording.say("There is no member {user} in this tenant.", user=ids.encode("user", user_id)))
    return found


def _record(user_id: uuid.UUID, payload: registry.Payload, *, before: Mapping[str, Any] | None = None) -> None:
    stream: dict[str, Any] = {"tenant_id": scope.current_id(), "aggregate_type": events.MEMBER, "aggregate_id": user_id}
    append(payload, **stream)
    audit.record_event(payload, before=before, **stream)
