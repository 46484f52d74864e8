"""The tenant's own data: `/api/v1/admin/tenant`."""

from __future__ import annotations

from typing import ClassVar, TypedDict

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from apps.kernel import api, filters
from apps.kernel.listing import Listing
from apps.kernel.operations import Free, operation
from apps.tenants import endpoint, events, models, modules, queries, scope, services
from apps.tenants.endpoint import Endpoint


class Tenant(TypedDict):
    slug: str
    name: str
    default_locale: str
    currency: str
    is_active: bool
    settings: Free
    domains: list[str]
    locales: list[str]


class Module(TypedDict):
    """A part of the platform that a tenant can have or not; a core module is always on."""

    slug: str
    name: str
    description: str
    version: str
    depends_on: list[str]
    is_core: bool
    enabled: bool
    settings: Free


def _shown(tenant: models.Tenant) -> Tenant:
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

    @operation("tenant_get", tag="tenant", answers=Tenant)
    def get(self, request: Request) -> Response:
        """The tenant with its domains and locales."""
        return Response(_shown(_current()))

    @operation("tenant_update", tag="tenant", takes=services.TenantChanges, answers=Tenant)
    def patch(self, request: Request) -> Response:
        """Change what is given."""
        services.update_tenant(tenant=_current(), changes=api.read_input(request, services.TenantChanges))
        return Response(_shown(_current()))


class LocalesView(Endpoint):
    permissions = {"POST": "settings:create"}

    @operation("locale_enable", tag="tenant", takes=services.LocaleChoice, answers=Tenant, status=201)
    def post(self, request: Request) -> Response:
        """Publish in a language."""
        choice = api.read_input(request, services.LocaleChoice)
        services.enable_locale(tenant=_current(), locale=choice.locale, name=choice.name)
        return Response(_shown(_current()), status=201)


class LocaleView(Endpoint):
    permissions = {"DELETE": "settings:delete"}

    @operation("locale_disable", tag="tenant", refuses=(services.LocaleInUse,))
    def delete(self, request: Request, locale: str) -> Response:
        """Stop publishing in a language."""
        services.disable_locale(tenant=_current(), locale=locale)
        return Response(status=204)


MODULES = Listing(
    document=Module,
    filters={"slug": filters.words(), "is_core": filters.flag(), "enabled": filters.flag()},
    sorts={"slug": "slug"},
    default="slug",
)


class ModulesView(Endpoint):
    listing: ClassVar = MODULES
    permissions: ClassVar = {"GET": "modules:list"}

    @operation("module_list", tag="modules", answers=Module)
    def get(self, request: Request) -> Response:
        """Every module there is, what it depends on, and whether the tenant has it."""
        return MODULES.respond_all(request, _modules())


class ModuleView(Endpoint):
    permissions: ClassVar = {"PATCH": "modules:update"}

    @operation(
        "module_choose",
        tag="modules",
        takes=services.ModuleChoice,
        answers=Module,
        refuses=(modules.UnknownModule, services.ModuleNeeded),
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Switch a module on or off, or change its settings."""
        services.choose_module(tenant=_current(), slug=slug, choice=api.read_input(request, services.ModuleChoice))
        return Response(next(shown for shown in _modules() if shown["slug"] == slug))


def _modules() -> list[Module]:
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
