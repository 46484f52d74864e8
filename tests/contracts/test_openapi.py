"""The OpenAPI document is valid, complete and without warnings."""

import io
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator


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

    assert schemas["CredentialsRequest"]["additionalProperties"] is False
    assert schemas["CredentialsRequest"]["required"] == ["email", "password"]


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
