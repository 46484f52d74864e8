"""Roles, members and emergency accesses as the API shows them, and what their lists can be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypedDict

from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts import models
from apps.accounts.access import break_glass, limiting, matrix, rights, roles
from apps.kernel import filters, ids, listing, validation
from apps.kernel.listing import Document, Expansion, Listing
from apps.kernel.operations import Id, Moment, one_of
from apps.tenants import scope


class Role(TypedDict):
    slug: str
    name: str
    description: str
    is_system: bool
    grants: list[rights.PermissionGrant]


class Member(TypedDict):
    user_id: Id
    email: str
    name: str
    is_active: bool
    roles: list[str]
    created_at: Moment


class EmergencyAccess(TypedDict):
    """Access of platform staff to the tenant for a reason and a time."""

    id: Id
    user: str
    reason: str
    ticket: str
    is_read_only: bool
    state: Annotated[str, one_of("waiting", "open", "closed", "expired")]
    opened_at: Moment
    expires_at: Moment
    approved_by: str | None
    closed_at: Moment | None


class OwnPermissions(TypedDict):
    """`break_glass` is the emergency access they come from, if they do."""

    roles: list[str]
    permissions: list[rights.PermissionGrant]
    break_glass: Id | None


def system_role(role: matrix.SystemRole) -> Role:
    grants = [grant.shown() for grant in role.grants]
    return {"slug": role.name, "name": role.name, "description": role.description, "is_system": True, "grants": grants}


def role(role: models.Role) -> Role:
    return {
        "slug": role.slug,
        "name": role.name,
        "description": role.description,
        "is_system": False,
        "grants": [grant.shown() for grant in roles.grants_of(role)],
    }


def member(membership: models.Membership) -> Member:
    return {
        "user_id": ids.encode("user", membership.user_id),
        "email": membership.user.email,
        "name": membership.user.name,
        "is_active": membership.user.is_active,
        "roles": sorted(row.system_role or row.role.slug for row in membership.roles.all()),
        "created_at": validation.to_text(membership.created_at),
    }


def access(access: models.BreakGlass) -> EmergencyAccess:
    return {
        "id": ids.encode("glass", access.id),
        "user": access.user.email,
        "reason": access.reason,
        "ticket": access.ticket,
        "is_read_only": access.is_read_only,
        "state": break_glass.state(access, now=timezone.now()),
        "opened_at": validation.to_text(access.opened_at),
        "expires_at": validation.to_text(access.expires_at),
        "approved_by": access.approved_by.email if access.approved_by else None,
        "closed_at": validation.to_text(access.closed_at) if access.closed_at else None,
    }


def all_roles() -> list[Document]:
    """The roles members can be given: those of the program, and the tenant's own."""
    system = [system_role(matrix.system_roles()[name]) for name in matrix.assignable()]
    return [*system, *(role(row) for row in models.Role.objects.prefetch_related("grants"))]


def memberships() -> QuerySet[models.Membership, models.Membership]:
    """Of the tenant at work, with what their documents show."""
    rows = models.Membership.objects.filter(tenant_id=scope.current_id())
    return rows.select_related("user").prefetch_related("roles__role")


def members_by_id(user_ids: Sequence[str]) -> Mapping[str, Document]:
    """Those of the users who are members, if the request at work may read members."""
    rows = memberships().filter(user_id__in=[ids.decode("user", each) for each in user_ids])
    return {document["user_id"]: document for document in map(member, limiting.among(rows, "users:read"))}


def _roles_by_slug(slugs: Sequence[str]) -> Mapping[str, Document]:
    if limiting.held("roles:read") == ():
        return {}
    return {document["slug"]: document for document in all_roles() if document["slug"] in slugs}


ROLES = Listing(
    document=Role,
    filters={"slug": filters.words(*filters.SAME), "is_system": filters.flag()},
    sorts={"slug": "slug"},
    default="slug",
)

MEMBERS = Listing(
    document=Member,
    filters={
        "email": filters.words(column="user__email", read=filters.email),
        "is_active": filters.flag(column="user__is_active"),
        "user_id": filters.object_id("user"),
        "created_at": filters.moments(),
    },
    default="created_at",
    expansions={"held_roles": Expansion(listing.member("roles"), _roles_by_slug, listing=lambda: ROLES)},
)

BREAK_GLASS = Listing(
    document=EmergencyAccess,
    filters={
        "user": filters.words(column="user__email"),
        "ticket": filters.words(),
        "is_read_only": filters.flag(),
        "opened_at": filters.moments(),
        "expires_at": filters.moments(),
        "closed_at": filters.moments(),
    },
)  # fmt: skip
