"""What every input shares: moments that can be kept, JSON that can be stored and read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.kernel import errors, validation


class Thing(validation.Input):
    at: validation.Moment | None = None
    metadata: validation.Metadata = {}


def problem(**fields: Any) -> tuple[str, str]:
    with pytest.raises(errors.ValidationFailed) as refused:
        validation.parse(Thing, fields)
    only = refused.value.problems[0]
    orjson.dumps([only.pointer, only.detail])
    return only.pointer, only.code


def test_a_moment_is_taken_as_utc() -> None:
    thing = validation.parse(Thing, {"at": "2026-03-01T01:30:00+02:00"})

    assert thing.at == datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    assert thing.at is not None and thing.at.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1899-12-31T23:59:59Z", "2200-01-01T00:00:00Z"],
)
def test_a_moment_outside_1900_to_2199_is_refused(text: str) -> None:
    assert problem(at=text) == ("/at", "moment_out_of_range")


@pytest.mark.parametrize("text", ["1900-01-01T00:00:00Z", "2199-12-31T23:59:59.999999Z"])
def test_the_first_and_the_last_moment_are_taken(text: str) -> None:
    assert validation.parse(Thing, {"at": text}).at


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"a": float("inf")}, "number_out_of_range"),
        ({"a": [float("nan")]}, "number_out_of_range"),
        ({"a": 10**30}, "number_out_of_range"),
        ({"a": 1e30}, "number_out_of_range"),
        ({"a": 2**63}, "number_out_of_range"),
        ({"a": -(2**63) - 1}, "number_out_of_range"),
        ({"a": 10**400}, "number_out_of_range"),
        ({"a": {"b": ["\x00"]}}, "nul_character"),
        ({"a": {"\x00": 1}}, "nul_character"),
        ({"a": "\ud800"}, "lone_surrogate"),
        ({"a": {"\ud800": 1}}, "lone_surrogate"),
        ({"a": {1: 2}}, "not_json"),
        ({"a": object()}, "not_json"),
        ({"a": "x" * validation.MAXIMUM_METADATA_BYTES}, "metadata_too_large"),
        (nested(34), "nested_too_deep"),
        (nested(5000), "nested_too_deep"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_metadata_that_cannot_be_stored_are_refused(metadata: dict[str, Any], code: str) -> None:
    assert problem(metadata=metadata) == ("/metadata", code)


def test_metadata_up_to_the_limits_are_taken() -> None:
    metadata = {"deep": nested(32), "numbers": [2**63 - 1, -(2**63), 1.5, True, None], "text": "é" * 100_000}

    assert validation.parse(Thing, {"metadata": metadata}).metadata == metadata


class Wheel(validation.Input):
    spokes: int = 32
    inflated: bool = True


class Basket(validation.Input):
    volume: int


class Bicycle(validation.Input):
    wheels: list[Wheel] = []
    basket: Basket | None = None
    spare: dict[str, Wheel] = {}
    names: dict[str, str] = {}


@pytest.mark.parametrize(
    ("fields", "pointer", "hint"),
    [
        ({"wheel": []}, "/wheel", 'Did you mean "wheels"?'),
        ({"wheels": [{}, {"spoke": 1}]}, "/wheels/1/spoke", 'Did you mean "spokes"?'),
        ({"wheels": [{"whels": 1}]}, "/wheels/0/whels", "there is no such field."),
        ({"basket": {"volume": 1, "volum": 1}}, "/basket/volum", 'Did you mean "volume"?'),
        ({"basket": {"volume": 1, "spokes": 1}}, "/basket/spokes", "there is no such field."),
        ({"spare": {"front": {"inflatd": True}}}, "/spare/front/inflatd", 'Did you mean "inflated"?'),
    ],
)
def test_a_suggested_field_is_one_of_the_object_it_is_missing_in(fields: Any, pointer: str, hint: str) -> None:
    with pytest.raises(errors.ValidationFailed) as refused:
        validation.parse(Bicycle, fields)

    only = refused.value.problems[0]
    assert only.pointer == pointer
    assert only.detail.endswith(hint)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])))
def test_a_moment_has_one_text_whatever_way_it_is_written(moment: datetime) -> None:
    assume(datetime.min.replace(tzinfo=UTC) + timedelta(days=1) < moment)

    text = validation.to_text(moment)

    assert text == moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    assert datetime.fromisoformat(text) == moment
