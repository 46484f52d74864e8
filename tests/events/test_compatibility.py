"""What one schema reads of another: each way of refusing old data has its rule."""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, create_model

from apps.events import compatibility, schemas
from apps.events.compatibility import Rule
from tests.events import strategies


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str


class WiderInner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str | None


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def schema(**fields: Any) -> schemas.Schema:
    """Of a closed model; a field is a type, or a pair of a type and its default."""
    pairs = {name: field if isinstance(field, tuple) else (field, ...) for name, field in fields.items()}
    model = create_model("Placed", __config__=ConfigDict(extra="forbid"), **pairs)
    return schemas.of(model, name="test.order.placed", version=1)


BROKEN = [
    (schema(a=int), schema(a=int, b=int), Rule.REQUIRED_ADDED, "b"),
    (schema(a=(int, 1)), schema(a=int), Rule.BECAME_REQUIRED, "a"),
    (schema(a=int, b=int), schema(a=int), Rule.FIELD_REMOVED, "b"),
    (schema(a=int | None), schema(a=int), Rule.TYPE_NARROWED, "a"),
    (schema(a=int | str), schema(a=int), Rule.TYPE_NARROWED, "a"),
    (schema(a=str), schema(a=int), Rule.TYPE_NARROWED, "a"),
    (schema(a=float), schema(a=int), Rule.TYPE_NARROWED, "a"),
    (schema(a=str), schema(a=uuid.UUID), Rule.TYPE_NARROWED, "a"),
    (schema(a=Any), schema(a=str), Rule.TYPE_NARROWED, "a"),
    (schema(a=str), schema(a=Annotated[str, Field(max_length=5)]), Rule.TYPE_NARROWED, "a"),
    (schema(a=int), schema(a=Annotated[int, Field(ge=0)]), Rule.TYPE_NARROWED, "a"),
    (schema(a=Annotated[int, Field(le=9)]), schema(a=Annotated[int, Field(le=8)]), Rule.TYPE_NARROWED, "a"),
    (schema(a=str), schema(a=Annotated[str, Field(pattern="^x")]), Rule.TYPE_NARROWED, "a"),
    (schema(a=dict[str, Any]), schema(a=dict[str, int]), Rule.TYPE_NARROWED, "a.*"),
    (schema(a=dict[str, Any]), schema(a=Inner), Rule.REQUIRED_ADDED, "a.label"),
    (schema(a=list[int | None]), schema(a=list[int]), Rule.TYPE_NARROWED, "a[]"),
    (schema(a=list[WiderInner]), schema(a=list[Inner]), Rule.TYPE_NARROWED, "a[].label"),
    (schema(a=WiderInner | None), schema(a=Inner | None), Rule.TYPE_NARROWED, "a.label"),
    (schema(a=Colour), schema(a=Literal["red"]), Rule.ENUM_VALUE_REMOVED, "a"),
    (schema(a=Literal["red", "blue"]), schema(a=Literal["red", "green"]), Rule.ENUM_VALUE_REMOVED, "a"),
    (schema(a=str), schema(a=Colour), Rule.ENUM_VALUE_REMOVED, "a"),
]
READABLE = [
    (schema(a=int), schema(a=int, b=(int, 1))),
    (schema(a=int), schema(a=(int, 1))),
    (schema(a=int), schema(a=int | None)),
    (schema(a=int), schema(a=float)),
    (schema(a=int), schema(a=Any)),
    (schema(a=uuid.UUID), schema(a=str)),
    (schema(a=Annotated[int, Field(ge=1)]), schema(a=Annotated[int, Field(ge=0)])),
    (schema(a=Literal["red"]), schema(a=Colour)),
    (schema(a=list[Inner]), schema(a=list[WiderInner])),
    (schema(a=Inner), schema(a=dict[str, Any])),
    (schema(a=Annotated[int, Field(description="one")]), schema(a=Annotated[int, Field(description="two")])),
]


@pytest.mark.parametrize(("old", "new", "rule", "field"), BROKEN)
def test_what_refuses_old_data_is_named(old: schemas.Schema, new: schemas.Schema, rule: Rule, field: str) -> None:
    assert (rule, field) in {(found.rule, found.field) for found in compatibility.breaks(old, new)}


@pytest.mark.parametrize(("old", "new"), READABLE)
def test_what_reads_old_data_is_let_through(old: schemas.Schema, new: schemas.Schema) -> None:
    assert compatibility.breaks(old, new) == []


TYPES = [
    bool, int, float, str, uuid.UUID, Any, int | None, int | str, Literal["red"], Colour, Inner, WiderInner,
    Inner | None, list[int], list[int | None], list[Inner], dict[str, Any], dict[str, int], (int, 1), (str, ""),
    (int | None, None),
]  # fmt: skip
FIELDS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(TYPES), max_size=3)


# The first text that is drawn makes Hypothesis' table of characters, which takes seconds.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(before=FIELDS, changed=FIELDS, data=st.data())
def test_what_is_let_through_reads_all_data_of_the_old_schema(
    before: dict[str, Any], changed: dict[str, Any], data: st.DataObject
) -> None:
    old, new = schema(**before), schema(**(before | changed))
    if compatibility.breaks(old, new):
        return

    jsonschema.validate(data.draw(strategies.data_for(old)), new)


def test_renaming_a_part_or_describing_it_anew_is_no_change() -> None:
    class Part(Inner):
        """Described anew."""

    renamed, before = schema(a=list[Part]), schema(a=list[Inner])

    assert renamed != before
    assert compatibility.canonical(renamed) == compatibility.canonical(before)


class Tree(BaseModel):
    children: list[Tree]


def test_a_tree_of_itself_is_compared_too() -> None:
    assert compatibility.breaks(schema(a=Tree), schema(a=Tree)) == []
    assert compatibility.breaks(schema(a=Tree), schema(a=Inner))
