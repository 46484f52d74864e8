"""Celery's share of imports: nudges that go on with them, right if they run zero, one or many times at once."""

from __future__ import annotations

import time

from django.utils import timezone

from apps.imports import services, serving
from apps.kernel import nudges
from apps.kernel.tasks import platform_task

NUDGE = "imports.advance"
# Short, as the same few worker processes deliver events; long enough to be worth fetching the file for.
SLICE_SECONDS = 5.0


@platform_task(NUDGE)
def advance() -> None:
    """Go on with imports until there are none or the time slice ends."""
    nudges.taken(NUDGE)
    if serving.advance(deadline=time.monotonic() + SLICE_SECONDS):
        nudge()


@platform_task("imports.forget")
def forget() -> int:
    """Delete runs nobody can undo any more, and files that are through; returns how many runs went."""
    return services.forget_old(now=timezone.now())


def nudge() -> None:
    """Ask a worker to run `advance`; one request is in flight at a time."""
    nudges.send(advance, NUDGE)
