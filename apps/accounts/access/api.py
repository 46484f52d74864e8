"""Who may do what in the tenant: `/api/v1/admin/roles`, `members`, `me/permissions` and `break-glass`."""

from __future__ import annotations

import uuid
from typing import Annotated

from django.urls import path
from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts import models
from apps.accounts.access import (
    break_glass,
    catalogue,
    engine,
    granting,
    limiting,
    lists,
    matrix,
    members,
    rights,
    roles,
)
from apps.accounts.permissions import InTenant
from apps.kernel import api, ids, validation, wording
from apps.kernel.operations import operation
from apps.tenants.endpoint import Endpoint

ACCESS = "access"


RoleNames = Annotated[list[roles.RoleName], Field(max_length=100)]


class MemberRoles(validation.Input):
    """All roles the member is to hold: system roles by name, the tenant's own by slug."""

    roles: RoleNames


def granter(request: Request) -> granting.Granter:
    """Who makes a change of rights, for the services. Raises NotPermitted."""
    user = request.user
    if not isinstance(user, models.User):
        raise limiting.NotPermitted(wording.say("Only accounts of people change who may do what."))
    return granting.Granter(user, getattr(request.auth, "scopes", None), timezone.now())


class RolesView(Endpoint):
    listing = lists.ROLES
    permissions = {"GET": "roles:list", "POST": "roles:create"}

    @operation("role_list", tag=ACCESS, answers=lists.Role)
    def get(self, request: Request) -> Response:
        """The roles members can be given: those of the program, and the tenant's own."""
        return lists.ROLES.respond_all(request, lists.all_roles())

    @operation(
        "role_create",
        tag=ACCESS,
        takes=roles.NewRole,
        answers=lists.Role,
        status=201,
        refuses=(roles.RoleTaken, catalogue.UnknownPermission, rights.UnknownConstraint, granting.CannotGrant),
    )
    def post(self, request: Request) -> Response:
        """A role of the tenant's own; it gives nothing you do not hold yourself."""
        role = roles.create_role(new=api.read_input(request, roles.NewRole), by=granter(request))
        return Response(lists.role(role), status=201)


class RoleView(Endpoint):
    permissions = {"GET": "roles:read", "PATCH": "roles:update", "DELETE": "roles:delete"}

    @operation("role_get", tag=ACCESS, answers=lists.Role, refuses=(roles.RoleNotFound, roles.SystemRole))
    def get(self, request: Request, slug: str) -> Response:
        """The role with what it gives."""
        if slug in matrix.assignable():
            return Response(lists.system_role(matrix.system_roles()[slug]))
        return Response(lists.role(roles.get_own(slug)))

    @operation(
        "role_update",
        tag=ACCESS,
        takes=roles.RoleChanges,
        answers=lists.Role,
        refuses=(
            roles.RoleNotFound,
            roles.SystemRole,
            catalogue.UnknownPermission,
            rights.UnknownConstraint,
            granting.CannotGrant,
        ),
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change what is given; in force for all who hold it when this answers."""
        changes = api.read_input(request, roles.RoleChanges)
        roles.update_role(slug=slug, changes=changes, by=granter(request))
        return Response(lists.role(roles.get_own(slug)))

    @operation(
        "role_delete", tag=ACCESS, refuses=(roles.RoleNotFound, roles.SystemRole, roles.RoleInUse, granting.CannotGrant)
    )
    def delete(self, request: Request, slug: str) -> Response:
        """Delete a role nobody holds."""
        roles.delete_role(slug=slug, by=granter(request))
        return Response(status=204)


class MembersView(Endpoint):
    listing = lists.MEMBERS
    permissions = {"GET": "users:list"}

    @operation("member_list", tag=ACCESS, answers=lists.Member)
    def get(self, request: Request) -> Response:
        """Members with their roles, in the order they came."""
        rows = lists.memberships()
        return lists.MEMBERS.respond(request, rows, lambda page: [lists.member(row) for row in page])


class MemberView(Endpoint):
    permissions = {"PATCH": "users:update", "DELETE": "users:delete"}

    @operation(
        "member_set_roles",
        tag=ACCESS,
        takes=MemberRoles,
        answers=lists.Member,
        refuses=(
            members.MemberNotFound,
            granting.UnknownRole,
            granting.CannotGrant,
            members.OwnRoles,
            members.LastOwner,
        ),
    )
    def patch(self, request: Request, user_id: str) -> Response:
        """Give the member exactly these roles; none that gives, or takes, what you do not hold yourself."""
        wanted = api.read_input(request, MemberRoles)
        membership = members.set_roles(user_id=ids.decode("user", user_id), roles=wanted.roles, by=granter(request))
        return Response(lists.member(membership))

    @operation("member_remove", tag=ACCESS, refuses=(members.MemberNotFound, granting.CannotGrant, members.LastOwner))
    def delete(self, request: Request, user_id: str) -> Response:
        """End the membership; the account stays."""
        members.remove_member(user_id=ids.decode("user", user_id), by=granter(request))
        return Response(status=204)


class MyPermissionsView(Endpoint):
    permission_classes = (InTenant,)
    public = "whoever is logged in may know what they may do"

    @operation("my_permissions", tag=ACCESS, answers=lists.OwnPermissions)
    def get(self, request: Request) -> Response:
        """What you may do in this tenant, within the scopes of the key or token you came with."""
        held = engine.acting() or rights.NOTHING
        return Response(
            {
                "roles": list(held.roles),
                "permissions": held.shown(),
                "break_glass": _shown_id(held.break_glass_id),
            }
        )


class BreakGlassView(Endpoint):
    listing = lists.BREAK_GLASS
    permissions = {"GET": "audit:list"}

    @operation("break_glass_list", tag=ACCESS, answers=lists.EmergencyAccess)
    def get(self, request: Request) -> Response:
        """Every emergency access of platform staff to this tenant, newest first: who, why, how long."""
        rows = break_glass.accesses()
        return lists.BREAK_GLASS.respond(request, rows, lambda page: [lists.access(row) for row in page])


def _shown_id(break_glass_id: uuid.UUID | None) -> str | None:
    return None if break_glass_id is None else ids.encode("glass", break_glass_id)


urlpatterns = [
    path("roles", RolesView.as_view()),
    path("roles/<str:slug>", RoleView.as_view()),
    path("members", MembersView.as_view()),
    path("members/<str:user_id>", MemberView.as_view()),
    path("me/permissions", MyPermissionsView.as_view()),
    path("break-glass", BreakGlassView.as_view()),
]
