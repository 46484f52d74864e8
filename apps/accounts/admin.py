from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from apps.accounts import events, models
from apps.accounts.access import granting, matrix, members
from apps.accounts.desk import installation
from apps.accounts.desk.asking import Asked
from apps.accounts.desk.screens import EditingAdmin
from apps.accounts.desk.sheets import Document, Field, Section, Sheet
from apps.accounts.services import invitations
from apps.kernel import context, validation
from apps.kernel.admin import ReadOnlyAdmin
from apps.tenants import scope
from apps.tenants.admin import ReadOnlyInline, TenantReadOnlyAdmin

__all__ = ["installation"]

admin.site.unregister(Group)  # it gives nothing here: roles do


@admin.register(models.User)
class UserAdmin(ReadOnlyAdmin):
    """People of the whole installation: for the platform. A tenant sees its members."""

    list_display = ("email", "name", "is_staff", "is_superuser", "is_active", "created_at")
    list_filter = ("is_staff", "is_active")
    search_fields = ("email", "name")
    exclude = ("password",)


class MembershipRoleInline(ReadOnlyInline):
    model = models.MembershipRole
    fields = ("system_role", "role")


@admin.register(models.Membership)
class MembershipAdmin(EditingAdmin):
    """Of the tenant of the host; on a host of no tenant, of all. Who comes new is invited."""

    resource = "users"
    called = ("member", "members")
    aggregate = events.MEMBER
    list_display = ("user", "tenant", "held", "created_at")
    list_filter = ("roles__system_role",)
    list_select_related = ("user", "tenant")
    search_fields = ("user__email", "user__name")
    inlines = (MembershipRoleInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).prefetch_related("roles__role")
        at_work = scope.find()
        return rows if at_work is None else rows.filter(tenant_id=at_work.tenant_id)

    @admin.display(description="roles")
    def held(self, row: models.Membership) -> str:
        return ", ".join(sorted(each.system_role or each.role.slug for each in row.roles.all()))

    def list_tools(self, request: HttpRequest) -> list[tuple[str, str]]:
        may_invite = admin.site._registry[models.Invitation].has_add_permission(request)
        return [("Invite somebody", reverse("admin:accounts_invitation_add"))] if may_invite else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def stream_id(self, row: Any) -> uuid.UUID:
        return uuid.UUID(str(row.user_id))

    def stored(self, request: HttpRequest, row: Any) -> Document:
        return {"roles": sorted(members.roles_of(row))}

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        note = f"What {row.user.name or row.user.email} may do here."
        return Sheet([Section(title="Roles", fields=[_roles("roles", "many")], note=note)])

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> int:
        if asked.changes("roles"):
            members.set_roles(user_id=row.user_id, roles=asked.many("roles"), by=_granter())
        return int(row.pk)

    def erase(self, row_id: int) -> None:
        membership = models.Membership.objects.filter(pk=row_id).first()
        if membership is not None:  # somebody else was quicker
            members.remove_member(user_id=membership.user_id, by=_granter())


@admin.register(models.Invitation)
class InvitationAdmin(EditingAdmin):
    """Into the tenant of the host; withdrawn by deleting it."""

    resource = "users"
    aggregate = "invitation"  # as the audit log has it
    list_display = ("email", "tenant", "role", "invited_by", "requested_at", "expires_at", "used_at")
    list_select_related = ("tenant", "invited_by")
    list_filter = ("role",)
    search_fields = ("email",)
    ordering = ("-id",)
    exclude = ("digest",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def stored(self, request: HttpRequest, row: Any) -> Document:
        return {}

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        note = "Whoever reads the mail may accept for 72 hours. It can give what you hold yourself."
        fields = [Field(name="email", label="E-mail address", is_required=True), _roles("role", "choice")]
        return Sheet([Section(title="", fields=fields, note=note)])

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID:
        given = {"email": asked.text("email"), "role": asked.text("role")}
        new = validation.parse(invitations.NewInvitation, given)
        row = invitations.invite(new=new, by=_granter().user, now=timezone.now())
        return uuid.UUID(str(row.pk))

    def erase(self, row_id: uuid.UUID) -> None:
        invitations.withdraw(invitation_id=row_id)


def _roles(name: str, kind: str) -> Field:
    """The roles of the program that people are given, and the tenant's own."""
    own = models.Role.objects.order_by("slug").values_list("slug", "name")
    known = ((name, name.replace("_", " ").capitalize()) for name in matrix.assignable())
    return Field(name=name, label="Roles" if kind == "many" else "Role", kind=kind, choices=(*known, *own))


def _granter() -> granting.Granter:
    """Who is at this screen."""
    user_id = uuid.UUID(context.current().actor.removeprefix("user:"))
    return granting.Granter(models.User.objects.get(id=user_id), None, timezone.now())


class GrantInline(ReadOnlyInline):
    model = models.Grant
    fields = ("permission", "constraint")


@admin.register(models.Role)
class RoleAdmin(TenantReadOnlyAdmin):
    resource = "roles"
    list_display = ("slug", "tenant", "name", "updated_at")
    search_fields = ("slug", "name")
    ordering = ("slug",)
    inlines = (GrantInline,)


@admin.register(models.BreakGlass)
class BreakGlassAdmin(TenantReadOnlyAdmin):
    resource = "audit"
    list_display = ("opened_at", "tenant", "user", "reason", "ticket", "is_read_only", "expires_at", "closed_at")
    list_select_related = ("tenant", "user")
    search_fields = ("reason", "ticket", "user__email")
    ordering = ("-id",)


@admin.register(models.Customer)
class CustomerAdmin(TenantReadOnlyAdmin):
    resource = "customers"
    list_display = ("email", "name", "is_active", "created_at", "last_login")
    list_filter = ("is_active",)
    search_fields = ("email", "name")
    exclude = ("password", "session_version")
