"""The page of the admin on which people set up their authenticator app."""

from __future__ import annotations

from typing import Any, cast

import segno
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from apps.accounts import admin_sessions, models
from apps.accounts.clients import client_of
from apps.accounts.services import second_factors
from apps.kernel import context, errors, validation


def page(request: HttpRequest, shown: dict[str, Any]) -> HttpResponse:
    """What is set up, and the next step; `shown` is what every page of the admin shows.

    Whoever may not go on without a second factor is offered to leave, which the admin's own pages refuse them.
    """
    user, action = cast(models.User, request.user), request.POST.get("action")
    if action == "leave":
        logout(request)
        return HttpResponseRedirect(reverse("admin:login"))
    shown |= {"title": "Second factor", "is_nav_sidebar_enabled": False, "is_begun": action is not None}
    try:
        with context.use(actor=f"user:{user.pk}"):
            shown |= _step(request, user, action)
    except errors.DomainError as refusal:
        shown["problem"] = refusal.detail
    shown |= second_factors.state(user=user) | {"is_led_here": admin_sessions.is_too_weak(request)}
    return TemplateResponse(request, "accounts/second_factor.html", shown)


def _step(request: HttpRequest, user: models.User, action: str | None) -> dict[str, Any]:
    now = timezone.now()
    if action == "begin":
        enrolment = second_factors.enrol(user=user, now=now)
        picture = segno.make_qr(enrolment.uri).svg_data_uri(scale=5, light="white")  # dark pages have it on white
        return {"enrolment": enrolment, "picture": picture}
    if action == "confirm":
        code = validation.parse(second_factors.Code, {"code": request.POST.get("code", "")}).code
        codes = second_factors.confirm(user=user, session=None, code=code, client=client_of(request), now=now)
        admin_sessions.remember_shown(request, user)
        return {"recovery_codes": codes}
    return {}
