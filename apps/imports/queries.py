"""Reads of runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.db.models import QuerySet

from apps.imports import models
from apps.kernel import errors, ids, wording

LAST = "last"
_PAGE = 1_000


class RunNotFound(errors.NotFound):
    """There is no such run of an importer in the tenant, or it is forgotten since."""

    code = "import_not_found"


def list_runs() -> QuerySet[models.Run]:
    """The newest first."""
    return models.Run.objects.all()


def get_run(*, named: str) -> models.Run:
    """By its id, or `last` for the newest one that has written something or could. Raises RunNotFound."""
    rows = models.Run.objects.all()
    if named == LAST:
        found = rows.filter(is_dry_run=False).exclude(status=models.Status.UNDONE).first()
    else:
        run_id = _decoded(named)
        found = rows.filter(id=run_id).first() if run_id else None
    if found is None:
        raise RunNotFound(wording.say("There is no import {run}; list them with: manage.py imports.", run=named))
    return found


def problems_of(run_id: uuid.UUID) -> Iterator[models.Problem]:
    """All of them, in order, a page at a time."""
    after = 0
    while page := list(models.Problem.objects.filter(run_id=run_id, id__gt=after).order_by("id")[:_PAGE]):
        yield from page
        after = page[-1].pk


def left_of(run_id: uuid.UUID) -> QuerySet[models.Entry]:
    """What an undo has left as it is, and why."""
    return models.Entry.objects.filter(run_id=run_id, outcome=models.Entry.Outcome.LEFT).order_by("id")


def _decoded(named: str) -> uuid.UUID | None:
    try:
        return ids.decode("imp", named)
    except errors.DomainError:
        return None
