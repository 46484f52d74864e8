"""Every answer that any test gets from the API is held against the OpenAPI document.

What the document does not say must not come: a status, a code of a problem, a member, a header of ours. Thus the whole
suite is a test of the document, without a line in any of its tests.
"""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from typing import Any

from django.test import Client
from django.urls import Resolver404, resolve
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

type Document = dict[str, Any]

_PLACE = re.compile(r"<(?:\w+:)?(\w+)>")
# What a client is told beside the body; other headers are HTTP's own, or the edge's on every answer.
TOLD = ("ETag", "Idempotent-Replayed", "Link", "Location", "Retry-After", "WWW-Authenticate")


class Undocumented(AssertionError):
    """The API answered what its document does not say."""


@cache
def document() -> Document:
    """The OpenAPI document of the program."""
    found: Document = SchemaGenerator(urlconf="rustok.urls").get_schema(request=None, public=True)
    return found


def watch() -> None:
    """From now on `django.test.Client` and what is made of it look at each answer."""
    plain = Client.request

    def request(self: Client, **environment: Any) -> Any:
        response = plain(self, **environment)
        if environment.get("PATH_INFO", "").startswith("/api/v1/"):
            check(environment, response)
        return response

    Client.request = request  # type: ignore[method-assign] # for the length of the run


def check(environment: Document, response: Any) -> None:
    """Raises Undocumented. Paths and methods that the document does not have are those nothing answers."""
    operation = find_operation(environment["PATH_INFO"], environment.get("REQUEST_METHOD", "GET"))
    if operation is None:
        return
    complain = _complainer(environment, response)
    said = operation["responses"].get(str(response.status_code))
    if said is None:
        complain("does not answer with this status")
    said = resolved(said)
    undocumented = [name for name in TOLD if name in response and name not in said.get("headers", {})]
    if undocumented:
        complain(f"does not tell {', '.join(undocumented)}")
    if environment.get("REQUEST_METHOD") == "HEAD" or response.streaming:
        return
    if "content" not in said:
        if response.content:
            complain("answers nothing there")
        return
    kind = response["Content-Type"].partition(";")[0]
    if kind not in said["content"]:
        complain(f"does not answer {kind}")
    if not kind.endswith("json"):
        return
    body = json.loads(response.content)
    if "x-codes" in said and body["code"] not in said["x-codes"]:
        complain(f"does not refuse with {body['code']}")
    is_open = "expand=" in environment.get("QUERY_STRING", "")
    error = next(_validator(json.dumps(said["content"][kind]["schema"]), is_open).iter_errors(body), None)
    if error is not None:
        complain(f"answers otherwise at {error.json_path}: {error.message[:300]}")


def find_operation(path: str, method: str) -> Document | None:
    """The operation that answers there, if one is documented."""
    try:
        route = resolve(path).route
    except Resolver404:
        return None
    methods = document()["paths"].get("/" + _PLACE.sub(r"{\1}", route), {})
    found: Document | None = methods.get("get" if method == "HEAD" else method.lower())
    return found


def _complainer(environment: Document, response: Any) -> Any:
    def complain(what: str) -> None:
        asked = f"{environment.get('REQUEST_METHOD', 'GET')} {environment['PATH_INFO']}"
        body = b"" if response.streaming else response.content[:500]
        raise Undocumented(f"By its document {asked} {what}: {response.status_code} {body!r}")

    return complain


def resolved(said: Document) -> Document:
    """A response of the document, followed to where it stands."""
    if "$ref" not in said:
        return said
    found: Document = document()["components"]["responses"][said["$ref"].rpartition("/")[2]]
    return found


@cache
def _validator(schema: str, is_open: bool) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": {"schemas": _schemas(is_open)}})


@cache
def _schemas(is_open: bool) -> Document:
    """All of them; unless `is_open`, closed to members they do not name. A problem always brings data of its own."""
    schemas = copy.deepcopy(document()["components"]["schemas"])
    if not is_open:
        for name, schema in schemas.items():
            if name != "Problem" and "properties" in schema:
                schema.setdefault("additionalProperties", False)
    return schemas  # type: ignore[no-any-return] # a copy of what has a type
