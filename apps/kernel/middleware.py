"""Every request has an id, and every error is a problem document.

The id is taken from `X-Request-Id` or `X-Correlation-Id` when that is a UUID, drawn otherwise, and sent back in both.
Addresses with a NUL character are refused: the database has no text with one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from urllib.parse import unquote

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.kernel import api, context, errors, ids, problems, wording

HEADERS = ("X-Request-Id", "X-Correlation-Id")
# Pages for people, whose errors are pages too.
_PAGES = ("/admin/",)

log = structlog.get_logger(__name__)


class NulCharacter(errors.DomainError):
    """The address of the request holds a NUL character (%00). Remove it."""

    code = "nul_character"


class CorrelationMiddleware:
    refuses = (NulCharacter,)

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        correlation_id = _read(request)
        with (
            context.use(
                actor="anonymous",
                correlation_id=correlation_id,
                path=request.path,
                languages=request.headers.get("Accept-Language", ""),
            ),
            structlog.contextvars.bound_contextvars(correlation_id=str(correlation_id)),
        ):
            response = _as_problem(request, _refuse_nul(request) or self.get_response(request))
        for header in HEADERS:
            response[header] = str(correlation_id)
        return response


def _as_problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The answer; an error in the words of somebody else, of Django or a view of its own, as a problem document."""
    kind = response.get("Content-Type", "text/html")
    is_ours = not kind.startswith(("text/html", "text/plain")) or request.path.startswith(_PAGES)
    if response.status_code < 400 or is_ours or (settings.DEBUG and response.status_code == 500):
        return response
    problem = api.problem_response(problems.by_status(response.status_code))
    for name in ("Allow", "Retry-After", "WWW-Authenticate"):
        if name in response:
            problem[name] = response[name]
    return problem


def _refuse_nul(request: HttpRequest) -> HttpResponse | None:
    if "\x00" in request.path_info:
        said = wording.say("The path contains a NUL character (%00); remove it.")
    elif "\x00" in unquote(request.META.get("QUERY_STRING", "")):
        said = wording.say("The query contains a NUL character (%00); remove it.")
    else:
        return None
    return api.problem_response(NulCharacter(said))


def _read(request: HttpRequest) -> uuid.UUID:
    for header in HEADERS:
        if text := request.headers.get(header):
            try:
                return uuid.UUID(text)
            except ValueError:
                log.debug("requests.foreign_id", header=header)
    return ids.new_id()
