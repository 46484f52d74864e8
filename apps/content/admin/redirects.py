"""Redirects in the admin: made when a node gets another slug, given up when somebody takes the old one."""

from __future__ import annotations

from django.contrib import admin

from apps.accounts.access.site import LimitedAdmin
from apps.content import models, permitted
from apps.tenants.admin import TenantReadOnlyAdmin


@admin.register(models.Redirect)
class RedirectAdmin(LimitedAdmin, TenantReadOnlyAdmin):
    resource = "nodes"
    columns = permitted.OF_TEXT
    list_display = ("slug", "tenant", "kind", "locale", "node_id", "created_at")
    list_filter = ("kind", "locale")
    search_fields = ("slug",)
    ordering = ("-id",)
