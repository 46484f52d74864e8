"""Many writes in one request: what can be asked for, and carrying one out so that it fails alone.

An app declares a `Kind`: which operations there are on a sort of thing. Each is an input model that knows the
permission it needs and calls the service the single endpoint calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import structlog
from django.db import OperationalError, connection
from prometheus_client import Counter
from pydantic import BeforeValidator, Field

from apps.accounts.access import limiting
from apps.kernel import errors, problems, validation, wording
from apps.outbox import append
from apps.tenants import endpoint, modules

log = structlog.get_logger(__name__)

AT_ONCE, AT_MOST = 100, 10_000
# What the database undoes for somebody else's sake: deadlock_detected, serialization_failure, lock_not_available.
_OVERTAKEN = {"40P01", "40001", "55P03"}
_ATTEMPTS = 3

CARRIED_OUT = Counter("rustok_jobs_operations_total", "Operations of bulk requests and jobs.", ["kind", "outcome"])


class Overtaken(errors.Conflict):
    """Other changes held what the operation needs, each time it was tried. Send it again."""

    code = "overtaken"
    title = "Other changes were faster"


LAST_VERSION = 10**9 - 1


def _check_version(value: Any) -> Any:
    if value != "*" and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LAST_VERSION):
        raise wording.refusal("invalid_version", 'send a version, such as 7 for the ETag "v7", or "*" for any')
    return value


_Number = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": LAST_VERSION})]
Version = Annotated[_Number | Literal["*"], BeforeValidator(_check_version)]


class Operation(validation.Input):
    """One write. A subclass has its name as `op`, and what it takes; `status` is what the single endpoint answers."""

    permission: ClassVar[str]
    status: ClassVar[int] = 200

    def perform(self, *, now: datetime) -> str:
        """Do it; returns the id of what was written. Raises what the service does."""
        raise NotImplementedError

    def replaced(self) -> tuple[append.Key, frozenset[int] | None] | None:
        """The stream it may change on top of these versions only, None for any; None where it does not matter."""
        return None


class Edit(Operation):
    """A write that replaces what is there. `if_match` is the version it replaces: 7 where the `ETag` was `"v7"`."""

    if_match: Version | None = None
    needs_version: ClassVar[bool] = False

    def stream(self) -> append.Key:
        """The stream whose version counts. Raises NotFound."""
        raise NotImplementedError

    def replaced(self) -> tuple[append.Key, frozenset[int] | None] | None:
        if self.if_match is None:
            if self.needs_version:
                raise endpoint.PreconditionRequired(
                    wording.say('Send if_match with the version you have read, or "*" to replace whatever is there.')
                )
            return None
        return self.stream(), None if self.if_match == "*" else frozenset({self.if_match})


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be done in bulk to one sort of thing. `permission` opens the endpoint, `module` must be switched on."""

    name: str
    permission: str
    module: str
    operations: Mapping[str, type[Operation]]

    def read(self, given: Any) -> Operation:
        """The operation as its input model. Raises ValidationFailed."""
        if not isinstance(given, dict):
            raise errors.ValidationFailed.for_field("", "not_an_object", wording.say("send a JSON object."))
        name = given.get("op")
        model = self.operations.get(name) if isinstance(name, str) else None
        if model is None:
            said = wording.say(
                '"{value}": this is one of {known}.{hint}',
                value=str(name)[:60],
                known=", ".join(self.operations),
                hint=errors.did_you_mean(str(name)[:60], self.operations),
            )
            raise errors.ValidationFailed.for_field("/op", "unknown_operation", said)
        return validation.parse(model, given)


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Declare a kind. Raises ValueError when the name is taken."""
    if _kinds.setdefault(kind.name, kind) != kind:
        raise ValueError(f"bulk kind {kind.name} is already registered")
    return kind


def kinds() -> Mapping[str, Kind]:
    """Every kind by its name."""
    return _kinds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an operation: the id it wrote, or the problem document."""

    status: int
    id: str = ""
    problem: dict[str, Any] | None = field(default=None)


def carry_out(kind: Kind, given: Any, *, index: int, now: datetime) -> Outcome:
    """Do one operation, whole or not at all, within the transaction at work; it never raises for its own failures.

    Pointers of the problem begin at the body that was sent: `/operations/<index>`.
    """
    pointer = f"/operations/{index}"
    try:
        modules.require(kind.module)
        operation = kind.read(given)
        limiting.demand(operation.permission)
        pointer += "/data"
        outcome = Outcome(operation.status, _perform(operation, now))
    except errors.DomainError as failure:
        outcome = failed(failure, pointer=pointer)
    except Exception:
        if connection.closed_in_transaction:  # nothing can be written any more, this outcome neither
            raise
        log.exception("jobs.operation_failed", kind=kind.name, index=index)
        outcome = failed(problems.by_status(500), pointer=pointer)
    CARRIED_OUT.labels(kind.name, "failed" if outcome.problem else "succeeded").inc()
    return outcome


def carry_out_all(kind: Kind, given: Sequence[Any], *, now: datetime) -> list[Outcome]:
    """All of them in one transaction, in which each fails alone."""
    with append.unit_of_work():
        return [carry_out(kind, each, index=index, now=now) for index, each in enumerate(given)]


def failed(failure: errors.DomainError, *, pointer: str) -> Outcome:
    """The outcome of an operation that was refused; `pointer` leads to what its problems speak of."""
    document = problems.document(failure)
    for entry in document.get("errors", ()):
        entry["pointer"] = pointer + entry["pointer"]
    return Outcome(failure.status, problem=document)


def _perform(operation: Operation, now: datetime) -> str:
    for _ in range(_ATTEMPTS):
        try:
            with append.unit_of_work(alone=True):
                return _replace(operation, now)
        except append.ConcurrencyConflict as conflict:
            if getattr(operation, "if_match", None) is None:
                raise
            raise endpoint.failed_precondition(conflict) from conflict
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _OVERTAKEN:
                raise
    raise Overtaken(wording.say("Other changes held what this one needs; send it again."))


def _replace(operation: Operation, now: datetime) -> str:
    replaced = operation.replaced()
    if replaced is None:
        return operation.perform(now=now)
    with endpoint.replacing(*replaced):
        return operation.perform(now=now)
