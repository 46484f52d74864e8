"""Reads of jobs: one's own, and those of a kind that whoever asks could have carried out just as well."""

from __future__ import annotations

import uuid

from django.db.models import Q, QuerySet

from apps.accounts.access import engine, rights
from apps.jobs import bulk, models
from apps.kernel import context, errors, ids, wording


class JobNotFound(errors.NotFound):
    """There is no such job in the tenant, it was deleted a week after its end, or it is somebody else's."""

    code = "job_not_found"


def list_jobs() -> QuerySet[models.Job]:
    """Their operations can hold whatever the kind can, so those of others are for who holds it without limits."""
    rows, acting = models.Job.objects.all(), engine.acting()
    if acting is None:
        return rows
    whole = [kind.name for kind in bulk.kinds().values() if rights.ANY in acting.on(kind.permission)]
    return rows.filter(Q(actor=context.current().actor) | Q(kind__in=whole))


def get_job(*, job_id: uuid.UUID) -> models.Job:
    """Raises JobNotFound."""
    job = list_jobs().filter(id=job_id).first()
    if job is None:
        raise JobNotFound(wording.say("There is no job {job}.", job=ids.encode("job", job_id)))
    return job


def outcomes_of(job: models.Job, *, failed_only: bool, after: int, limit: int) -> list[models.Operation]:
    """The next operations of the job that have an outcome, in order."""
    rows = models.Operation.objects.filter(job=job, index__gt=after, status__isnull=False)
    if failed_only:
        rows = rows.filter(problem__isnull=False)
    return list(rows.defer("given").order_by("index")[:limit])
