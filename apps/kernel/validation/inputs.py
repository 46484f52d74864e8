"""What an input model is, and what is said about one that is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from apps.kernel import errors, wording

_QUOTED = re.compile(r"'([^']*)'")
# What pydantic finds before a rule of ours could, by the name the rule has for it.
_CODES = {"string_unicode": "lone_surrogate"}


class Input(BaseModel):
    """An input of a service: unknown fields are refused, values are never silently converted to another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, revalidate_instances="never")


# What pydantic finds by itself, by its own names: https://docs.pydantic.dev/latest/errors/validation_errors/
_PYDANTIC = {
    "missing": wording.mark("this is required"),
    "string_type": wording.mark("send text"),
    "string_unicode": wording.mark("the text contains half a character; send it whole"),
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


def check(rule: Any, value: object, *, field: str) -> Any:
    """One value by the rule of a field, `validation.Sku` for one, as an input model would take it.

    For what comes in without a model around it: a cell of a file, an option of a command, a box of a form. Raises
    ValidationFailed naming `field`.
    """
    try:
        return _adapter(rule).validate_python(value)
    except ValidationError as failure:
        raise refused([_problem(None, (field,), entry) for entry in failure.errors(include_url=False)]) from None


def fits(rule: Any, value: object) -> bool:
    """Whether the rule takes the value."""
    try:
        _adapter(rule).validate_python(value)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=64)
def _adapter(rule: Any) -> TypeAdapter[Any]:
    return TypeAdapter(rule, config=ConfigDict(str_strip_whitespace=True))


def failed(model: type[BaseModel], failure: ValidationError) -> errors.ValidationFailed:
    """The domain error for a pydantic failure."""
    return refused([_problem(model, entry["loc"], entry) for entry in failure.errors(include_url=False)])


def refused(problems: Sequence[errors.FieldProblem]) -> errors.ValidationFailed:
    """The error that names these fields."""
    named = [
        wording.say("{field}: {problem}", field=_named(problem.pointer), problem=problem.detail)
        for problem in problems[:5]
    ]
    return errors.ValidationFailed(wording.join("; ", named), problems=problems)


def _named(pointer: str) -> str:
    return pointer.lstrip("/") or "body"


def _problem(model: type[BaseModel] | None, path: Sequence[int | str], entry: ErrorDetails) -> errors.FieldProblem:
    parts = [_shown(part) for part in path]
    context = entry.get("ctx", {})
    detail: str
    if entry["type"] == "extra_forbidden":
        hint = errors.did_you_mean(parts[-1], _fields_at(model, path[:-1]))
        detail = wording.say("there is no such field.{hint}", hint=hint)
    else:
        detail = context.get("said") or _in_our_words(entry, context)
        if isinstance(entry["input"], str | int | float | bool) and not context.get("is_secret"):
            shown = _visible(_shown(entry["input"]))
            detail = wording.say('"{value}": {problem}', value=shown, problem=detail)
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
    return errors.FieldProblem(pointer, _CODES.get(entry["type"], entry["type"]), detail)


def _in_our_words(entry: ErrorDetails, context: dict[str, Any]) -> str:
    template = _PYDANTIC.get(entry["type"])
    if template is None:
        return entry["msg"]
    said = wording.say(template, **context)
    if "expected" in context and isinstance(entry["input"], str):
        hint = errors.did_you_mean(entry["input"], _QUOTED.findall(context["expected"]))
        said = wording.say("{problem}.{hint}", problem=said, hint=hint) if hint else said
    return said


def _fields_at(model: type[BaseModel] | None, path: Sequence[int | str]) -> set[str]:
    """The fields of the object a path through `model` leads to; of all it could be, where there are several."""
    found = {model} if model else set()
    for part in path:
        owners = [owner for owner in found if part in owner.model_fields]
        if owners:  # else the part is an index or a key, and what is in there has been found already
            found = {inner for owner in owners for inner in _models_in(owner.model_fields[str(part)].annotation)}
    return {name for owner in found for name in owner.model_fields}


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {inner for argument in get_args(annotation) for inner in _models_in(argument)}


def _visible(text: str) -> str:
    """The beginning of the text, with escapes for what nobody sees, or a terminal obeys."""
    start = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text[:60]
    )
    return f"{start}…" if len(text) > 60 else start


def _shown(value: object) -> str:
    """The value as text that can be sent back, half characters replaced."""
    return str(value).encode(errors="replace").decode()
