"""Which web pages elsewhere may read the API: those at a domain of the very tenant they ask about.

django-cors-headers answers; it asks here about each request that comes from another origin. docs/explanation/edge.md
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from corsheaders.signals import check_request_enabled
from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest

from apps.kernel import client, errors
from apps.tenants import middleware, resolution

_PREFIX = "/api/"


@receiver(check_request_enabled, dispatch_uid="tenants.origins")
def is_allowed(*, request: HttpRequest, **_: Any) -> bool:
    """Whether the page that asks belongs to the tenant the request is for; no query beyond those that are cached."""
    origin = request.headers.get("Origin")
    if origin is None or not request.path_info.startswith(_PREFIX):
        return False
    try:
        asking = tenant_of(origin)
        return asking is not None and asking.is_active and _is_about(request, asking)
    except errors.DomainError:
        return False


def tenant_of(origin: str) -> resolution.Known | None:
    """The tenant at whose domain a page of this origin is: `https://<domain>`, outside production at any port."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname
    if host is None or parts.scheme not in settings.ORIGIN_SCHEMES:
        return None
    if origin != f"{parts.scheme}://{host}" + (f":{port}" if port is not None else ""):
        return None
    # Browsers leave the usual port out: one that is there is another port.
    return resolution.find_by_host(host) if port is None or settings.ORIGIN_ANY_PORT else None


def _is_about(request: HttpRequest, asking: resolution.Known) -> bool:
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        # A preflight does not carry `X-Tenant`. On a host of the installation any tenant's page may go on to ask, and
        # is then held against the tenant it names.
        at_host = resolution.find_by_host(client.of(request).host)
        return at_host is None or at_host.scope.tenant_id == asking.scope.tenant_id
    return middleware.resolve(request).scope.tenant_id == asking.scope.tenant_id
