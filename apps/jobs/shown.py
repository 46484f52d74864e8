"""What the API answers about bulk requests and jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NotRequired, TypedDict

from apps.jobs import bulk, models
from apps.kernel import ids, validation
from apps.kernel.operations import Free, Id, Moment, one_of


class BulkResult(TypedDict):
    """What became of one operation: the id of what it wrote, or the problem document its own endpoint would answer."""

    index: int
    status: int
    id: NotRequired[Id]
    problem: NotRequired[Free]


class BulkResults(TypedDict):
    """One result for each operation, in order."""

    results: list[BulkResult]
    succeeded: int
    failed: int


class Job(TypedDict):
    """Operations that are carried out one after another: `done` of `total` have an outcome, `failed` of these failed.

    `per_second` and `seconds_left` are what the work so far makes expect; `reason` is why it was interrupted.
    """

    id: Id
    kind: str
    status: Annotated[str, one_of(*models.Status.values)]
    total: int
    done: int
    failed: int
    per_second: float | None
    seconds_left: int | None
    reason: str
    actor: str
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Moment | None


def job(row: models.Job) -> Job:
    rate = row.per_second
    return {
        "id": ids.encode("job", row.id),
        "kind": row.kind,
        "status": row.status,
        "total": row.total,
        "done": row.done,
        "failed": row.failed,
        "per_second": None if rate is None else round(rate, 2),
        "seconds_left": row.seconds_left,
        "reason": row.reason,
        "actor": row.actor,
        "created_at": validation.to_text(row.created_at),
        "started_at": validation.to_text(row.started_at) if row.started_at else None,
        "finished_at": validation.to_text(row.finished_at) if row.finished_at else None,
        "expires_at": validation.to_text(row.expires_at) if row.expires_at else None,
    }


def stored(rows: Iterable[models.Operation]) -> list[BulkResult]:
    """Of operations of a job that have an outcome."""
    return [result(row.index, bulk.Outcome(row.status or 0, row.written_id, row.problem)) for row in rows]


def result(index: int, outcome: bulk.Outcome) -> BulkResult:
    if outcome.problem is None:
        return {"index": index, "status": outcome.status, "id": outcome.id}
    return {"index": index, "status": outcome.status, "problem": outcome.problem}


def results(outcomes: list[bulk.Outcome]) -> BulkResults:
    failed = sum(outcome.problem is not None for outcome in outcomes)
    return {
        "results": [result(index, outcome) for index, outcome in enumerate(outcomes)],
        "succeeded": len(outcomes) - failed,
        "failed": failed,
    }
