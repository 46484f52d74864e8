"""The AsyncAPI document is valid, complete and true of what is on the bus.

`asyncapi/3.0.0.json.gz` is `schemas/3.0.0.json` of the npm package @asyncapi/specs 6.11.1, unchanged (Apache-2.0).
"""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from apps.consumers import tasks
from apps.events import asyncapi, bus, registry, schemas
from tests import factories

SPECIFICATION = json.loads(gzip.decompress((Path(__file__).parent / "asyncapi" / "3.0.0.json.gz").read_bytes()))


def problems(document: Any) -> list[str]:
    validator = jsonschema.Draft7Validator(SPECIFICATION)
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]


def resolve(document: dict[str, Any], reference: str) -> Any:
    """What a reference inside the document leads to."""
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_the_document_is_valid() -> None:
    assert problems(asyncapi.document()) == []


@pytest.mark.parametrize("part", ["info", "channels", "operations", "components"])
def test_the_specification_says_no_to_a_spoilt_document(part: str) -> None:
    document = copy.deepcopy(asyncapi.document())
    spoilt = next(iter(document[part].values())) if part == "operations" else document[part]
    spoilt["action" if part == "operations" else "title" if part == "info" else "mes sages"] = 5

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
        for example in message["examples"]:
            jsonschema.validate(example["payload"], schemas.published()[entry.name][entry.version].schema)


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
