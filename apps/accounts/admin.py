from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts import models
from apps.accounts.desk import installation
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
class MembershipAdmin(TenantReadOnlyAdmin):
    """Of the tenant of the host; on a host of no tenant, of all."""

    resource = "users"
    called = ("member", "members")
    list_display = ("user", "tenant", "created_at")
    list_filter = ("roles__system_role",)
    list_select_related = ("user", "tenant")
    search_fields = ("user__email", "user__name")
    inlines = (MembershipRoleInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        at_work = scope.find()
        return rows if at_work is None else rows.filter(tenant_id=at_work.tenant_id)


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
