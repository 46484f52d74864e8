"""Undoing a run: what it made goes, what it changed is as it was; what others have changed since is left, and named."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from apps.imports import formats, models, working
from apps.kernel import errors, failpoints, wording
from apps.outbox import append
from apps.tenants import scope

BATCH = 25
UNDONE_BEFORE = "undone_before"


class CannotUndo(errors.Conflict):
    """There is nothing of the run to undo: it was a dry one, or it is undone, or still at work. Cancel it first."""

    code = "import_not_undoable"
    title = "The import can't be undone"


def begin(run: models.Run, *, now: datetime) -> None:
    """Let the run be undone from now on: whoever is at work on it stops. Raises CannotUndo."""
    if run.is_dry_run:
        raise CannotUndo(wording.say("{run} was a dry run and has written nothing.", run=run))
    ready = models.Run.objects.filter(id=run.id).exclude(status=models.Status.UNDONE)
    anew = {"reason": "", "worked_at": now, "finished_at": None, "attempts": 0, "not_before": None}
    anew["undo_asked_at"] = now
    if not ready.update(status=models.Status.UNDOING, **anew):
        raise CannotUndo(wording.say("{run} is undone already.", run=run))
    run.refresh_from_db()


def carry_out(
    run: models.Run,
    *,
    now: datetime,
    deadline: float | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> bool:
    """Undo what is left of the run, the last first; whether all of it is dealt with. Raises Overtaken."""
    while _step(run, now):
        run.refresh_from_db()
        on_progress(run.undone + run.left)
        failpoints.reach("imports.undo_after_commit")
        if deadline is not None and time.monotonic() >= deadline:
            return False
    run.refresh_from_db()
    return True


def _step(run: models.Run, now: datetime) -> bool:
    """Some entries in one transaction; False where none is left and the run is undone."""
    found: dict[append.Key, models.Entry] = {}
    with append.watched(lambda heads: _hand_over(run, found, heads)), append.unit_of_work():
        working.claim(run, models.Status.UNDOING)
        entries = list(models.Entry.objects.filter(run=run, outcome="").order_by("-id")[:BATCH])
        own = models.Run.objects.filter(id=run.id)
        if not entries and _try_again(run):
            return True
        if not entries:
            own.update(status=models.Status.UNDONE, finished_at=now, worked_at=now)
            return False
        versions = append.versions_of([_stream(entry) for entry in entries])
        for entry in entries:
            entry.outcome, entry.reason = _undo(entry, versions, now)
            if entry.outcome == models.Entry.Outcome.UNDONE:
                found[_stream(entry)] = entry
        models.Entry.objects.bulk_update(entries, ["outcome", "reason"])
        outcomes = Counter(entry.outcome for entry in entries)
        left = run.left + outcomes[models.Entry.Outcome.LEFT]
        own.update(undone=run.undone + len(found), left=left, worked_at=now, attempts=0)
        failpoints.reach("imports.undo_before_commit")
    return True


def _try_again(run: models.Run) -> bool:
    """What others lay in or below, as long as some of those went; else it is left as it is."""
    later = models.Entry.objects.filter(run=run, outcome=models.Entry.Outcome.LATER)
    count = later.count()
    if not count:
        return False
    found = run.found | {UNDONE_BEFORE: run.undone}
    if run.undone > run.found.get(UNDONE_BEFORE, -1):
        later.update(outcome="")
        models.Run.objects.filter(id=run.id).update(found=found)
    else:
        later.update(outcome=models.Entry.Outcome.LEFT)
        models.Run.objects.filter(id=run.id).update(left=run.left + count)
    return True


def _undo(entry: models.Entry, versions: Mapping[append.Key, int], now: datetime) -> tuple[models.Entry.Outcome, str]:
    """Put one object back; what became of it, and why it is left where it is."""
    way, kept = formats.undos()[entry.kind], models.Entry.Outcome
    if versions.get(_stream(entry)) != entry.version:
        return kept.LEFT, str(wording.say("It was changed since."))
    try:
        with append.unit_of_work(savepoint=True):
            if not entry.found_version:
                way.discard(entry.object_id, now)
            elif entry.before is None:
                return kept.LEFT, str(wording.say("What it was before is not known."))
            else:
                way.restore(entry.object_id, entry.before, now)
    except errors.Conflict as failure:
        return kept.LATER, failure.detail
    except errors.DomainError as failure:
        return kept.LEFT, failure.detail
    return kept.UNDONE, ""


def _hand_over(
    run: models.Run, found: Mapping[append.Key, models.Entry], heads: Mapping[append.Key, tuple[int, int]]
) -> None:
    """An object is again as the run before this one has left it, which can be undone in its turn; and what only made
    room for it has not been changed by anybody else."""
    for stream, (before, version) in heads.items():
        entry = found.get(stream)
        if entry is None and before:
            waiting = models.Entry.objects.filter(kind=stream[1], object_id=stream[2], outcome="")
            waiting.filter(version=before).update(version=version)
        if entry is not None and entry.found_version:
            earlier = models.Entry.objects.filter(kind=entry.kind, object_id=entry.object_id)
            earlier.filter(version=entry.found_version, outcome="").update(version=version)


def _stream(entry: models.Entry) -> append.Key:
    return scope.current_id(), entry.kind, entry.object_id


def described(entries: Sequence[models.Entry]) -> list[str]:
    """A line for each thing that is left as it is."""
    undos = formats.undos()
    return [f"{undos[entry.kind].noun} {entry.object_id}: {entry.reason}" for entry in entries]
