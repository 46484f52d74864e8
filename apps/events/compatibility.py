"""Can data written under one schema be read under another? Each way in which it can't has a rule with a name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.events.schemas import Schema

_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description", "examples", "deprecated"}
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
# Whatever these were before, another one refuses some of it.
_EXACT = ("format", "pattern", "multipleOf", "uniqueItems", "prefixItems", "propertyNames", "patternProperties")


class Rule(StrEnum):
    """The rules of `events_schema check`, by the name it prints."""

    RELEASED_CHANGED = "released schema changed"
    REQUIRED_ADDED = "required field added without a new version"
    BECAME_REQUIRED = "optional field became required"
    FIELD_REMOVED = "field removed"
    TYPE_NARROWED = "type narrowed"
    ENUM_VALUE_REMOVED = "enum value removed"
    LOCK_OUTDATED = "lock is out of date"
    VERSION_MISSING = "version missing from the lock"
    VERSION_UNKNOWN = "lock has a version the code no longer knows"
    TYPE_UNKNOWN = "lock has a type the code no longer knows"
    UPCASTER_MISSING = "upcaster missing"
    SAMPLE_MISSING = "stored sample missing"
    SAMPLE_UNREADABLE = "stored sample no longer readable"
    NOT_RELEASED = "not released"


@dataclass(frozen=True, slots=True)
class Difference:
    """What is refused now and was not before. `field` is its dotted path, `detail` what happened to it."""

    rule: Rule
    field: str
    detail: str


def canonical(schema: Schema) -> Schema:
    """The schema without what has no bearing on validity: names of definitions, descriptions, order."""
    return dict(_canonical(schema, schema.get("$defs", {}), ()))


def _canonical(node: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    if not isinstance(node, dict):
        return node
    if (reference := node.get("$ref")) is not None:
        name = reference.rpartition("/")[2]
        if name in inside:  # a tree of itself: the same place again
            return {"$ref": len(inside) - inside.index(name)}
        others = {key: value for key, value in node.items() if key != "$ref"}
        return _canonical(definitions[name] | others, definitions, (*inside, name))
    kept = {key: value for key, value in node.items() if key not in _ANNOTATIONS}
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    for key, value in kept.items():
        if key in {"properties", "patternProperties"}:
            kept[key] = {name: _canonical(entry, definitions, inside) for name, entry in sorted(value.items())}
        elif key in {"anyOf", "oneOf", "allOf", "prefixItems"}:
            kept[key] = [_canonical(entry, definitions, inside) for entry in value]
        elif key in {"required", "enum"}:
            kept[key] = sorted(value, key=repr)
        elif key != "default":
            kept[key] = _canonical(value, definitions, inside)
    return kept


def breaks(old: Schema, new: Schema) -> list[Difference]:
    """Why data valid under `old` may be refused under `new`; empty when all of it stays readable."""
    return list(_breaks(canonical(old), canonical(new), ""))


def _breaks(old: Schema, new: Schema, field: str) -> Iterator[Difference]:
    """Everything the old schema allows has to be allowed by some alternative of the new one."""
    news = _alternatives(new)
    for alternative in _alternatives(old):
        found = [list(_breaks_single(alternative, other, field)) for other in news]
        if all(found):
            alike = [
                problems
                for problems, other in zip(found, news, strict=True)
                if other.get("type") == alternative.get("type")
            ]
            yield from min(alike, key=len) if alike else [_narrowed(field, f"{_named(alternative)} is no longer taken")]


def _alternatives(schema: Schema) -> list[Schema]:
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return [found for entry in schema[key] for found in _alternatives(entry)]
    if isinstance(schema.get("type"), list):
        return [schema | {"type": name} for name in schema["type"]]
    return [schema]


def _breaks_single(old: Schema, new: Schema, field: str) -> Iterator[Difference]:
    if "$ref" in old or "$ref" in new:
        if old != new:
            yield _narrowed(field, "it refers to another definition")
        return
    if "type" in new and new["type"] != old.get("type") and (old.get("type"), new["type"]) != ("integer", "number"):
        yield _narrowed(field, f"{_named(old)} is no longer taken")
        return
    if "enum" in new:
        for value in [value for value in old.get("enum", ["any other value"]) if value not in new["enum"]]:
            yield Difference(Rule.ENUM_VALUE_REMOVED, field, f"{value!r} is no longer taken")
    yield from _breaks_bounds(old, new, field)
    yield from _breaks_object(old, new, field)
    if "items" in new:
        yield from _breaks(old.get("items", {}), new["items"], f"{field}[]")


def _breaks_bounds(old: Schema, new: Schema, field: str) -> Iterator[Difference]:
    for key in _LOWER_BOUNDS:
        if key in new and (key not in old or new[key] > old[key]):
            yield _narrowed(field, f"{key} is {new[key]} and was {old.get(key, 'not set')}")
    for key in _UPPER_BOUNDS:
        if key in new and (key not in old or new[key] < old[key]):
            yield _narrowed(field, f"{key} is {new[key]} and was {old.get(key, 'not set')}")
    for key in _EXACT:
        if key in new and new[key] != old.get(key):
            yield _narrowed(field, f"{key} is {new[key]!r} and was {old.get(key, 'not set')!r}")


def _breaks_object(old: Schema, new: Schema, field: str) -> Iterator[Difference]:
    before, now = old.get("properties", {}), new.get("properties", {})
    others_before, others_now = (schema.get("additionalProperties", True) for schema in (old, new))
    for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
        rule = Rule.BECAME_REQUIRED if name in before else Rule.REQUIRED_ADDED
        yield Difference(rule, _join(field, name), "stored events may lack it")
    for name in sorted(before):
        if name not in now and others_now is False:
            yield Difference(Rule.FIELD_REMOVED, _join(field, name), "stored events have it")
        else:
            yield from _breaks(before[name], now.get(name, _open(others_now)), _join(field, name))
    if old.get("type") != "object" or others_before is False:
        return
    for name in sorted(set(now) - set(before)):
        yield from _breaks(_open(others_before), now[name], _join(field, name))
    if others_now is False:
        yield _narrowed(field, "fields that are not named are no longer taken")
    else:
        yield from _breaks(_open(others_before), _open(others_now), _join(field, "*"))


def _open(others: Schema | bool) -> Schema:
    """`additionalProperties` as a schema: anything, unless it says what."""
    return others if isinstance(others, dict) else {}


def _narrowed(field: str, detail: str) -> Difference:
    return Difference(Rule.TYPE_NARROWED, field, detail)


def _named(schema: Schema) -> str:
    name = schema.get("type", "any value")
    return f"{name} ({schema['format']})" if "format" in schema else str(name)


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
