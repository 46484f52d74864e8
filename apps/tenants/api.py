"""The tenant's own data: `/api/v1/admin/tenant`."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.kernel import api, filters
from apps.kernel.listing import Listing
from apps.tenants import endpoint, events, models, modules, queries, scope, services
from apps.tenants.endpoint import Endpoint


def _shown(tenant: models.Tenant) -> dict[str, Any]:
    return {
        "slug": tenant.slug,
        "name": tenant.name,
        "default_locale": tenant.default_locale,
        "currency": tenant.currency,
        "is_active": tenant.is_active,
        "settings": tenant.settings,
        "domains": sorted(domain.host for domain in tenant.domains.all()),
        "locales": sorted(entry.locale for entry in tenant.locales.all() if entry.is_enabled),
    }


def _current() -> models.Tenant:
    return models.Tenant.objects.prefetch_related("domains", "locales").get(id=scope.current_id())


class TenantView(Endpoint):
    versioned = endpoint.Versioned(events.AGGREGATE, lambda parts: scope.current_id())
    permissions = {"GET": "settings:read", "PATCH": "settings:update"}

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=["tenant"], operation_id="tenant_get")
    def get(self, request: Request) -> Response:
        """The tenant with its domains and locales."""
        return Response(_shown(_current()))

    @extend_schema(
        request=services.TenantChanges, responses=OpenApiTypes.OBJECT, tags=["tenant"], operation_id="tenant_update"
    )
    def patch(self, request: Request) -> Response:
        """Change what is given."""
        services.update_tenant(tenant=_current(), changes=api.read_input(request, services.TenantChanges))
        return Response(_shown(_current()))


class LocalesView(Endpoint):
    permissions = {"POST": "settings:create"}

    @extend_schema(
        request=services.LocaleChoice, responses=OpenApiTypes.OBJECT, tags=["tenant"], operation_id="locale_enable"
    )
    def post(self, request: Request) -> Response:
        """Publish in a language."""
        choice = api.read_input(request, services.LocaleChoice)
        services.enable_locale(tenant=_current(), locale=choice.locale, name=choice.name)
        return Response(_shown(_current()), status=201)


class LocaleView(Endpoint):
    permissions = {"DELETE": "settings:delete"}

    @extend_schema(responses={204: None}, tags=["tenant"], operation_id="locale_disable")
    def delete(self, request: Request, locale: str) -> Response:
        """Stop publishing in a language."""
        services.disable_locale(tenant=_current(), locale=locale)
        return Response(status=204)


MODULES = Listing(
    members=frozenset({"slug", "name", "description", "version", "depends_on", "is_core", "enabled", "settings"}),
    filters={"slug": filters.words(), "is_core": filters.flag(), "enabled": filters.flag()},
    sorts={"slug": "slug"},
    default="slug",
)


class ModulesView(Endpoint):
    listing: ClassVar = MODULES
    permissions: ClassVar = {"GET": "modules:list"}

    @extend_schema(
        parameters=MODULES.parameters(), responses=OpenApiTypes.OBJECT, tags=["modules"], operation_id="module_list"
    )
    def get(self, request: Request) -> Response:
        """Every module there is, what it depends on, and whether the tenant has it."""
        return MODULES.respond_all(request, _modules())


class ModuleView(Endpoint):
    permissions: ClassVar = {"PATCH": "modules:update"}

    @extend_schema(
        request=services.ModuleChoice, responses=OpenApiTypes.OBJECT, tags=["modules"], operation_id="module_choose"
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Switch a module on or off, or change its settings."""
        services.choose_module(tenant=_current(), slug=slug, choice=api.read_input(request, services.ModuleChoice))
        return Response(next(shown for shown in _modules() if shown["slug"] == slug))


def _modules() -> list[dict[str, Any]]:
    tenant = _current()
    on = queries.scope_of(tenant).modules
    settings = dict(tenant.modules.values_list("slug", "settings"))
    return [
        {
            "slug": module.slug,
            "name": module.name,
            "description": module.description,
            "version": module.version,
            "depends_on": list(module.depends_on),
            "is_core": module.is_core,
            "enabled": module.slug in on,
            "settings": settings.get(module.slug, {}),
        }
        for module in modules.all_modules()
    ]


urlpatterns = [
    path("modules", ModulesView.as_view()),
    path("modules/<slug:slug>", ModuleView.as_view()),
    path("tenant", TenantView.as_view()),
    path("tenant/locales", LocalesView.as_view()),
    path("tenant/locales/<str:locale>", LocaleView.as_view()),
]
