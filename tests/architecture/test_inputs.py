"""Every field of every input model has bounds, keeps them, and says so in words."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Annotated, Any

import pytest
from pydantic import Field

import apps
import rustok.lifecycle
from apps.kernel import validation, wording
from apps.kernel.validation import limits

for package in (apps, rustok.lifecycle):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)

LEAVES = [
    pytest.param(model, leaf, id=f"{model.__module__}.{model.__name__}.{leaf.name}")
    for model in limits.models()
    for leaf in limits.leaves(model)
]


def faults(model: type[validation.Input], leaf: limits.Leaf) -> list[str]:
    """What is wrong with a field, in words."""
    found = [f"has no {word}" for word in limits.missing_bounds(leaf)]
    for value in limits.beyond(leaf):
        if not limits.refusals(model, leaf, value):
            found.append(f"takes {repr(value)[:40]}, which its schema does not")
    for value in [*limits.beyond(leaf), *limits.hostile(leaf)]:
        for problem in limits.refusals(model, leaf, value):
            if not all(part.isidentifier() or part.isdigit() for part in problem.pointer.split("/")[1:]):
                found.append(f"is refused at {problem.pointer}, which is no place in an input")
            if not isinstance(problem.detail, wording.Said):
                found.append(f"is refused as {problem.code} in the words of a library")
    return found


def test_there_are_inputs_of_every_app_that_takes_some() -> None:
    owners = {limits.app_of(model) for model in limits.models()}

    assert owners >= {
        "accounts",
        "audit",
        "commerce",
        "content",
        "jobs",
        "kernel",
        "lifecycle",
        "media",
        "readmodels",
        "tenants",
    }
    assert len(LEAVES) > 250


@pytest.mark.parametrize(("model", "leaf"), LEAVES)
def test_every_field_has_bounds_and_keeps_them(model: type[validation.Input], leaf: limits.Leaf) -> None:
    assert faults(model, leaf) == []


@pytest.mark.parametrize(("model", "leaf"), [case for case in LEAVES if case.values[1].schema.get("type") == "integer"])  # type: ignore[union-attr, attr-defined, index]
@pytest.mark.parametrize("value", ["1", 1.0, True])
def test_no_number_is_made_of_something_else(model: type[validation.Input], leaf: limits.Leaf, value: Any) -> None:
    assert limits.refusals(model, leaf, value)


class Unbounded(validation.Input):
    """What an input model may not be; outside of the program, so that only this file sees it."""

    text: str = ""
    texts: Annotated[list[str], Field(max_length=3)] = []
    number: int = 0
    numbers: list[validation.Position] = []
    names: dict[str, validation.Title] = {}
    anything: dict[str, Any] = {}
    either: Annotated[str, Field(max_length=5)] | Annotated[int, Field(ge=0, le=5)] = 0
    pretended: Annotated[str, Field(json_schema_extra={"maxLength": 5})] = ""


def test_a_field_without_bounds_is_found() -> None:
    found = {leaf.name: faults(Unbounded, leaf) for leaf in limits.leaves(Unbounded)}

    assert found["text"] == found["texts[]"] == ["has no maxLength"]
    assert found["number"] == ["has no minimum", "has no maximum"]
    assert found["numbers"] == ["has no maxItems"]
    assert found["names"] == ["has no maxProperties"]
    assert found["anything"] == ["has no x-maximum-bytes"]
    assert any("no place in an input" in fault for fault in found["either"])
    assert found["pretended"] == ["takes 'aaaaaa', which its schema does not"]
