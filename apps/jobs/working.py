"""Carrying out jobs: each operation with its outcome in one transaction, so that whoever goes on finds where.

A job belongs to no worker. Whoever comes takes it up at its first operation without an outcome, and has it for the
length of that one: of two workers the second goes elsewhere, and of one that was killed nothing is left but what is
committed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from prometheus_client import Gauge

from apps.accounts.access import engine, rights
from apps.accounts.services import keys
from apps.jobs import bulk, models, services
from apps.kernel import context, failpoints, ids, isolation, wording
from apps.tenants import resolution, scope

log = structlog.get_logger(__name__)

STEP = 100
# A job that takes its worker down with it each time is given up.
ATTEMPTS = 5
CLAIM = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"

UNFINISHED = Gauge("rustok_jobs_unfinished_jobs", "Jobs that have not ended.", multiprocess_mode="mostrecent")


@isolation.all_tenants(reason="carry out jobs")
def advance(*, deadline: float | None = None) -> int:
    """Carry out what there is, a step of each job in turn; returns how many operations got an outcome."""
    carried_out, passed_over = 0, set[uuid.UUID]()
    UNFINISHED.set(models.Job.objects.filter(finished_at=None).count())
    while (job := _next(passed_over)) is not None and not _is_over(deadline):
        count = _step(job, deadline)
        carried_out += count
        if not count:
            passed_over.add(job.id)
    return carried_out


def _next(passed_over: set[uuid.UUID]) -> models.Job | None:
    """The one that waits longest. Jobs of tenants that are switched off wait for better days."""
    waiting = models.Job.objects.filter(finished_at=None, tenant__is_active=True).exclude(id__in=passed_over)
    return waiting.order_by("worked_at", "id").first()


def _step(job: models.Job, deadline: float | None) -> int:
    """Up to a hundred operations; how many got an outcome. What goes wrong beyond them is logged and tried again."""
    known = resolution.find_by_name(str(job.tenant_id))
    if known is None or not known.is_active:
        return 0
    count = 0
    try:
        with scope.use(known.scope), _as_asked(job), engine.request():
            if not _take_up(job.id, now=timezone.now()):
                return 0
            # One at least: who takes a job up and does nothing would look like one that was killed.
            while count < STEP and not (count and _is_over(deadline)) and _carry_out_next(job.id, now=timezone.now()):
                count += 1
    except Exception:
        log.exception("jobs.step_failed", job=ids.encode("job", job.id))
        return 0
    return count


@contextmanager
def _as_asked(job: models.Job) -> Iterator[None]:
    """The context of the request that asked."""
    with context.use(
        actor=job.actor,
        correlation_id=job.correlation_id,
        authority=job.authority,
        client_address=job.client_address,
        origin=job.origin,
        path=f"/api/v1/admin/jobs/{ids.encode('job', job.id)}",
        languages=job.language,
    ):
        yield


def _take_up(job_id: uuid.UUID, *, now: datetime) -> bool:
    """Begin or go on with the rights that whoever asked has today; False where another worker does or it must end."""
    with transaction.atomic():
        job = _claim(job_id)
        if job is None:
            return False
        kind, held = bulk.kinds().get(job.kind), _rights_of_asker(job, now)
        if kind is None or not held.allows(kind.permission):
            reason = wording.say("Whoever asked for it may not do this any more.")
        elif job.attempts >= ATTEMPTS:
            reason = wording.say(
                "Operation {index} stopped its worker {count} times.", index=job.done, count=job.attempts
            )
        else:
            engine.act(held)
            began = {"status": models.Status.RUNNING, "started_at": job.started_at or now}
            return _change(job, **began, attempts=F("attempts") + 1)
        services.finish(job, models.Status.INTERRUPTED, now=now, reason=reason)
    log.warning("jobs.interrupted", job=ids.encode("job", job_id), reason=reason)
    return False


def _carry_out_next(job_id: uuid.UUID, *, now: datetime) -> bool:
    """One operation and its outcome, in one transaction; False when there is none, or another worker has the job."""
    with transaction.atomic():
        job = _claim(job_id)
        if job is None:
            return False
        row = models.Operation.objects.filter(job=job, status=None).order_by("index").first()
        if row is None:
            services.finish(job, models.Status.FAILED if job.failed else models.Status.SUCCEEDED, now=now)
            return False
        outcome = bulk.carry_out(bulk.kinds()[job.kind], row.given, index=row.index, now=now)
        row.status, row.written_id, row.problem = outcome.status, outcome.id, outcome.problem
        row.save(update_fields=["status", "written_id", "problem"])
        failed = int(outcome.problem is not None)
        # Last, so that whoever reads or cancels the job waits for nothing.
        models.Job.objects.filter(id=job.id).update(
            done=F("done") + 1, failed=F("failed") + failed, worked_at=now, attempts=0
        )
        failpoints.reach("jobs.before_commit")
    failpoints.reach("jobs.after_commit")
    return True


def _claim(job_id: uuid.UUID) -> models.Job | None:
    """The job, no other worker's until the transaction ends; None when it has ended or is another's at the moment.

    By an advisory lock and not by its row, which stays free for whoever cancels it.
    """
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [f"jobs:{job_id}"])
        if not cursor.fetchone()[0]:
            return None
    return models.Job.objects.select_related("asked_by").filter(id=job_id, finished_at=None).first()


def _change(job: models.Job, **fields: Any) -> bool:
    """Unless it has ended in the meantime."""
    return bool(models.Job.objects.filter(id=job.id, finished_at=None).update(**fields))


def _rights_of_asker(job: models.Job, now: datetime) -> rights.Rights:
    held = engine.rights_of(job.asked_by, scope.current_id(), now=now)
    kind, _, key_id = job.authority.partition(":")
    if kind != "key":
        return held
    key = keys.find_live(key_id=uuid.UUID(key_id), now=now)
    return held.limited_to(key.scopes) if key else rights.NOTHING


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
