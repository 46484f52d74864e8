"""The examples of the OpenAPI document are what the API answers, and every operation has one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.contracts import examples, story, watching
from tests.contracts.telling import Declared, Teller, operations

WRITE = "run make examples and look at what has changed"


@pytest.mark.usefixtures("committed_db")
def test_the_examples_are_what_the_story_was_answered(request: pytest.FixtureRequest) -> None:
    teller = Teller()
    story.play(teller)
    told = examples.of(teller)
    if request.config.getoption("--write-examples"):
        examples.FILE.write_text(examples.as_text(told))
    recorded = json.loads(examples.FILE.read_text())

    assert [name for name in told if recorded.get(name) != told[name]] == [], WRITE
    assert examples.FILE.read_text() == examples.as_text(told), WRITE


@pytest.mark.parametrize("name", operations())
def test_the_operation_has_an_example(name: str) -> None:
    """Of all that it takes and answers, as its document says."""
    operation, shown = operations()[name], json.loads(examples.FILE.read_text()).get(name)

    assert shown is not None, f"tests/contracts/story.py does not call {name}; have it, and {WRITE}"
    for part, schema in parts_of(operation).items():
        problems = [problem.message for problem in validator(schema).iter_errors(shown[part])]
        assert not problems, f"{part}: {problems[0]}"
    assert set(shown.get("query", {})) <= {each["name"] for each in operation.document.get("parameters", ())}


def test_no_example_is_of_an_operation_that_is_gone() -> None:
    assert set(json.loads(examples.FILE.read_text())) <= set(operations()), WRITE


def test_a_wrong_example_is_noticed() -> None:
    schema = parts_of(operations()["tag_get"])["response"]
    shown = json.loads(examples.FILE.read_text())["tag_get"]["response"]

    assert validator(schema).is_valid(shown)
    assert not validator(schema).is_valid({**shown, "id": "x"})


def parts_of(operation: Declared) -> dict[str, Any]:
    """The schemas of what an example shows, by its part."""
    found = {}
    if operation.takes_body:
        found["request"] = next(iter(operation.document["requestBody"]["content"].values()))["schema"]
    for content in operation.document["responses"][str(operation.success)].get("content", {}).values():
        found["response"] = content["schema"]
    return found


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": watching.document()["components"]})
