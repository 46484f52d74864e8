"""Rate limits of HTTP: what a request is charged, and to whom. docs/explanation/rate-limits.md

A request is charged once. Where nobody has to say who they are, or nobody did, it is charged to the address before
the view; else by `charge`, as soon as authentication knows the account. What neither has charged, because there is no
such path or the token did not hold, is charged to the address at the end, and answered 429 instead when that was
one too many. From then on the address is refused before anything is looked at.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from apps.kernel import api, client
from apps.kernel.limits import deciding, headers, policies
from apps.tenants import scope

# Probes and scrapers ask whatever happens.
_EXEMPT = ("/health", "/metrics")
# A page may have more pictures than a client has requests, and none of them costs a query.
_BELOW = ("/health/", settings.MEDIA_URL)
_KEPT = "rustok.limits"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is charged; `name` is unique among all kinds."""

    kind: Literal["anonymous", "user", "key"]
    name: str


class LimitMiddleware:
    """Outside of what finds the tenant, so that unknown hosts are charged too."""

    refuses = (deciding.QuotaExceeded,)

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _is_exempt(request):
            return self.get_response(request)
        unserved = _unserved(request)
        verdict = deciding.find_refusal(unserved)
        response = _refuse(verdict) if verdict else self.get_response(request)
        if verdict is None and (verdict := _charged(request)) is None and unserved:
            verdict = deciding.decide(unserved)
            if not verdict.is_admitted:
                response.close()
                response = _refuse(verdict)
        if verdict is not None:
            headers.put(response, verdict)
        return response

    def process_view(
        self, request: HttpRequest, view: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> HttpResponse | None:
        view_class = _class_of(view)
        if _is_exempt(request):
            return None
        if "Authorization" in request.headers and getattr(view_class, "authentication_classes", None):
            return None  # authentication says who it is
        try:
            _charge(request, view_class, _visitor(request, view_class))
        except deciding.QuotaExceeded as refusal:
            return api.problem_response(refusal)
        return None


def charge(request: Request, *, account_id: uuid.UUID | None = None, key_id: uuid.UUID | None = None) -> None:
    """Charge the request to the key or account that it proved to be of, else to the address. Raises QuotaExceeded."""
    subject = Subject("anonymous", client.rate_key(request._request))
    if key_id:
        subject = Subject("key", f"key:{key_id}")
    elif account_id:
        subject = Subject("user", f"user:{account_id}")
    _charge(request._request, type((request.parser_context or {}).get("view")), subject)


def endpoint_class(view_class: type[Any] | None, method: str) -> policies.EndpointClass:
    """What a view declares as `limit_class`, for all methods or by method; else by what the method does."""
    declared = getattr(view_class, "limit_class", None)
    if isinstance(declared, dict):
        declared = declared.get(method)
    by_method: policies.EndpointClass = "read" if method in {"GET", "HEAD", "OPTIONS"} else "write"
    return declared or by_method


def endpoint_cost(view_class: type[Any] | None, method: str) -> int:
    """What a view declares as `limit_cost`, for all methods or by method; else 1."""
    declared = getattr(view_class, "limit_cost", 1)
    cost: int = declared.get(method, 1) if isinstance(declared, dict) else declared
    return cost


def _charge(request: HttpRequest, view_class: type[Any] | None, subject: Subject) -> None:
    """Once per request, however often it is asked. Raises QuotaExceeded."""
    verdict = _charged(request)
    if verdict is None:
        method = request.method or "GET"
        charges = _charges(
            subject, client.rate_key(request), endpoint_class(view_class, method), endpoint_cost(view_class, method)
        )
        verdict = request.META[_KEPT] = deciding.decide(charges)
    if not verdict.is_admitted:
        raise deciding.QuotaExceeded(verdict)


def _charges(subject: Subject, address: str, endpoint: policies.EndpointClass, cost: int) -> list[policies.Charge]:
    """What guards secrets counts for all tenants together: whoever guesses goes wherever there is room."""
    at_work = scope.find()
    bounds = settings.LIMITS.under(at_work.limits if at_work else {})
    where = str(at_work.tenant_id) if at_work else "-"
    counted: list[tuple[str, str, int]] = []
    if endpoint == policies.AUTH:
        counted.append((policies.AUTH, subject.name, cost))
    else:
        counted += [(subject.kind, f"{where}:{subject.name}", cost), (endpoint, f"{where}:{subject.name}", cost)]
        if at_work:
            counted.append((policies.TENANT, where, cost))
    if subject.kind == "anonymous":
        counted.append(("address", address, cost))
    return [
        policies.Charge(policy, who, limit, min(cost, limit))
        for policy, who, cost in counted
        if (limit := getattr(bounds, policy))
    ]


def _is_exempt(request: HttpRequest) -> bool:
    return request.path in _EXEMPT or request.path.startswith(_BELOW)


def _unserved(request: HttpRequest) -> list[policies.Charge]:
    limit = settings.LIMITS.unserved
    return [policies.Charge("unserved", client.rate_key(request), limit)] if limit else []


def _visitor(request: HttpRequest, view_class: type[Any] | None) -> Subject:
    """Whoever is logged in to the admin, else the address. The API does not know cookies."""
    is_page = not hasattr(view_class, "authentication_classes")
    if is_page and settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
        return Subject("user", f"user:{request.user.pk}")
    return Subject("anonymous", client.rate_key(request))


def _charged(request: HttpRequest) -> policies.Verdict | None:
    verdict: policies.Verdict | None = request.META.get(_KEPT)
    return verdict


def _refuse(verdict: policies.Verdict) -> HttpResponse:
    return api.problem_response(deciding.QuotaExceeded(verdict))


def _class_of(view: Any) -> type[Any] | None:
    found: type[Any] | None = getattr(view, "cls", None) or getattr(view, "view_class", None)
    return found
