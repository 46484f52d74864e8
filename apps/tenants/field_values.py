"""Values held against the schema of their fields: in bounded time, asking nobody, told in our words by their place.

The library leaves formats it has no package for unchecked, fetches a `$ref` that leads elsewhere, and compares every
two entries of a list that has to be unique; none of that may happen with what a tenant writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

import jsonschema
import orjson
from jsonschema import validators
from referencing import Registry

from apps.kernel import errors, validation, wording

MOST_ENTRIES = 1000
_MOST_PROBLEMS = 100
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WEB, _SCHEMES = {"http", "https"}, {"http", "https", "mailto", "tel"}  # of what a page may be made to link to


def _is_date(value: str) -> bool:
    return _DATE.fullmatch(value) is not None and bool(date.fromisoformat(value))


def _is_address(value: str) -> bool:
    parts = urlsplit(value)
    named = parts.hostname if parts.scheme in _WEB else parts.path
    return parts.scheme in _SCHEMES and bool(named) and not any(sign <= " " or sign == "\x7f" for sign in value)


_FORMATS = {
    "date": (_is_date, wording.mark("send a date such as 2026-01-31")),
    "date-time": (
        lambda value: validation.fits(validation.Moment, value),
        wording.mark("send a moment such as 2026-01-31T12:00:00Z"),
    ),
    "email": (
        lambda value: validation.fits(validation.Email, value),
        wording.mark("this is not an e-mail address such as ann@example.com"),
    ),
    "uri": (_is_address, wording.mark("an address starts with https://, http://, mailto: or tel:, and has no spaces")),
    "uuid": (lambda value: bool(UUID(value)), wording.mark("send a UUID such as 0b6c7c0e-6d0e-4a51-9a0f-2f3d8e1f7a11")),
}
FORMATS = tuple(_FORMATS)
_TYPES = {
    "string": wording.mark("send text"),
    "integer": wording.mark("send a whole number"),
    "number": wording.mark("send a number"),
    "boolean": wording.mark("send true or false"),
    "array": wording.mark("send a list"),
    "object": wording.mark("send an object"),
}
# Where an input model refuses the same, it says the same; its places are named after the bounds of pydantic.
_BOUNDS = ("min_length", "max_length", "ge", "gt", "le", "lt", "expected")
_SAID = {
    "minLength": wording.mark("this has at least {min_length} characters"),
    "maxLength": wording.mark("this has at most {max_length} characters"),
    "minimum": wording.mark("this is {ge} or more"),
    "maximum": wording.mark("this is {le} at most"),
    "exclusiveMinimum": wording.mark("this is more than {gt}"),
    "exclusiveMaximum": wording.mark("this is less than {lt}"),
    "multipleOf": wording.mark("this is a multiple of {expected}"),
    "minItems": wording.mark("this has at least {min_length} entries"),
    "maxItems": wording.mark("this has at most {max_length} entries"),
    "uniqueItems": wording.mark("each entry is given once"),
    "enum": wording.mark("use one of {expected}"),
    "const": wording.mark("use one of {expected}"),
}


def problems(definition: Mapping[str, Any], values: Mapping[str, Any], pointer: str) -> Iterator[errors.FieldProblem]:
    """What is wrong with the values, the first hundred of it."""
    wrong = _reader(orjson.dumps(definition)).iter_errors(values)
    return islice((problem for each in wrong for problem in _told(each, pointer)), _MOST_PROBLEMS)


def pointer_of(path: Iterable[str | int]) -> str:
    """The path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _format(_: Any, name: str, value: object, __: Any) -> Iterator[jsonschema.ValidationError]:
    if not isinstance(value, str):
        return
    with suppress(ValueError):  # of what reads it
        if _FORMATS[name][0](value):
            return
    yield jsonschema.ValidationError("")


def _once_each(_: Any, is_wanted: bool, value: object, __: Any) -> Iterator[jsonschema.ValidationError]:
    """JSON that is written the same is the same; numbers as the database gives them back."""
    if is_wanted and isinstance(value, list):
        written = {orjson.dumps(each, option=orjson.OPT_SORT_KEYS) for each in value}
        if len(written) < len(value):
            yield jsonschema.ValidationError("")


_Validator = validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {"format": _format, "uniqueItems": _once_each}
)


@lru_cache(maxsize=256)
def _reader(definition: bytes) -> Any:
    """The registry is empty and gets nothing: no reference leads out of the schema."""
    return _Validator(_bounded(orjson.loads(definition)), registry=Registry())


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    """Closed to fields that are not named, as a misspelt one would be lost; lists no longer than any may be."""
    match schema.get("type"):
        case "object":
            inner = {name: _bounded(each) for name, each in schema.get("properties", {}).items()}
            return {"additionalProperties": False, **schema, "properties": inner}
        case "array":
            inner = {"items": _bounded(schema["items"])} if "items" in schema else {}
            return {**schema, **inner, "maxItems": min(schema.get("maxItems", MOST_ENTRIES), MOST_ENTRIES)}
    return schema


def _told(wrong: jsonschema.ValidationError, pointer: str) -> Iterator[errors.FieldProblem]:
    # The schema is of ours, and so is every word of it: none is unset.
    word, bound, path = str(wrong.validator), cast(Any, wrong.validator_value), list(wrong.absolute_path)
    value = cast(Any, wrong.instance)
    code = f"field_{_snake(word)}"

    def problem(said: str, *more: str, **values: object) -> errors.FieldProblem:
        return errors.FieldProblem(pointer + pointer_of([*path, *more]), code, wording.say(said, **values))

    match word:
        case "required":
            # The library tells of each that is missing by itself, and names it in its sentence only.
            missing = [name for name in bound if name not in value]
            yield from (problem("this is required", name) for name in missing if wrong.message.startswith(repr(name)))
        case "additionalProperties":
            known = cast(Any, wrong.schema).get("properties", {})
            for name in sorted(set(value) - set(known)):
                yield problem("there is no such field.{hint}", name, hint=errors.did_you_mean(name, known))
        case "type":
            yield problem(_TYPES[str(bound)])
        case "format":
            yield problem(_FORMATS[str(bound)][1])
        case _:
            words = bound if word == "enum" else [bound]
            shown = ", ".join(_shown(each) for each in words[:20]) + (", …" if len(words) > 20 else "")
            yield problem(_SAID[word], **dict.fromkeys(_BOUNDS, shown))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _snake(word: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in word)
