"""The client of a request: its address for limits and records, the host and scheme it used."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.kernel import api, context, errors, forwarding

_KEPT = "rustok.client"


class ClientMiddleware:
    """Everything inside sees the host and scheme the client used, and none of the headers that told of them."""

    refuses = (forwarding.MalformedHost, forwarding.MalformedForwarding)

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            found = of(request)
        except errors.DomainError as error:
            return api.problem_response(error)
        for name in forwarding.VARIABLES:
            request.META.pop(name, None)
        request.META["HTTP_HOST"] = found.host_as_sent
        scheme = request.META["wsgi.url_scheme"] = "https" if found.is_secure else "http"
        with context.use(client_address=str(found.address or ""), origin=f"{scheme}://{found.host_as_sent}"):
            return self.get_response(request)


def of(request: HttpRequest) -> forwarding.Client:
    """The client of a request, found once. Raises MalformedHost, MalformedForwarding."""
    kept: forwarding.Client | None = request.META.get(_KEPT)
    if kept is None:
        is_secure = request.META.get("wsgi.url_scheme") == "https"
        kept = request.META[_KEPT] = forwarding.find(
            request.META, trusted=settings.TRUSTED_PROXIES, is_secure=is_secure
        )
    return kept


def rate_key(request: HttpRequest) -> str:
    """What limits count by: an IPv4 address, or the /64 of an IPv6 one, since a single customer holds all of it."""
    address = of(request).address
    if address is None:
        return str(ipaddress.IPv4Address(0))  # all peers without an address share one limit
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)
    return str(address)
