"""Values against schemas: what fits, where what does not is wrong, in whose words, and in which time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies
from jsonschema.exceptions import ValidationError

from apps.kernel import wording
from apps.tenants import field_schemas, field_values

TEXT = {"type": "string"}
LINES = {"type": "array", "items": TEXT}
FIELDS: dict[str, dict[str, Any]] = {
    "size": {"type": "string", "enum": ["S", "M"], "titles": {"de": "Größe"}, "descriptions": {"de": "Der Schuhe"}},
    "code": {"type": "string", "minLength": 2, "maxLength": 3},
    "pages": {"type": "integer", "minimum": 1, "maximum": 9},
    "weight": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 5, "multipleOf": 0.5},
    "is_new": {"type": "boolean"},
    "day": {"type": "string", "format": "date"},
    "opens_at": {"type": "string", "format": "date-time"},
    "contact": {"type": "string", "format": "email"},
    "link": {"type": "string", "format": "uri"},
    "key": {"type": "string", "format": "uuid"},
    "words": {**LINES, "minItems": 1, "maxItems": 2, "uniqueItems": True},
    "care": {"type": "object", "properties": {"en": TEXT, "all": LINES}, "required": ["en"]},
}
WHOLE = {"type": "object", "properties": FIELDS, "required": ["size"]}


def refusals(values: dict[str, Any], definition: dict[str, Any] = WHOLE) -> list[tuple[str, str]]:
    found = list(field_values.problems(definition, values, "/fields"))
    assert all(isinstance(problem.detail, wording.Said) for problem in found)
    return [(problem.pointer.removeprefix("/fields/"), problem.code.removeprefix("field_")) for problem in found]


def test_all_that_fits_is_taken() -> None:
    field_schemas.check_definition(WHOLE)

    values = {
        "size": "M", "code": "ab", "pages": 9, "weight": 0.5, "is_new": False, "day": "2024-02-29",
        "opens_at": "2026-02-28T10:00:00+01:00", "contact": "ann@example.com", "link": "mailto:ann@example.com",
        "key": "0b6c7c0e-6d0e-4a51-9a0f-2f3d8e1f7a11", "words": ["a", "b"],
        "care": {"en": "Hand wash", "all": ["cold"]},
    }  # fmt: skip
    assert refusals(values) == []


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"size": "L"}, ("size", "enum")),
        ({"code": "a"}, ("code", "min_length")),
        ({"code": "abcd"}, ("code", "max_length")),
        ({"code": None}, ("code", "type")),
        ({"pages": True}, ("pages", "type")),
        ({"pages": 0}, ("pages", "minimum")),
        ({"pages": 10}, ("pages", "maximum")),
        ({"weight": 0}, ("weight", "exclusive_minimum")),
        ({"weight": 5}, ("weight", "exclusive_maximum")),
        ({"weight": 0.7}, ("weight", "multiple_of")),
        ({"is_new": 1}, ("is_new", "type")),
        ({"day": "2026-02-30"}, ("day", "format")),
        ({"day": "20260228"}, ("day", "format")),
        ({"opens_at": "tomorrow"}, ("opens_at", "format")),
        ({"opens_at": "2026-02-28T10:00:00"}, ("opens_at", "format")),
        ({"contact": "a@b@c"}, ("contact", "format")),
        ({"link": "javascript:alert(1)"}, ("link", "format")),
        ({"link": "data:text/html,x"}, ("link", "format")),
        ({"link": "https://"}, ("link", "format")),
        ({"link": "https://[x"}, ("link", "format")),
        ({"link": "https://example.com/a b"}, ("link", "format")),
        ({"key": "1"}, ("key", "format")),
        ({"words": []}, ("words", "min_items")),
        ({"words": ["a", "b", "c"]}, ("words", "max_items")),
        ({"words": ["a", "a"]}, ("words", "unique_items")),
        ({"words": [1]}, ("words/0", "type")),
        ({"care": {"fr": "x", "en": "x"}}, ("care/fr", "additional_properties")),
        ({"care": {}}, ("care/en", "required")),
        ({"a/b": 1}, ("a~1b", "additional_properties")),
    ],
)
def test_what_does_not_fit_is_told_where_it_stands(values: dict[str, Any], refused: tuple[str, str]) -> None:
    assert refusals({"size": "S"} | values) == [refused]


def test_each_missing_and_each_misspelt_field_is_named_once() -> None:
    definition = {"type": "object", "properties": {"mood": TEXT, "tone": TEXT}, "required": ["mood", "tone"]}

    [misspelt, *missing] = field_values.problems(definition, {"mod": "calm"}, "/fields")
    assert (misspelt.pointer, misspelt.detail) == ("/fields/mod", 'there is no such field. Did you mean "mood"?')
    assert [problem.pointer for problem in missing] == ["/fields/mood", "/fields/tone"]


def test_nothing_is_fetched_from_where_a_reference_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    stored = {"type": "object", "additionalProperties": {"$ref": "http://127.0.0.1:9/x"}}

    with pytest.raises(Exception, match="Unresolvable") as failed:
        refusals({"x": 1}, stored)
    assert not isinstance(failed.value, AssertionError | ValidationError)


def test_lists_without_a_bound_have_one() -> None:
    definition = {
        "type": "object",
        "properties": {"words": LINES, "in": {"type": "object", "properties": {"w": LINES}}},
    }

    assert refusals({"words": ["a"] * 1000}, definition) == []
    assert refusals({"words": ["a"] * 1001, "in": {"w": ["a"] * 1001}}, definition) == [
        ("words", "max_items"), ("in/w", "max_items"),
    ]  # fmt: skip


def test_entries_of_a_list_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsonschema._utils.equal", lambda *_: pytest.fail("two entries were compared"))
    rooms = {
        "type": "array",
        "uniqueItems": True,
        "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
    }
    definition = {"type": "object", "properties": {"rooms": rooms}}

    assert refusals({"rooms": [{"n": number} for number in range(1000)]}, definition) == []
    assert refusals({"rooms": [{"n": 1}, {"n": 1}]}, definition) == [("rooms", "unique_items")]


def test_of_much_that_is_wrong_the_first_hundred_is_told() -> None:
    definition = {"type": "object", "properties": {"words": LINES}}

    assert len(refusals({"words": list(range(1000))}, definition)) == 100


_JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.floats(allow_nan=False) | strategies.text(max_size=5),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=5), inner),
    max_leaves=10,
)


@given(values=strategies.dictionaries(strategies.sampled_from([*FIELDS, "x"]), _JSON))
def test_no_value_is_beyond_words(values: dict[str, Any]) -> None:
    refusals(values)


_WORDS = sorted({word for each in field_schemas.KEYWORDS.values() for word in each} | {"titles", "enum", "const"})


@given(field=strategies.dictionaries(strategies.sampled_from(_WORDS), _JSON))
def test_a_schema_of_anything_is_taken_or_refused(field: dict[str, Any]) -> None:
    for kind in field_schemas.KEYWORDS:
        try:
            field_schemas.check_definition({"type": "object", "properties": {"a": {**field, "type": kind}}})
        except field_schemas.InvalidSchema as refused:
            assert all(problem.pointer.startswith("/definition") for problem in refused.problems)


@pytest.mark.parametrize("language", ["de", "es", "fr", "ru", "zh-hans"])
@pytest.mark.parametrize("values", [{}, {"size": "L"}, {"size": "S", "pages": "1"}, {"size": "S", "link": "x"}])
def test_refusals_are_told_in_every_language(values: dict[str, Any], language: str) -> None:
    [problem] = field_values.problems(WHOLE, values, "/fields")

    assert wording.in_language(problem.detail, language) != problem.detail
