"""Which tenant a request is for: its host and the `X-Tenant` of server clients must agree. There is no default one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import validate_host

from apps.kernel import api, client, errors, isolation, wording
from apps.tenants import modules, resolution, scope

log = structlog.get_logger(__name__)

HEADER = "X-Tenant"
# Probes and scrapers come by address, and nothing below depends on the host; the address of a file names its tenant.
_ANY_HOST = ("/health", "/metrics", "/static/", "/favicon.ico", settings.MEDIA_URL)
# These serve the installation, not a tenant, on its own hosts and on those of tenants.
_PLATFORM = (
    "/api/docs",
    "/api/redoc",
    "/api/schema",
    "/schemas",
    "/asyncapi.json",
    "/docs/",
    "/events/catalogue",
    "/problems/",
    settings.CSP_REPORT_PATH,
)
# So do these, but where a tenant is named, they work for it.
_OPTIONAL = ("/admin/", "/api/v1/auth/", "/llms")


class HostNotServed(errors.DomainError):
    """The host is neither one of the installation's own nor a tenant's. Use a domain of a tenant."""

    code = "host_not_served"


class TenantMiddleware:
    refuses = (
        HostNotServed,
        scope.TenantNotFound,
        resolution.TenantInactive,
        resolution.MalformedTenantName,
    )

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(_ANY_HOST):
            return self.get_response(request)
        try:
            known = self._tenant_for(request)
        except errors.DomainError as error:
            named = (_named(request) or "")[:100]
            log.info("tenants.refused", code=error.code, host=client.of(request).host, header=named)
            return api.problem_response(error)
        if known is None:
            return self.get_response(request)
        with scope.use(known.scope):
            return self.get_response(request)

    def _tenant_for(self, request: HttpRequest) -> resolution.Known | None:
        """None for work without a tenant. Raises what `resolve` does, and HostNotServed."""
        if request.path == "/" or request.path.startswith(_PLATFORM):
            _check_host_is_served(request)
            return None
        host = client.of(request).host
        is_optional = request.path.startswith(_OPTIONAL) and _is_own(host) and _named(request) is None
        if is_optional and resolution.find_by_host(host) is None:
            return None
        return resolve(request)


class ModuleMiddleware:
    """What belongs to a module the tenant has switched off is answered as an address that is not there."""

    refuses = (errors.NotFound,)

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


def resolve(request: HttpRequest) -> resolution.Known:
    """The one tenant that everything in the request names.

    Raises TenantNotFound also where two names disagree, TenantInactive, MalformedTenantName. What comes later with
    the request and belongs to a tenant, such as an API key, is held against it by `scope.require_agreement`.
    """
    asking = client.of(request)
    by_host = resolution.find_by_host(asking.host)
    if by_host is None and not _is_own(asking.host):
        raise scope.TenantNotFound
    named = _named(request)
    by_name = resolution.find_by_name(named) if named is not None else None
    # A proxy may call us by a name of its own; if that leads to a tenant too, the two must not be played off.
    by_inner_host = resolution.find_by_host(asking.inner_host) if asking.inner_host != asking.host else None
    if named is not None and by_name is None:
        raise scope.TenantNotFound
    found = [known for known in (by_host, by_name, by_inner_host) if known is not None]
    if len({known.scope.tenant_id for known in found}) != 1 or (by_host or by_name) is None:
        raise scope.TenantNotFound
    if not found[0].is_active:
        raise resolution.TenantInactive(wording.say('The tenant "{slug}" is switched off.', slug=found[0].scope.slug))
    return found[0]


def _named(request: HttpRequest) -> str | None:
    name: str | None = request.headers.get(HEADER)
    return name


def _is_own(host: str) -> bool:
    return validate_host(host, settings.PLATFORM_HOSTS)


def _check_host_is_served(request: HttpRequest) -> None:
    host = client.of(request).host
    if not _is_own(host) and resolution.find_by_host(host) is None:
        raise HostNotServed(
            wording.say(
                'The host "{host}" is not served here: use a domain of a tenant, or one of RUSTOK_ALLOWED_HOSTS.',
                host=host,
            )
        )
