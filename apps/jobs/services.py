"""Asking for a job, and calling it off."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from pydantic_core import PydanticCustomError

from apps.accounts.models import User
from apps.audit import recording as audit
from apps.jobs import bulk, models, queries
from apps.kernel import context, errors, ids, isolation, validation, wording
from apps.outbox.append import unit_of_work
from apps.tenants import scope

KEPT = timedelta(days=7)
_MAXIMUM_DEPTH = 64
_WRITTEN_AT_ONCE = 1_000
# Each may have thousands of operations, which go with it.
_FORGOTTEN_AT_ONCE = 20


class JobFinished(errors.Conflict):
    """The job has come to its end and can't be cancelled any more; what it did stays."""

    code = "job_finished"
    title = "The job has come to its end"


def ask(*, kind: bulk.Kind, operations: Sequence[Any], by: User, now: datetime) -> models.Job:
    """Have the operations carried out afterwards, as whoever asks now; a worker is told once this is committed."""
    acting = context.current()
    with unit_of_work():
        job = models.Job.objects.create(
            kind=kind.name,
            total=len(operations),
            asked_by=by,
            actor=acting.actor,
            authority=acting.authority,
            client_address=acting.client_address,
            correlation_id=acting.correlation_id,
            origin=acting.origin,
            language=wording.best_language(acting.languages),
            created_at=now,
            worked_at=now,
        )
        rows = list(_rows(job, operations))
        models.Operation.objects.bulk_create(rows, batch_size=_WRITTEN_AT_ONCE)
        job.done = job.failed = sum(row.status is not None for row in rows)
        job.save(update_fields=["done", "failed"])
        _tell(job, "asked", after={"kind": job.kind, "total": job.total})
        transaction.on_commit(_nudge, robust=True)
    return job


def cancel(*, job_id: uuid.UUID, now: datetime) -> models.Job:
    """Stop the job before its next operation; what it has done stays, and so does the one at hand.

    Raises JobNotFound, JobFinished.
    """
    with unit_of_work():
        job = queries.get_job(job_id=job_id)
        is_ours = finish(job, models.Status.CANCELLED, now=now)
        job.refresh_from_db()
        if not is_ours:
            raise JobFinished(wording.say("The job is {status}; there is nothing left to cancel.", status=job.status))
        _tell(job, "cancelled", after={"done": job.done, "failed": job.failed})
    return job


def finish(job: models.Job, status: models.Status, *, now: datetime, reason: str = "") -> bool:
    """End the job, unless it has ended."""
    said = wording.in_language(reason, job.language)
    unfinished = models.Job.objects.filter(id=job.id, finished_at=None)
    return bool(unfinished.update(status=status, reason=said, finished_at=now, expires_at=now + KEPT))


@isolation.all_tenants(reason="forget jobs")
def forget_old(*, now: datetime) -> int:
    """Delete jobs that ended a week ago, and end those nobody could take up for as long; returns how many went."""
    for job in models.Job.objects.filter(finished_at=None, created_at__lte=now - KEPT)[:_FORGOTTEN_AT_ONCE]:
        said = wording.say("It could not be taken up for {days} days.", days=KEPT.days)
        finish(job, models.Status.INTERRUPTED, now=now, reason=said)
    old = models.Job.objects.filter(expires_at__lte=now)
    return old.filter(id__in=old.values("id")[:_FORGOTTEN_AT_ONCE]).delete()[0]


def _rows(job: models.Job, operations: Sequence[Any]) -> Iterator[models.Operation]:
    for index, given in enumerate(operations):
        row = models.Operation(job=job, index=index)
        try:
            validation.check_json(given, maximum_depth=_MAXIMUM_DEPTH)
            row.given = given
        except PydanticCustomError as refusal:  # it can't be stored, so its outcome is known
            said = (refusal.context or {}).get("said") or refusal.message()
            failure = errors.ValidationFailed.for_field("", refusal.type, said)
            outcome = bulk.failed(failure, pointer=f"/operations/{index}")
            row.status, row.problem = outcome.status, outcome.problem
        yield row


def _tell(job: models.Job, verb: str, *, after: dict[str, Any]) -> None:
    audit.record(
        action=f"jobs.job.{verb}",
        tenant_id=scope.current_id(),
        object_type="jobs.job",
        object_id=ids.encode("job", job.id),
        after=after,
    )


def _nudge() -> None:
    from apps.jobs import tasks

    tasks.nudge()
