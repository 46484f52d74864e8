"""Menus."""

from __future__ import annotations

from django.contrib import admin

from apps.content import models
from apps.tenants.admin import TenantReadOnlyAdmin


@admin.register(models.Menu)
class MenuAdmin(TenantReadOnlyAdmin):
    resource = "menus"
    list_display = ("name", "tenant", "location", "updated_at")
    list_filter = ("location",)
    search_fields = ("name", "external_id")
    ordering = ("-id",)
