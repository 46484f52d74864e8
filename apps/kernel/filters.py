"""Filters of lists: `name=value` and `name__op=value`, with the values each takes and what it compares."""

from __future__ import annotations

import operator
import re
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter

from apps.kernel import errors, ids, validation, wording

MAXIMUM_CHOICES = 100
MAXIMUM_TEXT = 255
MAXIMUM_NUMBER = 2**53
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE | re.ASCII)
_MEANINGS = {
    "in": "any of these, separated by commas",
    "ne": "anything but this",
    "gt": "more than this",
    "gte": "this or more",
    "lt": "less than this",
    "lte": "this or less",
}
_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "in": lambda value, wanted: value in wanted,
    "ne": operator.ne,
}
SAME = ("eq", "in", "ne")
RANGE = ("gt", "gte", "lt", "lte")


type Schema = dict[str, Any]


class Refused(ValueError):
    """A value that a filter can't be asked for; the text says what it takes."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes a value of a text, or raises Refused; `schema` says which texts it takes, as JSON Schema."""

    read: Callable[[str], Any]
    schema: Callable[[], Schema]

    def __call__(self, value: str) -> Any:
        return self.read(value)


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter that narrows a list.

    `read` makes a value of the text. `column` is what it is compared with, the filter's own name when
    empty. With `is_many` it leads to several values of a row (`variants__sku`); one that fits is enough.
    """

    read: Reader
    operators: tuple[str, ...] = ("eq",)
    column: str = ""
    description: str = ""
    is_many: bool = False

    def names(self, name: str) -> dict[str, str]:
        """The operator of each parameter it makes."""
        return {name if each == "eq" else f"{name}__{each}": each for each in self.operators}

    def value(self, parameter: str, operator: str, text: str) -> Any:
        """What the parameter asks for. Raises ValidationFailed."""
        try:
            return _several(text, self.read) if operator == "in" else self.read(text)
        except Refused as refusal:
            said = wording.say('"{value}": {problem}', value=text[:60], problem=refusal.args[0])
            raise errors.ValidationFailed.for_field(f"/{parameter}", "invalid_filter", said) from None

    def narrow(self, name: str, operator: str, value: Any, rows: Any) -> Any:
        """The rows of a queryset, or the documents of a list, that fit."""
        if not isinstance(rows, QuerySet):
            return [row for row in rows if _TESTS[operator](row[self.column or name], value)]
        column = self.column or name
        condition: dict[str, Any] = {column if operator in {"eq", "ne"} else f"{column}__{operator}": value}
        if self.is_many:
            condition = {"pk__in": rows.model._default_manager.filter(**condition).values("pk")}
        return rows.exclude(**condition) if operator == "ne" else rows.filter(**condition)

    def parameters(self, name: str) -> Iterator[OpenApiParameter]:
        """For the OpenAPI document."""
        for parameter, each in self.names(name).items():
            meaning = self.description if each == "eq" else f"{name}: {_MEANINGS[each]}"
            one = self.read.schema()
            many = {"type": "array", "items": one, "minItems": 1, "maxItems": MAXIMUM_CHOICES}
            yield OpenApiParameter(
                parameter, many if each == "in" else one, description=meaning, explode=False if each == "in" else None
            )


# --- the usual ones ------------------------------------------------------------------------------------------------


def choice(*choices: str, column: str = "", description: str = "") -> Filter:
    """One of a few words, some of them, or all but one."""
    return Filter(one_of(*choices), SAME, column, description)


def words(
    *operators: str,
    column: str = "",
    description: str = "",
    is_many: bool = False,
    read: Reader | None = None,
) -> Filter:
    """Text as it is stored; eq and in unless told otherwise."""
    return Filter(read or text, operators or ("eq", "in"), column, description, is_many=is_many)


def object_id(prefix: str, *, column: str = "", description: str = "", is_many: bool = False) -> Filter:
    """The id of another object, or one of several."""
    return Filter(identifier(prefix), ("eq", "in"), column, description, is_many=is_many)


def flag(column: str = "", description: str = "") -> Filter:
    """true or false."""
    return Filter(boolean, column=column, description=description)


def moments(column: str = "") -> Filter:
    """A moment from, until, before or after."""
    return Filter(moment, RANGE, column)


def numbers(column: str = "") -> Filter:
    """A whole number, or from one to another."""
    return Filter(number, ("eq", *RANGE), column)


# --- reading values ------------------------------------------------------------------------------------------------


def reads(schema: Schema) -> Callable[[Callable[[str], Any]], Reader]:
    """The decorated function as a reader of texts that fit the schema."""
    return lambda read: Reader(read, schema.copy)


@reads({"type": "string", "maxLength": MAXIMUM_TEXT})
def exact(value: str) -> str:
    """Not too long, and compared as it was sent: ids of other systems are."""
    return _bounded(value)


@reads({"type": "string", "maxLength": MAXIMUM_TEXT})
def text(value: str) -> str:
    """Not too long; composed as the names are that it is compared with."""
    return _bounded(unicodedata.normalize("NFC", value))


@reads({"type": "string", "maxLength": MAXIMUM_TEXT})
def email(value: str) -> str:
    """An address, however it is typed."""
    return _bounded(validation.find_email(value))


def _bounded(value: str) -> str:
    if len(value) > MAXIMUM_TEXT:
        raise Refused(wording.say("this has at most {max_length} characters", max_length=MAXIMUM_TEXT))
    return value


def one_of(*choices: str) -> Reader:
    """One of these words."""
    return one_of_those(lambda: choices)


def one_of_those(known: Callable[[], Sequence[str]]) -> Reader:
    """One of the words there are when somebody asks."""

    def read(value: str) -> str:
        choices = known()
        if value not in choices:
            hint = errors.did_you_mean(value, choices)
            raise Refused(wording.say("this is one of {known}.{hint}", known=", ".join(choices), hint=hint))
        return value

    return Reader(read, lambda: {"type": "string", "enum": sorted(known())})


def identifier(prefix: str) -> Reader:
    """An id with this prefix."""

    @reads({"type": "string", "pattern": ids.pattern(prefix)})
    def read(value: str) -> uuid.UUID:
        try:
            return ids.decode(prefix, value)
        except ids.InvalidId:
            raise Refused(wording.say("this is an id that begins with {prefix}_", prefix=prefix)) from None

    return read


def or_none(word: str, read: Reader) -> Reader:
    """None for the word, and whatever `read` makes of others."""
    schema = {"anyOf": [{"type": "string", "enum": [word]}, read.schema()]}
    return Reader(lambda value: None if value == word else read(value), schema.copy)


@reads({"type": "string", "format": "date-time"})
def moment(value: str) -> Any:
    """RFC 3339 with a time zone."""
    try:
        found = parse_datetime(value) if _MOMENT.fullmatch(value) else None
    except ValueError:
        found = None
    if found is None:
        raise Refused(wording.say("send a moment such as 2026-01-31T12:00:00Z"))
    try:
        return validation.to_moment(found)
    except ValueError:
        raise Refused(wording.say("the moment is not in the years 1900 to 2199 (in UTC)")) from None


@reads({"type": "string", "enum": ["false", "true"]})
def boolean(value: str) -> bool:
    """true or false."""
    if value not in {"true", "false"}:
        raise Refused(wording.say("send true or false"))
    return value == "true"


@reads({"type": "integer", "minimum": -MAXIMUM_NUMBER, "maximum": MAXIMUM_NUMBER})
def number(value: str) -> int:
    """A whole number that every client can hold."""
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16 and int(digits) <= MAXIMUM_NUMBER):
        raise Refused(wording.say("send a whole number"))
    return int(value)


def _several(value: str, read: Reader) -> list[Any]:
    parts = value.split(",")
    if len(parts) > MAXIMUM_CHOICES:
        raise Refused(wording.say("this has at most {max_length} entries", max_length=MAXIMUM_CHOICES))
    return [read(part.strip()) for part in parts]
