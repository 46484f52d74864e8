"""What happened to a row, as the audit log has it: who, when, and which fields. Values are in the log itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from apps.accounts import models
from apps.audit import models as audit
from apps.tenants import scope

_PER_PAGE = 50


def page(screen: Any, request: HttpRequest, row: Any) -> HttpResponse:
    """The newest first."""
    entries = audit.Entry.objects.filter(
        tenant_id=scope.current_id(), object_type=screen.aggregate, object_id=str(screen.stream_id(row))
    ).order_by("-occurred_at", "-id")
    found = Paginator(entries, _PER_PAGE).get_page(request.GET.get("page"))
    names = _names(entry.actor for entry in found)
    lines = [
        {
            "at": entry.occurred_at,
            "who": names.get(entry.actor, entry.actor),
            "what": _said(entry.action),
            "fields": sorted(entry.read_changes()),
            "address": reverse("admin:audit_entry_change", args=[entry.pk]),
        }
        for entry in found
    ]
    shown = {
        **screen.admin_site.each_context(request),
        "title": f"History of {row}",
        "opts": screen.opts,
        "names": screen.names,
        "row": row,
        "lines": lines,
        "page": found,
        "may_read_log": request.user.has_perm("audit.view_entry"),
        "change_address": screen._address("change", row.pk),
        "list_address": screen._address("changelist"),
    }
    answer = TemplateResponse(request, "desk/history.html", shown)
    answer.render()
    return answer


def _names(actors: Iterable[str]) -> dict[str, str]:
    """What people are called; machines and commands are called what they are."""
    ids = {actor: actor.removeprefix("user:") for actor in set(actors) if actor.startswith("user:")}
    people = models.User.objects.in_bulk([uuid.UUID(value) for value in ids.values()])
    by_id = {str(key): person.name or person.email for key, person in people.items()}
    return {actor: by_id[value] for actor, value in ids.items() if value in by_id}


def _said(action: str) -> str:
    """`commerce.product.published` as words."""
    return action.split(".", 1)[-1].replace(".", " ").replace("_", " ")
