"""The part of JSON Schema that fields are described with: bounded, and nothing in it leads out or runs for ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import orjson

from apps.kernel import errors, validation, wording
from apps.tenants import field_values

AT_MOST = 50
LEVELS = 3
LARGEST_BYTES = 64 * 1024
_BY_LOCALE: Mapping[str, Any] = {"titles": validation.Title, "descriptions": validation.Excerpt}
_ANNOTATIONS = {"title", "description", "default", "examples", *_BY_LOCALE}
_EVERYWHERE = {"type", "enum", "const", *_ANNOTATIONS}
# Per type, the keywords beside those of every type. No `pattern`: a regular expression of a tenant could run for ever.
KEYWORDS: Mapping[str, set[str]] = {
    "string": {"minLength", "maxLength", "format"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set(),
    "array": {"items", "minItems", "maxItems", "uniqueItems"},
    "object": {"properties", "required", "additionalProperties"},
}
MOST_WORDS = 200


class InvalidSchema(errors.ValidationFailed):
    """This is no JSON Schema of the kind that fields are described with. `errors` says what is wrong where."""

    code = "invalid_schema"


def check_definition(definition: Mapping[str, Any]) -> None:
    """Raises InvalidSchema, which points at all that is wrong."""
    problems = list(_wrong(definition, "/definition", 0))
    if definition.get("type") != "object":
        said = wording.say('fields are described by a schema of the type "object".')
        problems.insert(0, errors.FieldProblem("/definition/type", "not_an_object", said))
    if len(orjson.dumps(definition)) > LARGEST_BYTES:
        said = wording.say("a schema takes {limit} bytes at most.", limit=LARGEST_BYTES)
        problems.append(errors.FieldProblem("/definition", "schema_too_large", said))
    if not problems:
        problems = [
            errors.FieldProblem(
                "/definition" + field_values.pointer_of(wrong.absolute_path),
                "invalid_keyword",
                wording.say("this is no JSON Schema: {reason}", reason=wrong.message[:200]),
            )
            for wrong in jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA).iter_errors(
                definition
            )
        ]
    if problems:
        raise InvalidSchema(validation.refused(problems).detail, problems=problems)


def _wrong(schema: Any, pointer: str, level: int) -> Iterator[errors.FieldProblem]:
    """What of a schema is beyond the part of JSON Schema that is taken here."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if not isinstance(kind, str) or kind not in KEYWORDS:
        said = wording.say("say the type: {known}.", known=", ".join(KEYWORDS))
        yield errors.FieldProblem(f"{pointer}/type", "unknown_type", said)
        return
    known = _EVERYWHERE | KEYWORDS[kind] | ({"$schema"} if level == 0 else set())
    for word in schema:
        if word not in known:
            hint = errors.did_you_mean(str(word), known)
            said = wording.say("this is not taken in a schema of the type {kind}.{hint}", kind=kind, hint=hint)
            yield errors.FieldProblem(f"{pointer}/{word}", "unknown_keyword", said)
    if "format" in schema and schema["format"] not in field_values.FORMATS:
        said = wording.say("use one of {expected}", expected=", ".join(field_values.FORMATS))
        yield errors.FieldProblem(f"{pointer}/format", "unknown_format", said)
    yield from _beyond_bounds(schema, pointer)
    yield from _wrong_titles(schema, pointer)
    properties = schema.get("properties", {})
    named = properties.items() if isinstance(properties, Mapping) else ()
    inner = {field_values.pointer_of(("properties", name)): each for name, each in named}
    if len(inner) > AT_MOST:
        said = wording.say("there are {limit} fields at most.", limit=AT_MOST)
        yield errors.FieldProblem(f"{pointer}/properties", "too_many_fields", said)
        return
    if "items" in schema:
        inner["/items"] = schema["items"]
    if inner and level >= LEVELS:
        said = wording.say("fields are nested {levels} levels deep at most.", levels=LEVELS)
        yield errors.FieldProblem(pointer, "nested_too_deep", said)
        return
    for place, each in inner.items():
        yield from _wrong(each, pointer + place, level + 1)


def _beyond_bounds(schema: Mapping[str, Any], pointer: str) -> Iterator[errors.FieldProblem]:
    """What is a schema in itself, and would be asked unseen; and what each value would be compared with for ever."""
    if not isinstance(schema.get("additionalProperties", False), bool):
        yield errors.FieldProblem(f"{pointer}/additionalProperties", "bool_type", wording.say("send true or false"))
    for word, most in (("enum", MOST_WORDS), ("required", AT_MOST)):
        if isinstance(given := schema.get(word), list) and len(given) > most:
            said = wording.say("this has at most {max_length} entries", max_length=most)
            yield errors.FieldProblem(f"{pointer}/{word}", "too_long", said)
    words = schema.get("enum", [])
    single = [schema.get("const"), *(words if isinstance(words, list) else ())]
    if any(isinstance(word, list | dict) for word in single):
        said = wording.say("send text, a number, true or false")
        yield errors.FieldProblem(f"{pointer}/{'enum' if 'enum' in schema else 'const'}", "not_a_single_value", said)


def _wrong_titles(schema: Mapping[str, Any], pointer: str) -> Iterator[errors.FieldProblem]:
    for word, rule in _BY_LOCALE.items():
        given = schema.get(word, {})
        if not isinstance(given, Mapping):
            yield errors.FieldProblem(f"{pointer}/{word}", "dict_type", wording.say("send an object"))
            continue
        for locale, text in given.items():
            if not validation.fits(validation.Locale, locale) or not validation.fits(rule, text):
                said = wording.say("send text by locale, such as {example}", example='{"de": "Größe"}')
                place = field_values.pointer_of((word, locale))
                yield errors.FieldProblem(pointer + place, "not_text_by_locale", said)
