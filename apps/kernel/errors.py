"""Errors a caller can anticipate: each has a stable code, an HTTP status and data a client can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from apps.kernel import wording


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong value. `pointer` is a JSON Pointer (RFC 6901); `code` is stable, `detail` is for people."""

    pointer: str
    code: str
    detail: str


class DomainError(Exception):
    """Base of all anticipated errors; `detail` says what happened, to which object and what to do next."""

    code = "error"
    status = 400
    title = "The request could not be carried out"

    def __init__(self, detail: str, *, problems: Iterable[FieldProblem] = (), **data: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems = tuple(problems)
        self.data = data


class ValidationFailed(DomainError):
    """The input breaks a rule. `errors` names every field at once, with a stable code and what to do."""

    code = "validation_failed"
    status = 422
    title = "The input is not valid"

    @classmethod
    def for_field(cls, pointer: str, code: str, detail: str) -> ValidationFailed:
        named = wording.say("{field}: {problem}", field=pointer.lstrip("/") or "body", problem=detail)
        return cls(named, problems=[FieldProblem(pointer, code, detail)])


class NotFound(DomainError):
    """There is nothing under this id or name in the tenant, or it is not for whoever asks. Check the address, or list
    what there is."""

    code = "not_found"
    status = 404
    title = "There is no such object"


class Conflict(DomainError):
    """The object is in a state, or another object holds a value, that forbids the change. Read it again; `detail` says
    what to do first."""

    code = "conflict"
    status = 409
    title = "The change conflicts with the current state"


class Forbidden(DomainError):
    """Whoever asks is known and may not do this. Repeating it with the same credentials does not help."""

    code = "forbidden"
    status = 403
    title = "This is not allowed"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean "x"?` for the nearest known word, or an empty string."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return wording.say(' Did you mean "{word}"?', word=nearest[0]) if nearest else ""
