"""Tenants in the admin, readable; and the base the other apps' screens stand on."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models as django_models
from django.http import HttpRequest

from apps.tenants import models, scope


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Readable, not writable: writes go through services so that they have their events."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TenantReadOnlyAdmin(ReadOnlyAdmin):
    """Rows of the tenant the host leads to; on a host of no tenant, the rows of all."""

    list_select_related = ("tenant",)

    def get_queryset(self, request: HttpRequest) -> django_models.QuerySet[Any]:
        if scope.find() is not None:
            return super().get_queryset(request)
        queryset = self.model.all_tenants(reason="platform admin list")
        ordering = self.get_ordering(request)
        return queryset.order_by(*ordering) if ordering else queryset


class DomainInline(admin.TabularInline[models.Domain, models.Tenant]):
    model = models.Domain
    extra = 0
    can_delete = False


class LocaleInline(admin.TabularInline[models.TenantLocale, models.Tenant]):
    model = models.TenantLocale
    extra = 0
    can_delete = False


@admin.register(models.Tenant)
class TenantAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "default_locale", "currency", "is_active", "created_at")
    list_filter = ("is_active",)
    search_fields = ("slug", "name", "domains__host")
    inlines = (DomainInline, LocaleInline)
