"""What every endpoint shares: reading the body, answering lists, and answering with what went wrong."""

from __future__ import annotations

import math
import sys
from typing import Any

import orjson
import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from pydantic import BaseModel
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from apps.kernel import errors, problems, validation, wording

log = structlog.get_logger(__name__)


def read_input[Model: BaseModel](request: Request, model: type[Model]) -> Model:
    """The JSON body as the input model. Raises ValidationFailed naming every wrong field."""
    if not isinstance(request.data, dict):
        raise errors.ValidationFailed.for_field("", "not_an_object", wording.say("send a JSON object."))
    return validation.parse(model, request.data)


def problem_response(error: errors.DomainError) -> HttpResponse:
    """The problem document of a domain error as a plain Django response, for middleware and plain views."""
    body = orjson.dumps(problems.document(error), default=str)
    return HttpResponse(body, status=error.status, content_type=problems.MEDIA_TYPE, headers=problems.headers(error))


def exception_handler(error: Exception, view_context: dict[str, Any]) -> Response | None:
    """DRF's handler: anticipated errors become problem documents, all others go on to be logged as failures."""
    found = _anticipated(error)
    if found is None and (found := problems.by_database_error(error)):
        log.exception("database.unavailable", exc_info=error)
    if found is None:
        return None
    return Response(
        problems.document(found),
        status=found.status,
        headers=problems.headers(found),
        content_type=problems.MEDIA_TYPE,
    )


def _anticipated(error: Exception) -> errors.DomainError | None:
    """What DRF and Django raise, as an error of our own."""
    match error:
        case errors.DomainError():
            return error
        case Http404():
            return problems.by_status(404, str(error))
        case PermissionDenied() | exceptions.PermissionDenied():
            return problems.by_status(403)
        case exceptions.Throttled():
            wait = math.ceil(getattr(error, "wait", None) or 1)
            return problems.TooManyRequests(
                wording.say("Wait {seconds} s and try again.", seconds=wait), retry_after=wait
            )
        case exceptions.APIException():
            return problems.by_status(error.status_code)
    return None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler400`: what Django finds suspicious."""
    return problem_response(problems.by_status(400))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler403`."""
    return problem_response(problems.by_status(403))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler404`: an unknown address."""
    return problem_response(errors.NotFound(wording.say("There is nothing at {path}.", path=request.path)))


def server_error(request: HttpRequest) -> HttpResponse:
    """`handler500`: the error is in the log under the id of the request."""
    return problem_response(problems.by_database_error(sys.exception()) or problems.by_status(500))
