"""Fields that tenants define: a bounded part of JSON Schema, held against what is written and what is there."""

from __future__ import annotations

from typing import Any

import pytest

from apps.commerce import services as commerce
from apps.content import models as content_models
from apps.kernel import errors, ids, validation
from apps.outbox.models import Log
from apps.tenants import custom_fields, models
from tests import factories
from tests.content import making as site
from tests.readmodels import conftest as store

RECIPE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "minutes": {"type": "integer", "minimum": 1, "maximum": 600},
        "level": {"type": "string", "enum": ["easy", "hard"]},
        "steps": {"type": "array", "maxItems": 3, "items": {"type": "string", "maxLength": 20}},
        "source": {"type": "object", "properties": {"url": {"type": "string", "format": "uri"}}},
    },
    "required": ["minutes"],
}


@pytest.fixture(autouse=True)
def at_work(db: None) -> Any:
    with factories.at_work(factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")) as entered:
        yield entered


def define(definition: Any = None, *, subject: str = "node", name: str = "post") -> models.FieldSchema:
    return custom_fields.set_schema(subject=subject, name=name, definition=definition or RECIPE)


def refusals(call: Any, *arguments: Any, **named: Any) -> list[tuple[str, str]]:
    with pytest.raises(errors.ValidationFailed) as refused:
        call(*arguments, **named)
    return [(problem.pointer, problem.code) for problem in refused.value.problems]


def prop(**schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


def nested(levels: int) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": nested(levels - 1)}} if levels else {"type": "boolean"}


def test_values_that_fit_are_kept_and_recorded() -> None:
    define()

    node = site.make_node("Soup", kind="post", fields={"minutes": 20, "steps": ["Boil"]})
    site.update(node, fields={"minutes": 25})

    assert content_models.Node.objects.get().fields == {"minutes": 25}
    found = [(kind, data["fields"]) for kind, data in site.recorded(node.id) if kind == "fields.updated"]
    assert found == [("fields.updated", {"minutes": 20, "steps": ["Boil"]}), ("fields.updated", {"minutes": 25})]


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"minutes": "20"}, ("/fields/minutes", "field_type")),
        ({"minutes": 0}, ("/fields/minutes", "field_minimum")),
        ({"level": "easy"}, ("/fields/minutes", "field_required")),
        ({"minutes": 1, "colour": "red"}, ("/fields/colour", "field_additional_properties")),
        ({"minutes": 1, "level": "odd"}, ("/fields/level", "field_enum")),
        ({"minutes": 1, "steps": ["a" * 21]}, ("/fields/steps/0", "field_max_length")),
    ],
)
def test_values_that_do_not_fit_are_pointed_at(fields: dict[str, Any], refused: tuple[str, str]) -> None:
    define()

    assert refusals(site.make_node, kind="post", fields=fields) == [refused]
    node = site.make_node(kind="post")
    assert refusals(site.update, node, fields=fields) == [refused]


def test_without_a_schema_there_are_no_fields() -> None:
    define()

    assert refusals(site.make_node, kind="page", fields={"minutes": 1}) == [("/fields", "no_fields_defined")]
    site.make_node(kind="page", fields={})


def test_products_have_fields_by_their_type() -> None:
    define({"type": "object", "properties": {"volume": {"type": "integer"}}}, subject="product", name="Mug")
    mug = store.make_product("Mug", product_type="Mug", fields={"volume": 350})

    assert mug.product.fields == {"volume": 350}
    changes = validation.parse(commerce.ProductChanges, {"product_type": "Plate"})
    assert refusals(commerce.update_product, product_id=mug.id, changes=changes) == [("/fields", "no_fields_defined")]
    changes = validation.parse(commerce.ProductChanges, {"product_type": "Plate", "fields": {}})
    commerce.update_product(product_id=mug.id, changes=changes)
    types = list(Log.objects.filter(aggregate_id=mug.id).order_by("version").values_list("type", flat=True))
    assert types == [
        "commerce.product.created", "commerce.fields.updated", "commerce.product.published",
        "commerce.fields.updated", "commerce.product.updated",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("definition", "refused"),
    [
        ({"type": "array"}, ("/definition/type", "not_an_object")),
        ({}, ("/definition/type", "not_an_object")),
        (prop(type="text"), ("/definition/properties/a/type", "unknown_type")),
        (prop(), ("/definition/properties/a/type", "unknown_type")),
        (prop(type="string", pattern="(a+)+$"), ("/definition/properties/a/pattern", "unknown_keyword")),
        (prop(type="string", minimum=1), ("/definition/properties/a/minimum", "unknown_keyword")),
        (prop(type="string", format="regex"), ("/definition/properties/a/format", "unknown_format")),
        (prop(type="string", maxLength="many"), ("/definition/properties/a/maxLength", "invalid_keyword")),
        (prop(**{"$ref": "https://evil.example/x"}), ("/definition/properties/a/type", "unknown_type")),
        (
            prop(type="object", additionalProperties={"$ref": "https://evil.example/x"}),
            ("/definition/properties/a/additionalProperties", "bool_type"),
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string", "pattern": "^(a+)+$"}},
            ("/definition/additionalProperties", "bool_type"),
        ),
        (prop(type="string", enum=[str(n) for n in range(201)]), ("/definition/properties/a/enum", "too_long")),
        (prop(type="string", enum=[["a"]]), ("/definition/properties/a/enum", "not_a_single_value")),
        (prop(type="string", const={}), ("/definition/properties/a/const", "not_a_single_value")),
        ({"type": "object", "required": [1, "a"] * 30}, ("/definition/required", "too_long")),
        (
            prop(type="string", titles={"english": "A"}),
            ("/definition/properties/a/titles/english", "not_text_by_locale"),
        ),
        (prop(type="string", titles={"en": ""}), ("/definition/properties/a/titles/en", "not_text_by_locale")),
        (prop(type="string", descriptions="A"), ("/definition/properties/a/descriptions", "dict_type")),
        (nested(5), ("/definition/properties/a/properties/a/properties/a", "nested_too_deep")),
        (
            {"type": "object", "properties": {f"f{number}": {"type": "boolean"} for number in range(51)}},
            ("/definition/properties", "too_many_fields"),
        ),
        (prop(type="string", description="x" * 70_000), ("/definition", "schema_too_large")),
    ],
)
def test_a_schema_beyond_the_part_that_is_taken_is_refused(definition: Any, refused: tuple[str, str]) -> None:
    assert refused in refusals(custom_fields.set_schema, subject="node", name="post", definition=definition)


def test_a_schema_that_is_there_already_breaks_nothing() -> None:
    define()
    fitting = site.make_node(kind="post", fields={"minutes": 20})
    site.make_node(kind="post")

    with pytest.raises(custom_fields.FieldsInTheWay, match=ids.encode("node", fitting.id)):
        define(prop(type="string"))
    define(RECIPE | {"required": ["minutes"], "title": "Recipe"})

    assert models.FieldSchema.objects.get().definition["title"] == "Recipe"
    types = list(Log.objects.filter(aggregate_type="tenants.field_schema").values_list("type", flat=True))
    assert types == ["tenants.field_schema.set"] * 2


def test_the_same_schema_again_changes_nothing() -> None:
    define()
    count = site.event_count()

    define()

    assert site.event_count() == count


def test_a_schema_that_is_gone_leaves_the_values() -> None:
    schema = define()
    node = site.make_node(kind="post", fields={"minutes": 20})

    custom_fields.delete_schema(schema_id=schema.id)
    site.update(node, author_name="Ann")

    assert content_models.Node.objects.get().fields == {"minutes": 20}
    assert refusals(site.update, node, fields={"minutes": 21}) == [("/fields", "no_fields_defined")]


def test_a_kind_there_is_not_has_no_fields() -> None:
    new = validation.parse(custom_fields.NewFieldSchema, {"subject": "node", "name": "pots", "definition": RECIPE})

    assert refusals(custom_fields.create_schema, new=new) == [("/name", "unknown_name")]
