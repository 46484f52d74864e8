"""The OpenAPI document is valid, complete and without warnings."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypedDict

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from apps.kernel import operations
from apps.kernel.listing import View
from apps.tenants.api import TenantView
from tests.contracts import watching


def document() -> dict[str, Any]:
    generator = SchemaGenerator()
    return generator.get_schema(request=None, public=True)


def test_the_document_validates_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=io.StringIO())


def test_every_operation_says_what_it_does_and_belongs_somewhere() -> None:
    operations = [
        (path, method, operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]

    assert len(operations) > 50
    for path, method, operation in operations:
        assert operation.get("description"), f"{method} {path}"
        assert operation.get("tags"), f"{method} {path}"
        assert operation.get("operationId"), f"{method} {path}"
    assert len({operation["operationId"] for _, _, operation in operations}) == len(operations)


def test_input_models_are_shown_closed() -> None:
    schemas = document()["components"]["schemas"]

    assert schemas["Credentials"]["additionalProperties"] is False
    assert schemas["Credentials"]["required"] == ["email", "password"]


def test_inputs_are_described_as_they_are_sent() -> None:
    schemas = document()["components"]["schemas"]

    assert schemas["PriceInput"]["properties"]["amount"]["type"] == "string"  # minor units once it is read


def test_the_document_is_the_same_each_time_it_is_made() -> None:
    assert document() == document()


def test_the_document_is_served_in_both_formats_and_asked_for_again_in_vain(client: Client, db: None) -> None:
    as_json = client.get("/api/schema?format=json")
    as_yaml = client.get("/api/schema")

    assert as_json["Content-Type"] == "application/vnd.oai.openapi+json; charset=utf-8"
    assert as_json.json()["paths"].keys() == document()["paths"].keys()
    assert as_yaml.content.startswith(b"openapi: 3.1")
    assert client.get("/api/schema", headers={"if-none-match": as_yaml["ETag"]}).status_code == 304
    assert client.get("/api/schema?format=json", headers={"if-none-match": as_yaml["ETag"]}).status_code == 200


def test_every_view_declares_its_methods_as_operations() -> None:
    assert list(subclasses(View))
    undeclared = [
        f"{view.__qualname__}.{method}"
        for view in subclasses(View)
        if view.__module__.startswith("apps.")
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(view, method) and operations.find(view, method) is None
    ]

    assert undeclared == []


def subclasses(view: type[View]) -> Iterator[type[View]]:
    for each in view.__subclasses__():
        yield each
        yield from subclasses(each)


def test_a_method_that_declares_nothing_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("apps.tenants.api.TenantView.get.operation")

    with pytest.raises(ImproperlyConfigured, match=r"TenantView\.get declares no operation"):
        document()


def test_two_answers_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tag(TypedDict):
        colour: str

    operation = replace(TenantView.get.operation, answers=Tag)  # type: ignore[attr-defined] # as `operation` sets it
    monkeypatch.setattr("apps.tenants.api.TenantView.get.operation", operation)

    with pytest.raises(ImproperlyConfigured, match="Two schemas of the API are called Tag"):
        document()


def test_every_operation_names_what_it_refuses_and_what_it_tells() -> None:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            codes = {
                code
                for response in operation["responses"].values()
                for code in watching.resolved(response).get("x-codes", ())
            }
            assert {"validation_failed", "quota_exceeded", "tenant_not_found", "internal_error"} <= codes, path
            for status, response in operation["responses"].items():
                told = watching.resolved(response)["headers"]
                assert {"X-Request-Id", "RateLimit", "RateLimit-Policy"} <= told.keys(), (method, path, status)


class Answered:
    """An answer as the test client gives it, for `watching.check`."""

    streaming = False

    def __init__(self, status: int, body: Any, kind: str = "application/json", **headers: str) -> None:
        self.status_code, self.content, self.headers = status, json.dumps(body).encode(), headers
        self.headers["Content-Type"] = kind

    def __contains__(self, name: str) -> bool:
        return name in self.headers

    def __getitem__(self, name: str) -> str:
        return self.headers[name]


ME = {"id": "user_" + "0" * 26, "email": "a@b.example", "name": "A", "is_superuser": False, "email_verified": True}
REFUSED = {"type": "/problems/x", "title": "x", "status": 401, "detail": "x", "code": "not_authenticated"}


@pytest.mark.parametrize(
    ("answered", "complaint"),
    [
        (Answered(418, {}), "does not answer with this status"),
        (Answered(200, ME, "text/plain"), "does not answer text/plain"),
        (Answered(200, {**ME, "password": "x"}), "answers otherwise"),
        (Answered(200, {**ME, "id": "key_1"}), "answers otherwise at $.id"),
        (Answered(200, {"id": ME["id"]}), "answers otherwise"),
        (Answered(200, ME, ETag='"v1"'), "does not tell ETag"),
        (Answered(401, {**REFUSED, "code": "no_luck"}, "application/problem+json"), "does not refuse with no_luck"),
    ],
)
def test_an_answer_that_is_not_documented_fails_the_test_that_got_it(answered: Any, complaint: str) -> None:
    environment = {"PATH_INFO": "/api/v1/auth/me", "REQUEST_METHOD": "GET"}

    watching.check(environment, Answered(200, ME))
    watching.check(environment, Answered(401, REFUSED, "application/problem+json"))
    with pytest.raises(watching.Undocumented, match=re.escape(complaint)):
        watching.check(environment, answered)


def test_the_whole_suite_is_watched() -> None:
    assert Client.request.__module__ == watching.__name__
