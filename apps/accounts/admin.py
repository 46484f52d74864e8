from __future__ import annotations

from django.contrib import admin

from apps.accounts import models
from apps.kernel.admin import ReadOnlyAdmin


@admin.register(models.User)
class UserAdmin(ReadOnlyAdmin):
    list_display = ("email", "name", "is_staff", "is_superuser", "is_active", "created_at")
    list_filter = ("is_staff", "is_active")
    search_fields = ("email", "name")
    exclude = ("password",)


@admin.register(models.Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("user", "tenant", "role", "created_at")
    list_filter = ("role", "tenant")
    list_select_related = ("user", "tenant")


@admin.register(models.Customer)
class CustomerAdmin(ReadOnlyAdmin):
    list_display = ("email", "name", "is_active", "created_at", "last_login")
    list_filter = ("is_active",)
    search_fields = ("email", "name")
    exclude = ("password", "session_version")
