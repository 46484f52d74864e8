"""What every input model takes: read off its schema, and tried on the model itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from apps.kernel import errors
from apps.kernel.validation.inputs import Input, parse

type Schema = Mapping[str, Any]
type Way = tuple[str, ...]

EACH = "[]"  # any entry of a list
ANY_KEY = "{}"  # any value of an object whose keys are not fields
_SELF_EXPLAINING = {"missing", "extra_forbidden"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value somewhere in a field, with what its schema says: the field itself, its entries, and theirs."""

    way: Way
    schema: Schema

    @property
    def name(self) -> str:
        """`values[]`, `names{}`."""
        return "".join(self.way)

    def holding(self, value: Any) -> dict[str, Any]:
        """An input with the value at the end of the way."""
        for step in reversed(self.way[1:]):
            value = [value] if step == EACH else {"en": value}
        return {self.way[0]: value}


@dataclass(frozen=True, slots=True)
class Limit:
    """A row of the page. `model` names the input model that says more about the value, `codes` how it is refused."""

    name: str
    type: str
    bounds: str
    is_required: bool
    codes: tuple[str, ...]
    model: str = ""


def models() -> list[type[Input]]:
    """Every input model of the program that has been imported, by app and name."""
    found, waiting = set(), [Input]
    while waiting:
        subclasses = waiting.pop().__subclasses__()
        waiting += subclasses
        found |= {each for each in subclasses if each.__module__.startswith(("apps.", "rustok."))}
    return sorted(found, key=lambda model: (app_of(model), model.__name__, model.__module__))


def app_of(model: type[Input]) -> str:
    """The app a model belongs to, such as `content`."""
    return model.__module__.split(".")[1]


def leaves(model: type[Input]) -> Iterator[Leaf]:
    """Every value of the model, without what is in models of their own."""
    top = model.model_json_schema(mode="validation")
    definitions = top.get("$defs", {})
    if "$ref" in top:
        top = definitions[top["$ref"].rpartition("/")[2]]
    for name, schema in top.get("properties", {}).items():
        yield from _within((name,), schema, definitions)


def _within(way: Way, schema: Schema, definitions: Mapping[str, Schema]) -> Iterator[Leaf]:
    given = schema.get("anyOf") or schema.get("oneOf") or [schema]
    options = [option for option in given if not _is_nothing(option)]
    if len(options) != 1 or "anyOf" in options[0]:
        for option in options:
            yield from _within(way, option, definitions)
        return
    [found] = options
    if "$ref" in found:
        target = definitions[found["$ref"].rpartition("/")[2]]
        if "properties" in target:
            yield Leaf(way, {"model": target["title"]})
        else:
            yield from _within(way, target, definitions)
        return
    if {"const": ""} in schema.get("anyOf", ()):
        found = {**found, "minLength": 0}
    yield Leaf(way, found)
    if found.get("type") == "array":
        yield from _within((*way, EACH), found.get("items", {}), definitions)
    elif (each := _of_any_key(found)) is not None:
        yield from _within((*way, ANY_KEY), each, definitions)


def _of_any_key(schema: Schema) -> Schema | None:
    """What the values of a mapping are, whatever its keys have to look like; None for what has members of its own."""
    found = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def _is_nothing(schema: Schema) -> bool:
    return schema.get("type") == "null" or schema.get("const") == ""


def missing_bounds(leaf: Leaf) -> list[str]:
    """The words of JSON Schema that should be there to bound the value, and are not."""
    schema = leaf.schema
    if schema.keys() & {"model", "enum", "const", "x-bounds"}:
        return []
    match schema.get("type"):
        case "boolean":
            return []
        case "string":
            wanted = [] if schema.get("format") in {"uuid", "date-time"} else ["maxLength"]
        case "integer" | "number":
            wanted = ["minimum", "maximum"]
        case "array":
            wanted = ["maxItems", "items"]
        case "object":
            wanted = ["maxProperties"] if _of_any_key(schema) is not None else ["x-maximum-bytes"]
        case _:
            wanted = ["type"]
    return [word for word in wanted if word not in schema]


def beyond(leaf: Leaf) -> Iterator[Any]:
    """Values that the schema does not allow, each just outside of one of its bounds."""
    schema = leaf.schema
    if "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1)
    if schema.get("minLength"):
        yield ""
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"] + 1
    if "maxItems" in schema:
        yield [None] * (schema["maxItems"] + 1)
    if schema.get("minItems"):
        yield []
    if "maxProperties" in schema:
        yield {f"{first}{second}": "x" for first in ascii_lowercase for second in ascii_lowercase}
    if schema.get("minProperties"):
        yield {}
    if "x-maximum-bytes" in schema and len(leaf.way) == 1:
        yield {"a": "x" * schema["x-maximum-bytes"]}
    if ("enum" in schema or "const" in schema) and "x-bounds" not in schema:
        yield "no such word"


def hostile(leaf: Leaf) -> Iterator[Any]:
    """Values of a wrong type, and text that can't be stored or is not what it looks like."""
    match leaf.schema.get("type"):
        case "string":
            yield from (1, "\x00", "\ud800", "a\nb", "\u200b", "Ａ Ｂ", "-a", "a--b", "a", "1.12345", "-1", "9" * 30)
        case "integer":
            yield from ("1", 1.5, True)
        case "array":
            yield from ("text", {"a": 1})
        case "object":
            yield from ("text", ["a"])
        case "boolean":
            yield from ("true", 1)
        case _:
            yield "text"


def refusals(model: type[Input], leaf: Leaf, value: Any) -> list[errors.FieldProblem]:
    """What the model says about the value at this place; nothing where it takes it."""
    try:
        parse(model, leaf.holding(value))
    except errors.ValidationFailed as refused:
        return [problem for problem in refused.problems if problem.pointer.split("/")[1] == leaf.way[0]]
    return []


def limits(model: type[Input]) -> list[Limit]:
    """The rows of the page for one model."""
    return [_limit(model, leaf) for leaf in leaves(model)]


def _limit(model: type[Input], leaf: Leaf) -> Limit:
    tried = [*beyond(leaf), *hostile(leaf)]
    codes = {problem.code for value in tried for problem in refusals(model, leaf, value)}
    field = model.model_fields[leaf.way[0]]
    return Limit(
        name=leaf.name,
        type=_type(leaf.schema),
        bounds=_bounds(leaf.schema),
        is_required=field.is_required() and len(leaf.way) == 1,
        codes=tuple(sorted(codes - _SELF_EXPLAINING)),
        model=leaf.schema.get("model", ""),
    )


def _type(schema: Schema) -> str:
    if "enum" in schema or "const" in schema:
        return "word"
    names = {"string": "text", "integer": "whole number", "array": "list", "boolean": "true or false"}
    formats = {"uuid": "id", "typed-id": "id", "date-time": "moment", "email": "e-mail address", "password": "secret"}
    if found := formats.get(schema.get("format", "")):
        return found
    return names.get(schema.get("type", ""), "object")


_SAID_BY_TYPE = {"date-time": "in the years 1900 to 2199", "uuid": "", "typed-id": ""}


def _bounds(schema: Schema) -> str:
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    if "x-bounds" in schema:
        return str(schema["x-bounds"])
    if schema.get("format") in _SAID_BY_TYPE:
        return _SAID_BY_TYPE[schema["format"]]
    units = {"Length": "characters", "Items": "entries", "Properties": "entries"}
    for word, unit in units.items():
        if f"max{word}" in schema:
            least, most = schema.get(f"min{word}", 0), schema[f"max{word}"]
            return f"{least:,} to {most:,} {unit}" if least != most else f"{most:,} {unit}"
    if "maximum" in schema:
        return f"{schema['minimum']:,} to {schema['maximum']:,}"
    return f"{schema['x-maximum-bytes']:,} bytes as JSON" if "x-maximum-bytes" in schema else ""
