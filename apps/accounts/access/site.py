"""The admin site: on a tenant's host for those who hold something there, elsewhere for the platform's own staff."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from apps.accounts import admin_second_factor, admin_sessions
from apps.accounts.access import backend, catalogue, limiting
from apps.accounts.services import second_factors
from apps.tenants import scope


class AccessAdminSite(admin.AdminSite):
    site_header = site_title = "RusToK"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the admin opens at all."""
        return may_enter(request.user) and not admin_sessions.is_too_weak(request)

    def get_urls(self) -> list[Any]:
        return [path("second-factor/", self.second_factor, name="second_factor"), *super().get_urls()]

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Whoever lacks nothing but a second factor is led to set one up, or told to log in with its code."""
        lacks_code = may_enter(request.user) and admin_sessions.is_too_weak(request)
        if lacks_code and request.method == "GET" and second_factors.confirmed_at(request.user) is None:
            return HttpResponseRedirect(reverse("admin:second_factor", current_app=self.name))
        return super().login(request, {**(extra_context or {}), "lacks_code": lacks_code})

    @method_decorator(never_cache)
    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """One's own; it opens also to those who may not go on without."""
        if not may_enter(request.user):
            return HttpResponseRedirect(reverse("admin:login", current_app=self.name))
        return admin_second_factor.page(request, self.each_context(request))


def may_enter(user: Any) -> bool:
    """Whether somebody who has proved to be this user works here."""
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
