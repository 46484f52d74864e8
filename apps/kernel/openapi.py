"""The OpenAPI 3.1 document, made of what the operations declare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from zlib import crc32

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from pydantic import TypeAdapter

from apps.kernel import ids, operations, problems
from apps.kernel.limits import headers as limit_headers
from apps.kernel.listing import Listing, View

type Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"
_COMMON_HEADERS = {
    "X-Request-Id": "The id of the request: the one that was sent, if it is a UUID, else a new one.",
    "X-Correlation-Id": "The same id, which the events of the request carry.",
    **limit_headers.DESCRIPTIONS,
}
_ELSEWHERE = {"Location": "Where it is."}
_OF_STATUS = {
    401: {"WWW-Authenticate": "How to come with credentials (RFC 6750)."},
    405: {"Allow": "The methods the address answers."},
    409: {limit_headers.RETRY_AFTER: "Seconds after which to try again, where the same request is still at work."},
    429: {limit_headers.RETRY_AFTER: limit_headers.RETRY_AFTER_DESCRIPTION},
    503: {limit_headers.RETRY_AFTER: "Seconds after which to try again."},
}
_PROBLEM: Schema = {
    "type": "object",
    "description": "An RFC 9457 problem document. Some codes bring data of their own beside these members.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Where the code is explained."},
        "title": {"type": "string", "description": "What kind of error it is, in the language of the request."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened and what to do, in the language of the request."},
        "code": {"type": "string", "description": "Stable; what programs look at."},
        "errors": {"type": "array", "items": {"$ref": _REF.format(model="FieldProblem")}},
        "instance": {"type": "string", "description": "The path of the request."},
        "request_id": {"type": "string", "format": "uuid", "description": "What to quote in a report."},
    },
}
_FIELD_PROBLEM: Schema = {
    "type": "object",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901) of the value, or /name of a parameter."},
        "code": {"type": "string", "description": "Stable."},
        "detail": {"type": "string", "description": "What is wrong and what to send instead."},
    },
}


class OperationSchema(AutoSchema):
    """What drf-spectacular asks about an operation, answered from its declaration."""

    @property
    def shown_view(self) -> View:
        """All views of the API are such."""
        return cast(View, self.view)

    @property
    def declared(self) -> operations.Operation:
        found = operations.find(self.view, self.method)
        if found is None:
            raise ImproperlyConfigured(f"{type(self.view).__qualname__}.{self.method.lower()} declares no operation.")
        return found

    def get_operation_id(self) -> str:
        return self.declared.id

    def get_tags(self) -> list[str]:
        return [self.declared.tag]

    def get_summary(self) -> str:
        """The first sentence of the description."""
        first = self.get_description().split("\n")[0]
        return first.partition(". ")[0].partition("; ")[0].rstrip(".")

    def get_override_parameters(self) -> list[Any]:
        return list(self.shown_view.manners(self.method).parameters)

    def get_response_serializers(self) -> Any:
        return {}  # `_get_response_bodies` knows

    def _get_parameters(self) -> list[Schema]:
        shown: list[Schema] = super()._get_parameters()
        example = _example(self.declared.id)
        for parameter in shown:
            name, place = parameter["name"], parameter["in"]
            if place == "path":
                parameter["description"] = _describe_place(name)
                if name.endswith("_id"):
                    parameter["schema"] = {"type": "string", "pattern": ids.pattern("[a-z]+")}
            if name in (sent := example.get(place, {})):
                parameter["example"] = sent[name]
        return shown

    def _get_request_body(self, direction: str = "request") -> Schema | None:
        if self.declared.takes is None:
            return None
        content: Schema = {"schema": self._register(self.declared.takes, mode="validation")}
        if "request" in (example := _example(self.declared.id)):
            content["example"] = example["request"]
        media_type = "multipart/form-data" if self.declared.takes_files else "application/json"
        return {"content": {media_type: content}, "required": True}

    def _get_response_bodies(self, direction: str = "response") -> Schema:
        declared, manners = self.declared, self.shown_view.manners(self.method)
        shown = {declared.status: self._success(declared, manners)}
        for status, description in {**declared.also, **manners.also}.items():
            told = manners.headers if status == HTTPStatus.NOT_MODIFIED else {**manners.headers, **_ELSEWHERE}
            shown[status] = {"description": description, "headers": self._headers(told)}
        if declared.later is not None:
            headers = self._headers({**manners.headers, "Location": "The address of what is done afterwards."})
            content = {"application/json": {"schema": self._register(declared.later)}}
            shown[202] = {"description": "It is done afterwards.", "headers": headers, "content": content}
        for status, codes in operations.refusals(self.view, self.method, path=self.path).items():
            shown[status] = self._problem(status, codes)
        return {str(status): shown[status] for status in sorted(shown)}

    def _success(self, declared: operations.Operation, manners: operations.Manners) -> Schema:
        shown: Schema = {
            "description": "Done." if declared.answers is None else "The answer.",
            "headers": self._headers(manners.headers),
        }
        if declared.answers is None:
            return shown
        listing = getattr(self.view, "listing", None) if self.method == "GET" else None
        content: Schema = {"schema": self._page(listing) if listing else self._register(declared.answers)}
        if "response" in (example := _example(declared.id)):
            content["example"] = example["response"]
        return shown | {"content": {declared.media_type: content}}

    def _problem(self, status: int, codes: list[str]) -> Schema:
        """A response shared by all operations that can say the same; its name is good for nothing else."""
        name = f"{status}-{crc32(' '.join(codes).encode()):08x}"
        problem = self._component("schemas", "Problem", _PROBLEM)
        self._component("schemas", "FieldProblem", _FIELD_PROBLEM)
        said = ", ".join(f"`{code}`" for code in codes)
        response: Schema = {
            "description": f"One of {said}." if len(codes) > 1 else f"{said}.",
            "headers": self._headers(_OF_STATUS.get(status, {})),
            "content": {problems.MEDIA_TYPE: {"schema": problem}},
            "x-codes": codes,
        }
        return self._component("responses", name, response)

    def _headers(self, own: Mapping[str, str]) -> Schema:
        common = {name: self._component("headers", name, _header(text)) for name, text in _COMMON_HEADERS.items()}
        return common | {name: _header(text) for name, text in own.items()}

    def _page(self, listing: Listing) -> Schema:
        row = self._row(listing)
        link = {"type": ["string", "null"], "format": "uri"}
        page: Schema = {
            "type": "object",
            "required": ["data", "next", "prev", "count"],
            "properties": {
                "data": {"type": "array", "items": row},
                "next": {**link, "description": "The next page."},
                "prev": {**link, "description": "The page before."},
                "count": {"type": ["integer", "null"], "description": "All rows, where `count` was asked for."},
            },
        }
        return self._component("schemas", f"{listing.document.__name__}Page", page)

    def _row(self, listing: Listing) -> Schema:
        """The document of a row; of a list with `fields` any member may be missing, with `expand` there may be more."""
        whole = self._register(listing.document)
        if not listing.has_fields and not listing.expansions:
            return whole
        name = whole["$ref"].rpartition("/")[2]
        row = {**self.registry[(name, "schemas")].schema, "title": f"Listed{name}"}
        if listing.has_fields:
            row.pop("required", None)
            row["description"] = f"{row.get('description', '')} Only the members that `fields` names, if it is sent."
        expanded = {key: self._expanded(expansion) for key, expansion in listing.expansions.items()}
        row["properties"] = {**row["properties"], **expanded}
        return self._component("schemas", f"Listed{name}", row)

    def _expanded(self, expansion: Any) -> Schema:
        shown = self._register(expansion.listing().document)
        text = "Only if `expand` names it."
        if expansion.is_many:
            return {"type": "array", "items": shown, "description": text}
        return {"anyOf": [shown, {"type": "null"}], "description": text}

    def _register(self, kind: Any, *, mode: Any = "serialization") -> Schema:
        """Puts an input model, or the TypedDict of an answer, among the schemas with all that it is made of."""
        if kind is str:
            return {"type": "string"}
        schema = TypeAdapter(kind).json_schema(mode=mode, ref_template=_REF)
        parts = schema.pop("$defs", {})
        if "$ref" in schema:  # it holds itself
            schema = parts[kind.__name__]
        for name, part in {**parts, kind.__name__: schema}.items():
            self._component("schemas", name, part)
        return {"$ref": _REF.format(model=kind.__name__)}

    def _component(self, section: str, name: str, schema: Schema) -> Schema:
        """A reference to the component of that name. Raises ImproperlyConfigured if it is something else already."""
        component = ResolvedComponent(name=name, type=section, object=name, schema=schema)  # type: ignore[no-untyped-call]
        self.registry.register_on_missing(component)
        if self.registry[component.key].schema != schema:
            raise ImproperlyConfigured(f"Two {section} of the API are called {name}.")
        return {"$ref": f"#/components/{section}/{name}"}


def _header(description: str) -> Schema:
    return {"description": description, "schema": {"type": "string"}}


def _describe_place(name: str) -> str:
    what = name.removesuffix("_id").replace("_", " ")
    return f"Id of the {what} as the API answers it, or its UUID." if name.endswith("_id") else f"The {what}."


def _example(operation_id: str) -> dict[str, Any]:
    """What was sent to the operation and came back, in the tests that wrote the file down."""
    found: dict[str, Any] = _examples().get(operation_id, {})
    return found


@cache
def _examples() -> dict[str, Any]:
    file = Path(settings.API_EXAMPLES)
    return json.loads(file.read_bytes()) if file.exists() else {}
