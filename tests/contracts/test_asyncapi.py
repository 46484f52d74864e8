"""The AsyncAPI document is well formed, complete and true of what is on the bus."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest

from apps.consumers import tasks
from apps.events import asyncapi, bus, registry, schemas
from tests import factories


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """An object with these fields and no others but extensions."""
    return {
        "type": "object", "required": required, "properties": properties,
        "patternProperties": {"^x-": True}, "additionalProperties": False,
    }  # fmt: skip


TEXT = {"type": "string", "minLength": 1}
REFERENCE = closed(["$ref"], **{"$ref": TEXT})
REFERENCES = {"type": "array", "minItems": 1, "items": REFERENCE}
TAGS = {"type": "array", "items": closed(["name"], name=TEXT, description=TEXT)}
HEADERS = {"type": "object", "required": ["type", "properties"], "properties": {"type": {"const": "object"}}}
MESSAGE = closed(
    ["name", "payload"],
    name=TEXT, title=TEXT, summary=TEXT, contentType=TEXT, tags=TAGS, traits=REFERENCES, headers=HEADERS,
    correlationId=closed(["location"], location={"type": "string", "pattern": "^\\$message\\.(header|payload)#/"}),
    payload=closed(["schemaFormat", "schema"], schemaFormat=TEXT, schema=True),
    examples={"type": "array", "items": closed([], payload={"type": "object"}, headers={"type": "object"})},
)  # fmt: skip
# As much of AsyncAPI 3.0.0 as our document makes use of: https://www.asyncapi.com/docs/reference/specification/v3.0.0
SPECIFICATION = closed(
    ["asyncapi", "info", "channels", "operations", "components"],
    asyncapi={"const": "3.0.0"},
    info=closed(["title", "version"], title=TEXT, version=TEXT, description=TEXT),
    defaultContentType=TEXT,
    channels={
        "additionalProperties": closed(
            ["address", "messages"], address=TEXT, title=TEXT, messages={"additionalProperties": REFERENCE}
        )
    },
    operations={
        "additionalProperties": closed(
            ["action", "channel"],
            action={"enum": ["send", "receive"]}, channel=REFERENCE, summary=TEXT, tags=TAGS, messages=REFERENCES,
        )
    },
    components=closed(
        ["messages"],
        messages={"propertyNames": {"pattern": "^[A-Za-z0-9._-]+$"}, "additionalProperties": MESSAGE},
        messageTraits={"additionalProperties": closed(["headers"], headers=HEADERS)},
    ),
)  # fmt: skip


def problems(document: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(SPECIFICATION)
    found = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]
    return found + [
        f"{reference} leads nowhere" for reference in references(document) if not leads(document, reference)
    ]


def references(node: Any) -> list[str]:
    """Every reference within the document itself."""
    if isinstance(node, list):
        return [found for entry in node for found in references(entry)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if str(node.get("$ref", "")).startswith("#/") else []
    return own + [found for entry in node.values() for found in references(entry)]


def leads(document: dict[str, Any], reference: str) -> bool:
    try:
        return resolve(document, reference) is not None
    except (KeyError, TypeError):
        return False


def resolve(document: dict[str, Any], reference: str) -> Any:
    """What a reference inside the document leads to."""
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_the_document_is_valid() -> None:
    assert problems(asyncapi.document()) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("info.title", 5),
        ("channels.events.mes sages", {}),
        ("operations.content.node.created.action", "publish"),
        ("operations.content.node.created.channel.$ref", "#/channels/nowhere"),
        ("components.messages.content.node.created.1.payload", {}),
    ],
)
def test_a_spoilt_document_is_noticed(path: str, value: Any) -> None:
    document = copy.deepcopy(asyncapi.document())
    node: Any = document
    *steps, last = path.replace("content.node.created.1", "A").replace("content.node.created", "B").split(".")
    for step in steps:
        node = node[{"A": "content.node.created.1", "B": "content.node.created"}.get(step, step)]
    node[last] = value

    assert problems(document)


def test_every_type_is_sent_and_every_version_on_record_is_a_message() -> None:
    document = asyncapi.document()
    types = [entry for entry in registry.all_types() if entry.payload.__module__.startswith("apps.")]

    assert set(document["operations"]) >= {entry.name for entry in types}
    assert len(document["components"]["messages"]) == sum(len(versions) for versions in schemas.published().values())
    for entry in types:
        operation = document["operations"][entry.name]
        assert operation["action"] == "send"
        listed = resolve(document, operation["messages"][0]["$ref"])
        message = resolve(document, listed["$ref"])
        assert message["payload"]["schema"]["$ref"] == schemas.address(entry.name, entry.version)
        assert message["summary"]
        recorded = schemas.published()[entry.name][entry.version]
        examples = message.get("examples", [])
        assert examples or not recorded.is_released
        for example in examples:
            jsonschema.validate(example["payload"], recorded.schema)


@pytest.mark.usefixtures("committed_db")
def test_what_is_on_the_bus_is_what_the_document_says() -> None:
    factories.make_tenant()
    tasks.drain()
    document = asyncapi.document()
    common = document["components"]["messageTraits"]["cloudEvent"]["headers"]
    checker = jsonschema.FormatChecker()

    sent = bus.default().read(0, limit=100)

    assert len(sent) >= 4
    for message in sent:
        name = message.fields["type"].removeprefix("com.rustok.")
        described = document["components"]["messages"][f"{name}.{registry.get(name).version}"]
        jsonschema.validate(message.fields, common, format_checker=checker)
        jsonschema.validate(message.fields, described["headers"])
        jsonschema.validate(json.loads(message.fields["data"]), schemas.published()[name][1].schema)
