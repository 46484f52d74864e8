"""Which tenant a request is for: by its host, or by `X-Tenant` from server clients. There is no default tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from apps.kernel import api, errors, isolation
from apps.tenants import models, modules, queries, scope

HEADER = "X-Tenant"
# These serve the installation, not a tenant; under `_OPTIONAL` a known host sets the scope, an unknown one is no error.
_EXEMPT = (
    "/health", "/metrics", "/api/docs", "/api/schema", "/schemas", "/asyncapi.json", "/events/catalogue", "/static/",
    "/favicon.ico",
)  # fmt: skip
_OPTIONAL = ("/admin/", "/api/v1/auth/")


class TenantMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/" or request.path.startswith(_EXEMPT):
            return self.get_response(request)
        try:
            tenant = resolve(request)
        except errors.DomainError as error:
            if request.path.startswith(_OPTIONAL) and isinstance(error, queries.TenantNotFound):
                return self.get_response(request)
            return api.problem_response(error)
        with scope.use(queries.scope_of(tenant)):
            return self.get_response(request)


class ModuleMiddleware:
    """What belongs to a module the tenant has switched off is answered as an address that is not there."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> HttpResponse | None:
        return api.not_found(request, Http404()) if modules.are_off(modules.owners_of(view)) else None


class PlatformAdminMiddleware:
    """On a host of no tenant the admin shows the rows of all tenants, to those who may everything."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/admin/") and scope.find() is None and request.user.is_superuser:
            with isolation.all_tenants(reason="platform admin"):
                return self.get_response(request)
        return self.get_response(request)


def resolve(request: HttpRequest) -> models.Tenant:
    """Raises TenantNotFound, TenantInactive, TenantMismatch."""
    host = request.get_host().rsplit(":", 1)[0].lower()
    by_host = queries.find_by_host(host=host)
    named = request.headers.get(HEADER)
    tenant = by_host
    if named is not None:
        tenant = queries.get_tenant(slug_or_id=named)
        if by_host is not None and by_host.id != tenant.id:
            raise queries.TenantMismatch(f"The host {host} and the header {HEADER}: {named} name different tenants.")
    if tenant is None:
        raise queries.TenantNotFound(f"The host {host} leads to no tenant; use a tenant's domain or send {HEADER}.")
    if not tenant.is_active:
        raise queries.TenantInactive(f'The tenant "{tenant.slug}" is suspended.')
    return tenant
