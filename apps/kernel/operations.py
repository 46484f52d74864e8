"""What an operation of the API promises: declared once, shown in the OpenAPI document, and held against every answer.

An operation says what is its own: what it takes, answers and refuses. What comes with a view of its kind (lists,
idempotency keys, versions) are the `manners` of the view; middleware, authentication and permissions name what they
refuse in `refuses`. docs/explanation/api-contract.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

from django.conf import settings
from django.utils.module_loading import import_string
from drf_spectacular.utils import OpenApiParameter
from pydantic import BaseModel, Field, WithJsonSchema

from apps.kernel import errors, ids, parsing, problems

type Refusals = tuple[type[errors.DomainError], ...]

# What any request can meet, wherever it goes.
_ANYWHERE: Refusals = (
    errors.ValidationFailed,
    problems.BadRequest,
    problems.NotAcceptable,
    problems.TooManyRequests,
    problems.InternalError,
    problems.Unavailable,
)
_WITH_A_BODY: Refusals = (parsing.MalformedBody, problems.UnsupportedMediaType, problems.TooLarge)
_WITH_FILES: Refusals = (problems.UnsupportedMediaType, problems.TooLarge)
_WITH_AN_ID: Refusals = (ids.InvalidId,)

# --- what answers are made of -----------------------------------------------------------------------------------

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Uuid = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
Id = Annotated[str, Field(pattern=f"^[a-z]+_[0-9a-hjkmnp-tv-z]{{{ids.LENGTH}}}$")]
Amount = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$", description="A decimal number in the currency's own digits.")]
Named = dict[str, str]  # by locale
Free = dict[str, Any]  # whatever the client keeps there


def one_of(*values: str) -> WithJsonSchema:
    """Text that is one of these, for `Annotated[str, …]`."""
    return WithJsonSchema({"type": "string", "enum": list(values)})


# --- what is declared -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operation:
    """`answers` is a TypedDict: the answer, or one row of it where the view lists; None for an empty answer.

    `takes` is the input model of the body, which comes as a form where it `takes_files`. `refuses` are the errors of
    its own, beside those of its view. `also` has further statuses without a body, `media_type` what the answer is where
    it is not JSON. `later` is what is answered with 202 where the work is done afterwards; Location has its address.
    """

    id: str
    tag: str
    takes: type[BaseModel] | None
    answers: Any
    status: int
    refuses: Refusals
    also: Mapping[int, str]
    media_type: str
    later: Any
    takes_files: bool = False


@dataclass(frozen=True, slots=True)
class Manners:
    """What operations of one kind have in common: parameters, headers of a success (with what they say), errors, and
    statuses without a body."""

    parameters: tuple[OpenApiParameter, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    refuses: Refusals = ()
    also: Mapping[int, str] = field(default_factory=dict)

    def __or__(self, other: Manners) -> Manners:
        return Manners(
            (*self.parameters, *other.parameters),
            {**self.headers, **other.headers},
            (*self.refuses, *other.refuses),
            {**self.also, **other.also},
        )


def operation(
    identifier: str,
    *,
    tag: str,
    takes: type[BaseModel] | None = None,
    answers: Any = None,
    status: int | None = None,
    refuses: Refusals = (),
    also: Mapping[int, str] | None = None,
    media_type: str = "application/json",
    later: Any = None,
    takes_files: bool = False,
) -> Callable[[Any], Any]:
    """Declares a method of a view as the operation of that id; its docstring is the description."""
    if status is None:
        status = 204 if answers is None else 200
    declared = Operation(identifier, tag, takes, answers, status, refuses, also or {}, media_type, later, takes_files)

    def declare(method: Any) -> Any:
        method.operation = declared
        return method

    return declare


def find(view: Any, method: str) -> Operation | None:
    """The operation that a view, or its class, declares for the method."""
    found: Operation | None = getattr(getattr(view, method.lower(), None), "operation", None)
    return found


def refusals(view: Any, method: str, *, path: str) -> dict[int, list[str]]:
    """The codes of every error the operation can answer with, by status."""
    declared = find(view, method)
    found: set[type[errors.DomainError]] = {*_ANYWHERE, *_on_the_way(view)}
    found.update(view.manners(method).refuses)
    if declared is not None:
        found.update(declared.refuses)
        if declared.takes is not None:
            found.update(_WITH_A_BODY if not declared.takes_files else _WITH_FILES)
    if path.endswith("}"):  # what stands there may be the word of another address, such as `bulk`
        found.add(problems.MethodNotAllowed)
    if "_id}" in path:
        found.update(_WITH_AN_ID)
    by_status: dict[int, set[str]] = {}
    for kind in found:
        by_status.setdefault(kind.status, set()).add(kind.code)
    return {status: sorted(by_status[status]) for status in sorted(by_status)}


def _on_the_way(view: Any) -> Iterator[type[errors.DomainError]]:
    """What middleware, authentication and permissions refuse before the operation is reached."""
    yield from _of_middleware()
    for part in (*view.authentication_classes, *view.permission_classes):
        yield from getattr(part, "refuses", ())


@cache
def _of_middleware() -> Refusals:
    found = (getattr(import_string(name), "refuses", ()) for name in settings.MIDDLEWARE)
    return tuple(kind for refused in found for kind in refused)
