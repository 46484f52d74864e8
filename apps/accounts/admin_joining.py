"""The page of the admin that takes invitations, for who has no front end that does."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from apps.accounts import walls
from apps.accounts.services import invitations
from apps.kernel import errors, validation


def page(request: HttpRequest, shown: dict[str, Any]) -> HttpResponse:
    """A form with the token of the mail; `shown` is what every page of the admin shows."""
    given = {name: value for name in ("token", "name", "password") if (value := request.POST.get(name, ""))}
    shown |= {"title": "Accept an invitation", "given": given, "is_nav_sidebar_enabled": False}
    if request.method == "POST":
        try:
            walls.hold_back(request, group="admin_join")
            acceptance = validation.parse(invitations.Acceptance, given)
            joined = invitations.accept(acceptance=acceptance, now=timezone.now())
        except errors.DomainError as refusal:
            shown["problem"] = refusal.detail
        else:
            messages.success(request, f"You belong to {joined.tenant} now. Log in to go on.")
            return HttpResponseRedirect(reverse("admin:login"))
    return TemplateResponse(request, "accounts/join.html", shown)
