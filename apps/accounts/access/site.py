"""The admin site: on a tenant's host for those who hold something there, elsewhere for the platform's own staff."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from apps.accounts import admin_joining, admin_second_factor, admin_sessions
from apps.accounts.access import backend, catalogue, limiting
from apps.accounts.desk import dashboard, previewing
from apps.accounts.services import second_factors
from apps.tenants import scope

# What people do, and the apps whose screens are for it unless a screen names another `group`.
GROUPS = {
    "Content": ("content", "media"),
    "Catalogue": ("commerce",),
    "Stock": (),
    "People": ("accounts",),
    "Operations": (),
}


class AccessAdminSite(admin.AdminSite):
    site_header = site_title = "RusToK"
    index_title = "Today"
    index_template = "desk/index.html"
    site_url = None

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the admin opens at all."""
        return may_enter(request.user) and not admin_sessions.is_too_weak(request)

    def get_urls(self) -> list[Any]:
        return [
            path("join/", self.join, name="join"),
            path("second-factor/", self.second_factor, name="second_factor"),
            path("preview/", self.admin_view(previewing.page), name="preview"),
            *super().get_urls(),
        ]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        at_work = scope.find()
        return {**super().each_context(request), "desk_tenant": at_work.slug if at_work else None}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The dashboard, of the tenant of the host or of the installation."""
        backend.rights_here(request.user)
        panels = dashboard.panels(request)
        return super().index(request, {**(extra_context or {}), "panels": panels})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Screens by what people do, in the order apps register them; one app's own page has them as Django does."""
        apps = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        found: dict[str, list[Any]] = {name: [] for name in GROUPS}
        for app in apps:
            for entry in app["models"]:
                screen: Any = self._registry[entry["model"]]
                several: str = screen.names[1] if hasattr(screen, "names") else entry["name"]
                found[group_of(screen)].append(entry | {"name": several[:1].upper() + several[1:]})
        return [
            {
                "name": name,
                "app_label": name.lower(),
                "app_url": reverse("admin:index", current_app=self.name),
                "icon": name.lower(),
                "has_module_perms": True,
                "models": entries,
            }
            for name, entries in found.items()
            if entries
        ]

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Whoever lacks nothing but a second factor is led to set one up, or told to log in with its code."""
        lacks_code = may_enter(request.user) and admin_sessions.is_too_weak(request)
        if lacks_code and request.method == "GET" and second_factors.confirmed_at(request.user) is None:
            return HttpResponseRedirect(reverse("admin:second_factor", current_app=self.name))
        return super().login(request, {**(extra_context or {}), "lacks_code": lacks_code})

    @method_decorator(never_cache)
    def join(self, request: HttpRequest) -> HttpResponse:
        """For who has an invitation and perhaps no account yet."""
        return admin_joining.page(request, self.each_context(request))

    @method_decorator(never_cache)
    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """One's own; it opens also to those who may not go on without."""
        if not may_enter(request.user):
            return HttpResponseRedirect(reverse("admin:login", current_app=self.name))
        return admin_second_factor.page(request, self.each_context(request))


def group_of(screen: Any) -> str:
    """The heading a screen stands under."""
    label = screen.opts.app_label
    named: str | None = getattr(screen, "group", None)
    return named or next((name for name, labels in GROUPS.items() if label in labels), "Operations")


def may_enter(user: Any) -> bool:
    """Whether somebody who has proved to be this user works here: at the tenant of the host, or at the installation."""
    if not user.is_active:
        return False
    if user.is_staff and (user.is_superuser or any(user.has_perm(name) for name in catalogue.PLATFORM_PERMISSIONS)):
        return True
    return backend.works_here(user)


class LimitedAdmin(admin.ModelAdmin[Any]):
    """A screen that shows the rows within the constraints of who looks; `columns` say where rows hold them."""

    resource: str
    columns: limiting.Columns

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return limited(super().get_queryset(request), request, f"{self.resource}:read", self.columns)


def limited[Row: Model](
    rows: QuerySet[Row], request: HttpRequest, permission: str, columns: limiting.Columns
) -> QuerySet[Row]:
    """Those of the rows within the limits of who looks."""
    user: Any = request.user
    if user.is_superuser:
        return rows
    alternatives = backend.rights_here(user).on(permission)
    found = rows.model._default_manager.filter(limiting.predicate(alternatives, columns))
    return rows.filter(pk__in=found.values("pk"))
