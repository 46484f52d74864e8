"""Every request has a correlation id: from `X-Correlation-Id` when that is a UUID, drawn otherwise, and sent back.

Inside of it, addresses with a NUL character are refused: the database has no text with one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from urllib.parse import unquote

import structlog
from django.http import HttpRequest, HttpResponse

from apps.kernel import api, context, errors, ids

HEADER = "X-Correlation-Id"


class NulCharacter(errors.DomainError):
    """The address of the request holds a NUL character."""

    code = "nul_character"


class CorrelationMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        correlation_id = _read(request.headers.get(HEADER))
        with (
            context.use(actor="anonymous", correlation_id=correlation_id),
            structlog.contextvars.bound_contextvars(correlation_id=str(correlation_id)),
        ):
            response = _refuse_nul(request) or self.get_response(request)
        response[HEADER] = str(correlation_id)
        return response


def _refuse_nul(request: HttpRequest) -> HttpResponse | None:
    places = {"path": request.path_info, "query": unquote(request.META.get("QUERY_STRING", ""))}
    for place, text in places.items():
        if "\x00" in text:
            return api.problem_response(NulCharacter(f"The {place} contains a NUL character (%00); remove it."))
    return None


def _read(text: str | None) -> uuid.UUID:
    try:
        return uuid.UUID(text) if text else ids.new_id()
    except ValueError:
        return ids.new_id()
