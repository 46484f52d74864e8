"""What readers of the events need to know, served for everybody: the schemas and the AsyncAPI document."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import conditional_page, require_safe

from apps.events import asyncapi, registry, schemas
from apps.kernel import api, errors, wording

SCHEMA_JSON = "application/schema+json"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, max-age=0, must-revalidate"


class SchemaNotFound(errors.NotFound):
    """No event of this type and version was ever recorded. `/schemas/` lists those that were."""

    code = "schema_not_found"


@require_safe
@conditional_page
def index(request: HttpRequest) -> HttpResponse:
    """Every type on record with the addresses of its versions."""
    rows = [_row(name, versions) for name, versions in sorted(schemas.published().items())]
    return _json({"data": rows}, cached=ASK_AGAIN)


@require_safe
@conditional_page
def schema(request: HttpRequest, name: str, version: int) -> HttpResponse:
    """One version of one type: kept for ever by whoever fetched it, unless it is a draft."""
    versions = schemas.published().get(name)
    locked = (versions or {}).get(version)
    if locked is None:
        return api.problem_response(_not_found(name, version, versions))
    return _json(locked.schema, cached=FOR_EVER if locked.is_released else ASK_AGAIN, content_type=SCHEMA_JSON)


@require_safe
@conditional_page
def asyncapi_document(request: HttpRequest) -> HttpResponse:
    """What is sent on the bus."""
    return _json(asyncapi.document(), cached=ASK_AGAIN)


def _row(name: str, versions: dict[int, schemas.Locked]) -> dict[str, Any]:
    entry = registry.get(name)
    return {
        "type": name,
        "renamed_to": entry.name if entry.name != name else None,
        "aggregate": entry.aggregate,
        "description": versions[max(versions)].schema.get("description", ""),
        "newest": max(versions),
        "versions": [
            {"version": version, "schema": schemas.address(name, version), "released": versions[version].is_released}
            for version in sorted(versions)
        ],
    }


def _not_found(name: str, version: int, versions: dict[int, schemas.Locked] | None) -> SchemaNotFound:
    if versions is None:
        hint = errors.did_you_mean(name, schemas.published())
        return SchemaNotFound(
            wording.say('There is no event type "{name}".{hint} /schemas/ lists all of them.', name=name, hint=hint)
        )
    known = ", ".join(str(number) for number in sorted(versions))
    return SchemaNotFound(
        wording.say("{name} has no version {version}; there are: {known}.", name=name, version=version, known=known)
    )


def _json(document: Any, *, cached: str, content_type: str = "application/json") -> HttpResponse:
    return HttpResponse(orjson.dumps(document), content_type=content_type, headers={"Cache-Control": cached})


urlpatterns = [
    path("schemas/", index, name="event-schemas"),
    path("schemas/<str:name>/<int:version>", schema, name="event-schema"),
    path("asyncapi.json", asyncapi_document, name="asyncapi"),
]
