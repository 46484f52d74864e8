"""Input models: one definition of a field's rule for the API, the services, the admin and the importers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from apps.kernel import errors, money

_LOCALE = re.compile(r"[a-z]{2}(-[A-Z0-9]{2})?")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Input(BaseModel):
    """An input of a service: unknown fields are refused, values are never silently converted to another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, revalidate_instances="never")


def _check_locale(value: str) -> str:
    if not _LOCALE.fullmatch(value):
        raise PydanticCustomError("invalid_locale_format", 'a locale looks like "en" or "en-GB"')
    return value


def _check_slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise PydanticCustomError(
            "slug_invalid_characters", "a slug has only a-z, 0-9 and single hyphens between them, such as red-shoes"
        )
    return value


def _check_currency(value: str) -> str:
    try:
        money.exponent(value)
    except money.InvalidCurrency as error:
        raise PydanticCustomError("invalid_currency", "{reason}", {"reason": error.detail}) from None
    return value


def _refuse_nul(value: str) -> str:
    if "\x00" in value:
        raise PydanticCustomError("nul_character", "the text contains a NUL character; remove it")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            # JSON can spell half of a UTF-16 pair; UTF-8, and so the database, can't.
            raise PydanticCustomError("lone_surrogate", "the text contains half a character; send it whole") from None
    return value


def _refuse_nul_within(value: Any) -> Any:
    if isinstance(value, str):
        return _refuse_nul(value)
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(str(key))
            _refuse_nul_within(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_nul_within(item)
    return value


def _empty_to_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Text = Annotated[str, AfterValidator(_refuse_nul)]
Locale = Annotated[str, Field(min_length=2, max_length=10), AfterValidator(_check_locale)]
Slug = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_check_slug)]
OptionalSlug = Annotated[Slug | None, BeforeValidator(_empty_to_none)]
Currency = Annotated[str, Field(min_length=3, max_length=3), AfterValidator(_check_currency)]
Title = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_refuse_nul)]
ShortText = Annotated[str, Field(max_length=255), AfterValidator(_refuse_nul)]
Excerpt = Annotated[str, Field(max_length=1000), AfterValidator(_refuse_nul)]
LongText = Annotated[str, Field(max_length=1_000_000), AfterValidator(_refuse_nul)]
Position = Annotated[int, Field(ge=0, le=100_000)]
MinorUnits = Annotated[int, Field(ge=0, le=money.MAXIMUM_MINOR_UNITS)]
Quantity = Annotated[int, Field(ge=0, le=1_000_000_000)]
Metadata = Annotated[dict[str, Any], AfterValidator(_refuse_nul_within)]
Moment = AwareDatetime


def parse[Model: BaseModel](model: type[Model], data: object) -> Model:
    """`data` as the model. Raises ValidationFailed naming every wrong field, its problem and the fix."""
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        raise failed(model, failure) from None


def failed(model: type[BaseModel], failure: ValidationError) -> errors.ValidationFailed:
    """The domain error for a pydantic failure."""
    problems = [_problem(model, entry) for entry in failure.errors(include_url=False, include_context=False)]
    named = "; ".join(f"{problem.pointer.lstrip('/') or 'body'}: {problem.detail}" for problem in problems[:5])
    return errors.ValidationFailed(named, problems=problems)


def _problem(model: type[BaseModel], entry: ErrorDetails) -> errors.FieldProblem:
    path = [_shown(part) for part in entry["loc"]]
    detail = entry["msg"]
    if entry["type"] == "extra_forbidden":
        detail = f"there is no such field.{errors.did_you_mean(path[-1], model.model_fields)}"
    elif isinstance(entry["input"], str | int | float | bool) and entry["type"] != "missing":
        shown = _shown(entry["input"])
        detail = f'"{shown[:60]}{"…" if len(shown) > 60 else ""}": {detail}'
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    return errors.FieldProblem(pointer, entry["type"], detail)


def _shown(value: object) -> str:
    """The value as text that can be sent back, half characters replaced."""
    return str(value).encode(errors="replace").decode()


def to_text(moment: datetime) -> str:
    """RFC 3339 text in UTC with microseconds: the one way a moment is written into events and documents."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
