"""What breaks clients of the API, on a small document; and the document on record against the program."""

import copy
import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.core.management import call_command

from rustok import breaking

type Document = dict[str, Any]

OPERATION = "PATCH /mugs/{id}"


def small() -> Document:
    mug = {
        "type": "object",
        "required": ["id", "colour"],
        "properties": {
            "id": {"type": "string"},
            "colour": {"type": "string", "enum": ["blue", "red"]},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Mug"}},
        },
    }
    change = {
        "type": "object",
        "required": ["colour"],
        "properties": {
            "colour": {"type": "string", "enum": ["blue", "red"]},
            "size": {"type": "integer", "minimum": 1, "maximum": 9},
            "name": {"type": "string", "maxLength": 20, "pattern": "^[a-z]+$"},
        },
    }
    operation = {
        "operationId": "mug_update",
        "security": [{}],
        "parameters": [
            {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
            {"in": "query", "name": "fields", "schema": {"type": "string"}},
        ],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Change"}}}},
        "responses": {
            "200": {
                "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Mug"}}},
            },
            "404": {"description": "not there"},
        },
    }
    return {"paths": {"/mugs/{id}": {"patch": operation}}, "components": {"schemas": {"Mug": mug, "Change": change}}}


def operation_of(document: Document) -> Document:
    found: Document = document["paths"]["/mugs/{id}"]["patch"]
    return found


def schema_of(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def members_of(document: Document, name: str) -> Document:
    found: Document = schema_of(document, name)["properties"]
    return found


@pytest.mark.parametrize(
    ("change", "place", "what"),
    [
        (lambda d: d["paths"].clear(), "", "is gone"),
        (lambda d: operation_of(d).update(operationId="mug_change"), "", "is called mug_change, and was mug_update"),
        (lambda d: operation_of(d).update(security=[{"bearer": []}]), "", "needs credentials"),
        (lambda d: operation_of(d)["parameters"].pop(), " fields", "is no parameter any more"),
        (lambda d: operation_of(d)["parameters"][1].update(required=True), " fields", "is needed"),
        (
            lambda d: operation_of(d)["parameters"].append(
                {"in": "header", "name": "X", "required": True, "schema": {"type": "string"}}
            ),
            " X",
            "is needed",
        ),
        (lambda d: operation_of(d)["requestBody"].update(required=True), " body", "is needed"),
        (lambda d: operation_of(d).pop("requestBody"), " body", "is not taken as application/json"),
        (lambda d: operation_of(d)["responses"].pop("200"), " 200", "is answered no more"),
        (lambda d: operation_of(d)["responses"]["200"]["headers"].clear(), " 200 ETag", "is told no more"),
        (lambda d: operation_of(d)["responses"]["200"]["content"].clear(), " 200", "is not application/json any more"),
        (lambda d: members_of(d, "Change").pop("size"), " body.size", "is no member any more"),
        (lambda d: schema_of(d, "Change")["required"].append("size"), " body.size", "is needed"),
        (lambda d: members_of(d, "Change")["colour"]["enum"].remove("red"), " body.colour", "can't be 'red' any more"),
        (lambda d: members_of(d, "Change")["size"].update(maximum=8), " body.size", "maximum is 8, and was 9"),
        (lambda d: members_of(d, "Change")["size"].update(minimum=2), " body.size", "minimum is 2, and was 1"),
        (lambda d: members_of(d, "Change")["size"].update(type="string"), " body.size", "can't be integer any more"),
        (lambda d: members_of(d, "Change")["name"].update(pattern="^x$"), " body.name", "has the pattern ^x$"),
        (lambda d: members_of(d, "Mug").pop("colour"), " 200 body.colour", "is no member any more"),
        (lambda d: schema_of(d, "Mug")["required"].remove("id"), " 200 body.id", "can be missing"),
        (
            lambda d: members_of(d, "Mug")["colour"]["enum"].append("green"),
            " 200 body.colour",
            "can be 'green' as well",
        ),
        (lambda d: members_of(d, "Mug")["id"].update(type=["string", "null"]), " 200 body.id", "can be null as well"),
        (
            lambda d: members_of(d, "Mug")["note"].update(anyOf=[{"type": "integer"}, {"type": "null"}]),
            " 200 body.note",
            "can be integer as well",
        ),
    ],
)
def test_what_breaks_clients_is_named(change: Callable[[Document], Any], place: str, what: str) -> None:
    after = small()
    change(after)

    assert breaking.Break(f"{OPERATION}{place}", what) in breaking.find(small(), after)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["paths"].update({"/cups": {"get": copy.deepcopy(operation_of(d))}}),
        lambda d: operation_of(d)["parameters"].append({"in": "query", "name": "q", "schema": {"type": "string"}}),
        lambda d: operation_of(d)["responses"].update({"409": {"description": "in the way"}}),
        lambda d: operation_of(d)["responses"].pop("404"),
        lambda d: members_of(d, "Change").update(weight={"type": "integer"}),
        lambda d: schema_of(d, "Change")["required"].clear(),
        lambda d: members_of(d, "Change")["colour"]["enum"].append("green"),
        lambda d: members_of(d, "Change")["size"].update(maximum=10),
        lambda d: members_of(d, "Change")["size"].update(type=["integer", "null"]),
        lambda d: members_of(d, "Change")["name"].pop("pattern"),
        lambda d: members_of(d, "Mug").update(weight={"type": "integer"}),
        lambda d: members_of(d, "Mug")["colour"]["enum"].remove("red"),
        lambda d: members_of(d, "Mug")["note"].update(anyOf=[{"type": "string"}]),
    ],
)
def test_what_only_adds_breaks_nobody(change: Callable[[Document], Any]) -> None:
    after = small()
    change(after)

    assert after != small()
    assert breaking.find(small(), after) == []


def test_the_api_is_as_on_record(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("openapi", "check")

    assert "all as on record" in capsys.readouterr().out


def test_an_export_that_breaks_clients_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(settings.API_DOCUMENT.read_bytes())
    document["paths"]["/api/v1/admin/mugs"] = {"get": {"operationId": "mug_list", "responses": {}}}
    file = tmp_path / "openapi.json"
    file.write_bytes(orjson.dumps(document))
    monkeypatch.setattr(settings, "API_DOCUMENT", file)

    with pytest.raises(SystemExit):
        call_command("openapi", "export")
    assert "GET /api/v1/admin/mugs: is gone" in capsys.readouterr().err
    assert orjson.loads(file.read_bytes()) == document

    call_command("openapi", "export", breaking=True)
    assert file.read_bytes() == settings.API_DOCUMENT.read_bytes()
    assert "/api/v1/admin/mugs" not in orjson.loads(file.read_bytes())["paths"]
