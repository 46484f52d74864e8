"""Carrying out runs: each batch with its journal and the progress of the run in one transaction, so that whoever goes
on finds where. Nobody owns a run; of two at work the second finds that it has been overtaken, and stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from django.db import connection, reset_queries, transaction
from django.utils import timezone

from apps.imports import formats, models
from apps.kernel import errors, failpoints, text, wording
from apps.kernel.imports import Tally
from apps.outbox import append
from apps.tenants import scope

KEPT = timedelta(days=30)
CLAIM = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
BEGUN = "begun"

type OnProgress = Callable[[int], None]


class Overtaken(errors.Conflict):
    """The run was stopped, undone, or taken further by somebody else. Look at how far it is."""

    code = "import_overtaken"
    title = "The import is not at work here any more"


class _DryRun(Exception):
    """Ends a batch that is to leave nothing behind."""


def carry_out(
    run: models.Run,
    importer: formats.Importer,
    *,
    batch_size: int,
    deadline: float | None = None,
    on_progress: OnProgress = lambda done: None,
) -> bool:
    """Take the file from where the run stands to its end, or until the deadline; whether the end is reached.

    Raises Overtaken, ImportRefused.
    """
    work = _Work(run)
    if run.is_dry_run and importer.is_dry_run_whole:
        return work.look_through(importer, batch_size, on_progress)
    is_first = not run.found.get(BEGUN)
    begun = {"found": run.found | dict(importer.found) | {BEGUN: True}}
    work.step(importer.begin, run.done, counts=is_first, fields=begun)
    for number, batch in importer.batches(after=run.done, size=batch_size):
        work.step(lambda taking, batch=batch, number=number: importer.take(batch, number, taking), number)  # type: ignore[misc]
        on_progress(number)
        reset_queries()  # a development server keeps the text of each query
        if deadline is not None and time.monotonic() >= deadline:
            return False
    ended = {"status": models.Status.DONE, "finished_at": timezone.now(), "reason": ""}
    work.step(importer.end, run.total, fields=ended)
    _count_touched(run)
    on_progress(run.total)
    return True


def stop(run: models.Run, *, reason: str) -> None:
    """Say that the run stands still, and why; it can be resumed."""
    at_work = models.Run.objects.filter(id=run.id, status__in=[models.Status.QUEUED, models.Status.RUNNING])
    reason = text.storable(reason)
    if at_work.update(status=models.Status.STOPPED, reason=reason, worked_at=timezone.now()):
        run.status, run.reason = models.Status.STOPPED, reason
    _count_touched(run)


def claim(run: models.Run, *statuses: models.Status) -> models.Run:
    """The run as it is stored, nobody else's until the transaction ends. Raises Overtaken."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [f"imports:{run.id}"])
        is_ours = cursor.fetchone()[0]
    stored = models.Run.objects.filter(id=run.id, status__in=statuses, done=run.done).first() if is_ours else None
    if stored is None:
        raise Overtaken(wording.say("The import {run} was stopped, or somebody else goes on with it.", run=run))
    return stored


class _Work:
    """The steps of one run."""

    def __init__(self, run: models.Run) -> None:
        self._run = run

    def step(
        self,
        work: Callable[[formats.Taking], None],
        number: int,
        *,
        counts: bool = True,
        fields: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Do it, and let the run stand at `number` after it, all or nothing."""
        run = self._run
        taking = formats.Taking(run.started_at or timezone.now(), run.is_dry_run)
        try:
            with append.watched(lambda heads: _journal(run, taking, heads)), append.unit_of_work():
                claim(run, models.Status.RUNNING)
                work(taking)
                if run.is_dry_run:
                    raise _DryRun  # noqa: TRY301 - it is how the transaction is left
                changed = self._save(taking, number, counts, fields)
        except _DryRun:
            with transaction.atomic():
                claim(run, models.Status.RUNNING)
                changed = self._save(taking, number, counts, fields)
        self._keep(changed)
        failpoints.reach("imports.after_commit")

    def look_through(self, importer: formats.Importer, batch_size: int, on_progress: OnProgress) -> bool:
        """All of it in one transaction that is rolled back."""
        taking = formats.Taking(self._run.started_at or timezone.now(), is_dry_run=True)
        with transaction.atomic():
            importer.begin(taking)
            for number, batch in importer.batches(after=0, size=batch_size):
                importer.take(batch, number, taking)
                on_progress(number)
            importer.end(taking)
            transaction.set_rollback(True)
        with transaction.atomic():
            claim(self._run, models.Status.RUNNING)
            ended = {"status": models.Status.DONE, "finished_at": timezone.now()}
            changed = self._save(taking, self._run.total, counts=True, fields=ended)
        self._keep(changed)
        return True

    def _save(self, taking: formats.Taking, number: int, counts: bool, fields: Mapping[str, Any]) -> dict[str, Any]:
        run = self._run
        changed = {"done": number, "worked_at": timezone.now(), **fields}
        if number > run.done:
            changed["attempts"] = 0
        if counts:
            models.Problem.objects.bulk_create(
                models.Problem(run=run, row=note.row, column=note.column, value=note.value, problem=note.problem)
                for note in taking.notes
            )
            changed |= {"tally": _sum(run.tally, taking.tally), "notes": run.notes + len(taking.notes)}
        # Last, so that whoever reads or cancels the run waits for nothing.
        models.Run.objects.filter(id=run.id).update(**changed)
        failpoints.reach("imports.before_commit")
        return changed

    def _keep(self, changed: Mapping[str, Any]) -> None:
        for name, value in changed.items():
            setattr(self._run, name, value)


def _journal(run: models.Run, taking: formats.Taking, heads: Mapping[append.Key, tuple[int, int]]) -> None:
    """What was written, in the order in which it began; written again, an object keeps its first state."""
    kinds = formats.undos()
    rows = [
        models.Entry(
            run=run,
            kind=kind,
            object_id=object_id,
            before=taking.before.get((kind, object_id)),
            found_version=before,
            version=after,
        )
        for (tenant_id, kind, object_id), (before, after) in heads.items()
        if kind in kinds and tenant_id == scope.current_id()
    ]
    if rows and not run.is_dry_run:
        models.Entry.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["tenant", "run", "kind", "object_id"],
            update_fields=["version"],
        )


def _count_touched(run: models.Run) -> None:
    run.touched = models.Entry.objects.filter(run=run).count()
    models.Run.objects.filter(id=run.id).update(touched=run.touched)


def _sum(before: Mapping[str, Mapping[str, int]], taken: Tally) -> dict[str, dict[str, int]]:
    found = {kind: dict(counts) for kind, counts in before.items()}
    for (kind, outcome), count in taken.counts.items():
        own = found.setdefault(kind, {})
        own[outcome] = own.get(outcome, 0) + count
    return found
