"""What every endpoint shares: RFC 9457 problem documents, fast JSON, and input models in the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from rest_framework import exceptions
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.kernel import context, errors, pagination, validation

log = structlog.get_logger(__name__)

PROBLEM_JSON = "application/problem+json"


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=_to_json)


def _to_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, bytes):
        return orjson.Fragment(value)
    return str(value)


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
    return HttpResponse(orjson.dumps(document, default=str), status=error.status, content_type=PROBLEM_JSON)


def exception_handler(error: Exception, view_context: dict[str, Any]) -> Response | None:
    """DRF's handler: anticipated errors become problem documents, all others go on to be logged as failures."""
    headers = {}
    if isinstance(error, errors.DomainError):
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


def _plain(status: int, code: str, detail: str) -> dict[str, Any]:
    return problem(status=status, code=code, title=HTTPStatus(status).phrase, detail=detail)


def _flat(detail: Any) -> str:
    if isinstance(detail, dict):
        return "; ".join(f"{key}: {_flat(value)}" for key, value in detail.items())
    if isinstance(detail, list):
        return "; ".join(_flat(value) for value in detail)
    return str(detail)


class InputModelExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Lets `extend_schema(request=SomeInput)` show a pydantic input model in the OpenAPI document."""

    target_class = validation.Input
    match_subclasses = True

    def get_name(self, auto_schema: AutoSchema, direction: str) -> str | None:
        return str(self.target.__name__)

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        _, top = models_json_schema([(self.target, "validation")], ref_template="#/components/schemas/{model}")
        definitions = top["$defs"]
        own: dict[str, Any] = definitions.pop(self.target.__name__)
        for name, schema in definitions.items():
            component = ResolvedComponent(
                name=name, type=ResolvedComponent.SCHEMA, object=name, schema=schema
            )
            auto_schema.registry.register_on_missing(component)
        return own
