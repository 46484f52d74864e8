"""The admin site: on a tenant's host for those who hold something there, elsewhere for the platform's own staff."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.access import backend, catalogue, limiting
from apps.tenants import scope


class AccessAdminSite(admin.AdminSite):
    site_header = site_title = "RusToK"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the admin opens at all."""
        user = request.user
        if not (user.is_active and user.is_staff):
            return False
        if user.is_superuser or any(user.has_perm(name) for name in catalogue.PLATFORM_PERMISSIONS):
            return True
        return scope.find() is not None and bool(backend.rights_here(user).alternatives)


class LimitedAdmin(admin.ModelAdmin[Any]):
    """A screen that shows the rows within the constraints of who looks; `columns` say where rows hold them."""

    resource: str
    columns: limiting.Columns

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        user = request.user
        if user.is_superuser:
            return rows
        alternatives = backend.rights_here(user).on(f"{self.resource}:read")
        found = self.model._default_manager.filter(limiting.predicate(alternatives, self.columns))
        return rows.filter(pk__in=found.values("pk"))
