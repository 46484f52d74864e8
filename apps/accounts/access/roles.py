"""Roles of a tenant's own making. What one gives is held against who makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from apps.accounts import events, models
from apps.accounts.access import catalogue, engine, granting, matrix, rights
from apps.audit import recording as audit
from apps.events import registry
from apps.kernel import errors, validation, wording
from apps.outbox.append import append, unit_of_work
from apps.tenants import scope


class RoleNotFound(errors.NotFound):
    """The tenant has no role of its own with this slug. List its roles."""

    code = "role_not_found"


class RoleTaken(errors.Conflict):
    """There is a role with this slug. Choose another slug."""

    code = "role_slug_taken"
    title = "The slug is taken"


class SystemRole(errors.Conflict):
    """A role of the program can't be changed by a tenant. Make one of your own."""

    code = "system_role"
    title = "Roles of the program stay as they are"


class RoleInUse(errors.Conflict):
    """Members hold the role. Give them others first."""

    code = "role_in_use"
    title = "The role is in use"


# Of a role of the tenant, or of one of the program.
RoleName = Annotated[str, validation.Line(64, minimum=1)]


class GrantInput(validation.Input):
    """A permission such as `nodes:update`, and what limits it: `own`, `published`, `kind`, `category`, `locale`."""

    # Held against the catalogue where the grant is parsed, which names the nearest.
    permission: Annotated[
        str,
        validation.Line(64, minimum=1),
        validation.LooksLike(enum=sorted(catalogue.PERMISSIONS), **{"x-bounds": "a permission of the catalogue"}),
    ]
    constraint: validation.Metadata = {}


class RoleChanges(validation.Input):
    """What is given is changed; given grants replace the stored ones."""

    name: validation.Title | None = None
    description: Annotated[str, validation.Prose(2_000)] | None = None
    grants: Annotated[list[GrantInput], Field(max_length=500)] | None = None


class NewRole(validation.Input):
    slug: validation.ShortSlug
    name: validation.Title
    description: Annotated[str, validation.Prose(2_000)] = ""
    grants: Annotated[list[GrantInput], Field(max_length=500)] = []


def create_role(*, new: NewRole, by: granting.Granter | None) -> models.Role:
    """A role of the tenant's own. Raises RoleTaken, UnknownPermission, UnknownConstraint, CannotGrant."""
    grants = _parsed(new.grants)
    with unit_of_work():
        engine.lock_and_bump(scope.current_id())
        if new.slug in matrix.system_roles() or models.Role.objects.filter(slug=new.slug).exists():
            raise RoleTaken(wording.say('There is a role "{slug}" already; choose another slug.', slug=new.slug))
        granting.check_grantable(grants=grants, tenant_id=scope.current_id(), by=by)
        role = models.Role.objects.create(slug=new.slug, name=new.name, description=new.description)
        _store(role, grants)
        _record(role, events.RoleCreated(**_state(role, grants)))
    return role


def update_role(*, slug: str, changes: RoleChanges, by: granting.Granter | None) -> models.Role:
    """Change what is given; nothing is recorded where nothing differs.

    Raises RoleNotFound, SystemRole, UnknownPermission, UnknownConstraint, CannotGrant.
    """
    with unit_of_work():
        engine.lock_and_bump(scope.current_id())
        role = get_own(slug)
        before = grants_of(role)
        after = before if changes.grants is None else _parsed(changes.grants)
        granting.check_grantable(grants={*before} ^ {*after}, tenant_id=scope.current_id(), by=by)
        wanted = changes.model_dump(include={"name", "description"}, exclude_none=True)
        different = {name: value for name, value in wanted.items() if getattr(role, name) != value}
        if not different and {*before} == {*after}:
            return role
        for name, value in different.items():
            setattr(role, name, value)
        role.save()
        role.grants.all().delete()
        _store(role, after)
        _record(role, events.RoleUpdated(**_state(role, after)))
    return role


def delete_role(*, slug: str, by: granting.Granter | None) -> None:
    """Raises RoleNotFound, SystemRole, RoleInUse, CannotGrant."""
    with unit_of_work():
        engine.lock_and_bump(scope.current_id())
        role = get_own(slug)
        granting.check_grantable(grants=grants_of(role), tenant_id=scope.current_id(), by=by)
        if holders := role.memberships.count():
            raise RoleInUse(
                wording.say(
                    '{holders} members hold the role "{slug}"; give them others first.', holders=holders, slug=slug
                ),
                holders=holders,
            )
        _record(role, events.RoleDeleted(slug=role.slug))
        role.grants.all().delete()
        role.delete()


def get_own(slug: str) -> models.Role:
    """A role of the tenant's own. Raises RoleNotFound, SystemRole."""
    if slug in matrix.system_roles():
        raise SystemRole(
            wording.say('"{slug}" is a role of the program, the same in every tenant; make one of your own.', slug=slug)
        )
    role = models.Role.objects.prefetch_related("grants").filter(slug=slug).first()
    if role is None:
        raise RoleNotFound(wording.say('There is no role "{slug}" in this tenant.', slug=slug))
    return role


def grants_of(role: models.Role) -> list[rights.Grant]:
    """What the role gives, in order."""
    rows = sorted(role.grants.all(), key=lambda row: row.permission)
    return [rights.parse_grant(row.permission, row.constraint) for row in rows]


def _parsed(grants: Sequence[GrantInput]) -> list[rights.Grant]:
    return list(dict.fromkeys(rights.parse_grant(entry.permission, entry.constraint) for entry in grants))


def _store(role: models.Role, grants: Sequence[rights.Grant]) -> None:
    models.Grant.objects.bulk_create(
        models.Grant(role=role, permission=grant.permission, constraint=grant.constraint.stored()) for grant in grants
    )


def _state(role: models.Role, grants: Sequence[rights.Grant]) -> dict[str, Any]:
    shown = [events.Grant(permission=grant.permission, constraint=grant.constraint.stored()) for grant in grants]
    return {"slug": role.slug, "name": role.name, "description": role.description, "grants": shown}


def _record(role: models.Role, payload: registry.Payload, *, before: Mapping[str, Any] | None = None) -> None:
    stream: dict[str, Any] = {"tenant_id": scope.current_id(), "aggregate_type": events.ROLE, "aggregate_id": role.id}
    append(payload, **stream)
    audit.record_event(payload, before=before, **stream)
