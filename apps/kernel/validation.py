"""Input models: one definition of a field's rule for the API, the services, the admin and the importers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from apps.kernel import errors, money, wording

_LOCALE = re.compile(r"[a-z]{2}(-[A-Z0-9]{2})?")
_SLUG = re.compile(r"[a-z0-9-]*")
MAXIMUM_SLUG = 255
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
MAXIMUM_METADATA_BYTES = 256 * 1024
MAXIMUM_METADATA_DEPTH = 32


class Input(BaseModel):
    """An input of a service: unknown fields are refused, values are never silently converted to another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, revalidate_instances="never")


def _check_locale(value: str) -> str:
    if not 2 <= len(value) <= 10:
        raise wording.refusal("invalid_locale_length", 'a locale has 2 to 10 characters, such as "en" or "en-GB"')
    if not _LOCALE.fullmatch(value):
        raise wording.refusal("invalid_locale_format", 'a locale looks like "en" or "en-GB"')
    return value


def _check_slug(value: str) -> str:
    if not value:
        raise wording.refusal("slug_empty", "a slug has at least one character")
    if len(value) > MAXIMUM_SLUG:
        raise wording.refusal("slug_too_long", "a slug has at most {limit} characters", limit=MAXIMUM_SLUG)
    if not _SLUG.fullmatch(value):
        raise wording.refusal(
            "slug_invalid_characters", "a slug has only a-z, 0-9 and single hyphens between them, such as red-shoes"
        )
    if value.startswith("-") or value.endswith("-"):
        raise wording.refusal("slug_hyphen_boundary", "a slug neither begins nor ends with a hyphen")
    if "--" in value:
        raise wording.refusal("slug_consecutive_hyphens", "a slug has no two hyphens in a row")
    return value


def within(name: str, *, maximum: int, minimum: int = 0) -> AfterValidator:
    """Bounds of a whole number, refused as `<name>_must_be_non_negative`, `<name>_too_small` or `<name>_too_large`."""

    def check(value: int) -> int:
        if value < minimum == 0:
            raise wording.refusal(f"{name}_must_be_non_negative", "this is zero or more")
        if value < minimum:
            raise wording.refusal(f"{name}_too_small", "this is {minimum} or more", minimum=minimum)
        if value > maximum:
            raise wording.refusal(f"{name}_too_large", "this is {maximum} at most", maximum=maximum)
        return value

    return AfterValidator(check)


def _bounds(minimum: int, maximum: int) -> Any:
    return Field(strict=True, json_schema_extra={"minimum": minimum, "maximum": maximum})


def _check_currency(value: str) -> str:
    try:
        money.exponent(value)
    except money.InvalidCurrency as error:
        raise wording.refusal("invalid_currency", "{reason}", reason=error.detail) from None
    return value


def refuse_nul(value: str) -> str:
    """The text. Raises PydanticCustomError for what the database can't store."""
    if "\x00" in value:
        raise wording.refusal("nul_character", "the text contains a NUL character; remove it")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            # JSON can spell half of a UTF-16 pair; UTF-8, and so the database, can't.
            raise wording.refusal("lone_surrogate", "the text contains half a character; send it whole") from None
    return value


def check_json(value: Any, *, maximum_depth: int = MAXIMUM_METADATA_DEPTH) -> None:
    """Raises PydanticCustomError for what can't be written as JSON, stored, and read back as the same.

    Whole numbers are signed 64 bits; so are others, because the database returns 1e30 as a whole number.
    """
    if maximum_depth < 0:
        raise wording.refusal("nested_too_deep", "the value is nested too deep; use fewer levels")
    match value:
        case None | bool():
            return
        case str():
            refuse_nul(value)
        case int() | float():
            if not -(2**63) <= value < 2**63:  # NaN neither
                raise wording.refusal("number_out_of_range", "a number is beyond 64 bits; send it as text")
        case list():
            for item in value:
                check_json(item, maximum_depth=maximum_depth - 1)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise wording.refusal("not_json", "the keys of an object are text")
                refuse_nul(key)
                check_json(item, maximum_depth=maximum_depth - 1)
        case _:
            raise wording.refusal("not_json", "this can't be stored as JSON: {kind}", kind=type(value).__name__)


def _check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    check_json(value)
    if (size := len(orjson.dumps(value))) > MAXIMUM_METADATA_BYTES:
        raise wording.refusal(
            "metadata_too_large",
            "this takes {size} bytes as JSON, {limit} at most",
            size=size,
            limit=MAXIMUM_METADATA_BYTES,
        )
    return value


def to_moment(value: datetime) -> datetime:
    """The aware datetime in UTC. Raises PydanticCustomError outside 1900 to 2199, where years are mistakes.

    The database takes years that Python can't read back.
    """
    try:
        moment = value.astimezone(UTC)
    except OverflowError:
        moment = None
    if moment is None or not EARLIEST <= moment < LATEST:
        raise wording.refusal("moment_out_of_range", "the moment is not in the years 1900 to 2199 (in UTC)")
    return moment


def _empty_to_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Text = Annotated[str, AfterValidator(refuse_nul)]
# Their own messages say more than that the text is too long; the schema tells the length all the same.
Locale = Annotated[str, Field(json_schema_extra={"minLength": 2, "maxLength": 10}), AfterValidator(_check_locale)]
Slug = Annotated[
    str,
    Field(json_schema_extra={"minLength": 1, "maxLength": MAXIMUM_SLUG, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"}),
    AfterValidator(_check_slug),
]
OptionalSlug = Annotated[Slug | None, BeforeValidator(_empty_to_none)]
Currency = Annotated[str, Field(json_schema_extra={"minLength": 3, "maxLength": 3}), AfterValidator(_check_currency)]
Title = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(refuse_nul)]
ShortText = Annotated[str, Field(max_length=255), AfterValidator(refuse_nul)]
Excerpt = Annotated[str, Field(max_length=1000), AfterValidator(refuse_nul)]
LongText = Annotated[str, Field(max_length=1_000_000), AfterValidator(refuse_nul)]
Position = Annotated[int, _bounds(0, 100_000), within("position", maximum=100_000)]
MinorUnits = Annotated[int, _bounds(0, money.MAXIMUM_MINOR_UNITS), within("price", maximum=money.MAXIMUM_MINOR_UNITS)]
Quantity = Annotated[int, _bounds(0, 1_000_000_000), within("quantity", maximum=1_000_000_000)]
Metadata = Annotated[dict[str, Any], AfterValidator(_check_metadata)]
Moment = Annotated[AwareDatetime, AfterValidator(to_moment)]


# What pydantic finds by itself, by its own names: https://docs.pydantic.dev/latest/errors/validation_errors/
_PYDANTIC = {
    "missing": wording.mark("this is required"),
    "string_type": wording.mark("send text"),
    "string_too_short": wording.mark("this has at least {min_length} characters"),
    "string_too_long": wording.mark("this has at most {max_length} characters"),
    "string_pattern_mismatch": wording.mark("this does not look like {pattern}"),
    "int_type": wording.mark("send a whole number"),
    "int_parsing": wording.mark("send a whole number"),
    "int_parsing_size": wording.mark("the number is too large"),
    "int_from_float": wording.mark("send a number without a fraction"),
    "float_type": wording.mark("send a number"),
    "float_parsing": wording.mark("send a number"),
    "finite_number": wording.mark("send a finite number"),
    "bool_type": wording.mark("send true or false"),
    "bool_parsing": wording.mark("send true or false"),
    "list_type": wording.mark("send a list"),
    "set_type": wording.mark("send a list"),
    "frozen_set_type": wording.mark("send a list"),
    "dict_type": wording.mark("send an object"),
    "model_type": wording.mark("send an object"),
    "too_short": wording.mark("this has at least {min_length} entries"),
    "too_long": wording.mark("this has at most {max_length} entries"),
    "greater_than": wording.mark("this is more than {gt}"),
    "greater_than_equal": wording.mark("this is {ge} or more"),
    "less_than": wording.mark("this is less than {lt}"),
    "less_than_equal": wording.mark("this is {le} at most"),
    "literal_error": wording.mark("use one of {expected}"),
    "enum": wording.mark("use one of {expected}"),
    "datetime_type": wording.mark("send a moment such as 2026-01-31T12:00:00Z"),
    "datetime_parsing": wording.mark("send a moment such as 2026-01-31T12:00:00Z"),
    "datetime_from_date_parsing": wording.mark("send a moment such as 2026-01-31T12:00:00Z"),
    "datetime_object_invalid": wording.mark("send a moment such as 2026-01-31T12:00:00Z"),
    "timezone_aware": wording.mark("say the time zone, such as the Z of 2026-01-31T12:00:00Z"),
    "uuid_type": wording.mark("send an identifier"),
    "uuid_parsing": wording.mark("send an identifier"),
    "union_tag_not_found": wording.mark("say which kind this is in {discriminator}"),
    "union_tag_invalid": wording.mark("{discriminator} is one of {expected_tags}"),
}


def parse[Model: BaseModel](model: type[Model], data: object) -> Model:
    """`data` as the model. Raises ValidationFailed naming every wrong field, its problem and the fix."""
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        raise failed(model, failure) from None


def failed(model: type[BaseModel], failure: ValidationError) -> errors.ValidationFailed:
    """The domain error for a pydantic failure."""
    return refused([_problem(model, entry) for entry in failure.errors(include_url=False)])


def refused(problems: Sequence[errors.FieldProblem]) -> errors.ValidationFailed:
    """The error that names these fields."""
    named = [
        wording.say("{field}: {problem}", field=_named(problem.pointer), problem=problem.detail)
        for problem in problems[:5]
    ]
    return errors.ValidationFailed(wording.join("; ", named), problems=problems)


def _named(pointer: str) -> str:
    return pointer.lstrip("/") or "body"


def _problem(model: type[BaseModel], entry: ErrorDetails) -> errors.FieldProblem:
    path = [_shown(part) for part in entry["loc"]]
    context = entry.get("ctx", {})
    detail: str
    if entry["type"] == "extra_forbidden":
        hint = errors.did_you_mean(path[-1], _fields_at(model, entry["loc"][:-1]))
        detail = wording.say("there is no such field.{hint}", hint=hint)
    else:
        detail = context.get("said") or _in_our_words(entry, context)
        if isinstance(entry["input"], str | int | float | bool) and entry["type"] != "missing":
            shown = _shown(entry["input"])
            shown = f"{shown[:60]}{'…' if len(shown) > 60 else ''}"
            detail = wording.say('"{value}": {problem}', value=shown, problem=detail)
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    return errors.FieldProblem(pointer, entry["type"], detail)


def _in_our_words(entry: ErrorDetails, context: dict[str, Any]) -> str:
    template = _PYDANTIC.get(entry["type"])
    return wording.say(template, **context) if template else entry["msg"]


def _fields_at(model: type[BaseModel], path: Sequence[int | str]) -> set[str]:
    """The fields of the object a path through `model` leads to; of all it could be, where there are several."""
    found = {model}
    for part in path:
        owners = [owner for owner in found if part in owner.model_fields]
        if owners:  # else the part is an index or a key, and what is in there has been found already
            found = {inner for owner in owners for inner in _models_in(owner.model_fields[str(part)].annotation)}
    return {name for owner in found for name in owner.model_fields}


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {inner for argument in get_args(annotation) for inner in _models_in(argument)}


def _shown(value: object) -> str:
    """The value as text that can be sent back, half characters replaced."""
    return str(value).encode(errors="replace").decode()


def to_text(moment: datetime) -> str:
    """RFC 3339 text in UTC with microseconds: the one way a moment is written into events and documents."""
    if moment.tzinfo is UTC and moment.microsecond:  # most are; a rebuild writes millions
        return orjson.dumps(moment, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"
