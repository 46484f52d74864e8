"""What the API answers about bulk requests."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from apps.jobs import bulk
from apps.kernel.operations import Free, Id


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
