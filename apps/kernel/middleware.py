"""Every request has a correlation id: from `X-Correlation-Id` when that is a UUID, drawn otherwise, and sent back."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from apps.kernel import context, ids

HEADER = "X-Correlation-Id"


class CorrelationMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        correlation_id = _read(request.headers.get(HEADER))
        with (
            context.use(actor="anonymous", correlation_id=correlation_id),
            structlog.contextvars.bound_contextvars(correlation_id=str(correlation_id)),
        ):
            response = self.get_response(request)
        response[HEADER] = str(correlation_id)
        return response


def _read(text: str | None) -> uuid.UUID:
    try:
        return uuid.UUID(text) if text else ids.new_id()
    except ValueError:
        return ids.new_id()
