"""Asking for runs, and stopping, resuming, undoing and forgetting them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db.models import Q

from apps.imports import formats, models, working
from apps.kernel import context, errors, isolation, wording
from apps.kernel.imports import ImportRefused

_FORGOTTEN_AT_ONCE = 5
_DIGEST_PIECE = 1 << 20


class CannotResume(errors.Conflict):
    """The run has come to its end, or is undone; there is nothing to go on with. Import the file again."""

    code = "import_not_resumable"
    title = "The import can't be resumed"


def begin(
    *, format: formats.Format, path: Path, options: Mapping[str, Any], total: int, is_dry_run: bool, now: datetime
) -> models.Run:
    """A run of a command over a file where it lies; it is at work from now on. Raises ImportRefused."""
    digest, size = _fingerprint(path)
    acting = context.current()
    return models.Run.objects.create(
        format=format.name,
        file_name=path.name[:255],
        file_digest=digest,
        file_size=size,
        path=str(path.resolve()),
        options=dict(options),
        is_dry_run=is_dry_run,
        status=models.Status.RUNNING,
        total=total,
        actor=acting.actor,
        correlation_id=acting.correlation_id,
        created_at=now,
        started_at=now,
        worked_at=now,
        expires_at=now + working.KEPT,
    )


def resume(run: models.Run, *, path: Path | None, now: datetime) -> Path | None:
    """Let the run go on; the path of its file where that is one. Raises CannotResume, ImportRefused."""
    status = models.Status.UNDOING if run.undo_asked_at else run.status
    if status in (models.Status.DONE, models.Status.UNDOING, models.Status.UNDONE):
        raise CannotResume(wording.say("{run} is {status}; there is nothing to resume.", run=run, status=status))
    found = path or (Path(run.path) if run.path else None)
    if found is not None:
        digest, _ = _fingerprint(found)
        if digest != run.file_digest:
            raise CannotResume(
                wording.say('"{file}" is not the file that {run} was reading.', file=str(found), run=run)
            )
    status = models.Status.RUNNING if run.path else models.Status.QUEUED
    anew = {"status": status, "reason": "", "worked_at": now, "attempts": 0, "not_before": None}
    models.Run.objects.filter(id=run.id).update(**anew)
    run.refresh_from_db()
    return found


@isolation.all_tenants(reason="forget imports")
def forget_old(*, now: datetime) -> int:
    """Delete runs nobody can undo any more, and the files of those that are through; returns how many runs went."""
    through = models.Run.objects.filter(status__in=[models.Status.DONE, models.Status.UNDONE])
    # What was only looked through waits a day to be imported.
    through = through.exclude(is_dry_run=True, finished_at__gt=now - timedelta(days=1))
    models.Piece.objects.filter(run__in=through.values("id")).delete()
    old = models.Run.objects.filter(Q(expires_at__lte=now))
    chosen = list(old.values_list("id", flat=True)[:_FORGOTTEN_AT_ONCE])
    for kind in (models.Piece, models.Problem, models.Entry):
        kind.objects.filter(run_id__in=chosen).delete()
    return models.Run.objects.filter(id__in=chosen).delete()[0]


def _fingerprint(path: Path) -> tuple[str, int]:
    """SHA-256 and size."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_DIGEST_PIECE):
                digest.update(piece)
            return digest.hexdigest(), file.tell()
    except OSError as error:
        raise ImportRefused(f'"{path}" can\'t be read: {error.strerror}. Give the path of a file.') from None
