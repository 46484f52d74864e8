"""What every endpoint shares: reading the body, answering lists, and RFC 9457 problem documents."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from pydantic import BaseModel
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from apps.kernel import context, errors, pagination, validation

log = structlog.get_logger(__name__)

PROBLEM_JSON = "application/problem+json"


def read_input[Model: BaseModel](request: Request, model: type[Model]) -> Model:
    """The JSON body as the input model. Raises ValidationFailed naming every wrong field."""
    if not isinstance(request.data, dict):
        raise errors.ValidationFailed.for_field("", "not_an_object", "send a JSON object.")
    return validation.parse(model, request.data)


def list_response(request: Request, page: pagination.Page[Any], rows: list[Any]) -> Response:
    """`{"data": [...], "next": url|null, "prev": url|null, "count": int|null}`."""
    return Response(
        {
            "data": rows,
            "next": pagination.link(request, page.next),
            "prev": pagination.link(request, page.previous),
            "count": page.count,
        }
    )


def problem(
    *, status: int, code: str, title: str, detail: str, problems: tuple[errors.FieldProblem, ...] = (), **data: Any
) -> dict[str, Any]:
    """An RFC 9457 problem document."""
    document: dict[str, Any] = {"type": f"urn:rustok:problem:{code}", "title": title, "status": status, "code": code}
    document["detail"] = detail
    if problems:
        document["errors"] = [
            {"pointer": entry.pointer, "code": entry.code, "detail": entry.detail} for entry in problems
        ]
    document |= data
    if (correlation_id := context.current().correlation_id) is not None:
        document["correlation_id"] = str(correlation_id)
    return document


def problem_response(error: errors.DomainError) -> HttpResponse:
    """The problem document of a domain error as a plain Django response, for middleware."""
    document = problem(
        status=error.status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        problems=error.problems,
        **error.data,
    )
    return HttpResponse(
        orjson.dumps(document, default=str),
        status=error.status,
        content_type=PROBLEM_JSON,
        headers=_retry_after(error),
    )


def exception_handler(error: Exception, view_context: dict[str, Any]) -> Response | None:
    """DRF's handler: anticipated errors become problem documents, all others go on to be logged as failures."""
    headers = {}
    if isinstance(error, errors.DomainError):
        headers = _retry_after(error)
        document = problem(
            status=error.status,
            code=error.code,
            title=error.title,
            detail=error.detail,
            problems=error.problems,
            **error.data,
        )
    elif isinstance(error, Http404):
        document = _plain(404, "not_found", str(error) or "There is nothing at this address.")
    elif isinstance(error, PermissionDenied):
        document = _plain(403, "forbidden", str(error) or "You may not do this.")
    elif isinstance(error, exceptions.APIException):
        document = _plain(error.status_code, str(error.default_code), _flat(error.detail))
        if challenge := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = challenge
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(int(wait) + 1)
    else:
        return None
    return Response(document, status=document["status"], headers=headers, content_type=PROBLEM_JSON)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler404`: an unknown address."""
    return problem_response(errors.NotFound(f"There is nothing at {request.path}."))


def server_error(request: HttpRequest) -> HttpResponse:
    """`handler500`: the error is in the log under the correlation id."""
    document = _plain(500, "internal_error", "Something went wrong on our side. Quote the correlation id.")
    return HttpResponse(orjson.dumps(document), status=500, content_type=PROBLEM_JSON)


def _retry_after(error: errors.DomainError) -> dict[str, str]:
    """An error whose data say `retry_after`, in seconds, says so in the header as well."""
    return {"Retry-After": str(error.data["retry_after"])} if "retry_after" in error.data else {}


def _plain(status: int, code: str, detail: str) -> dict[str, Any]:
    return problem(status=status, code=code, title=HTTPStatus(status).phrase, detail=detail)


def _flat(detail: Any) -> str:
    if isinstance(detail, dict):
        return "; ".join(f"{key}: {_flat(value)}" for key, value in detail.items())
    if isinstance(detail, list):
        return "; ".join(_flat(value) for value in detail)
    return str(detail)
