"""Celery's share of jobs: nudges that go on with them, right if they run zero, one or many times at once."""

from __future__ import annotations

import time

from django.utils import timezone

from apps.jobs import services, working
from apps.kernel import nudges
from apps.kernel.tasks import platform_task

NUDGE = "jobs.advance"
# Short: the same few worker processes deliver events, which wait behind it.
SLICE_SECONDS = 2.0


@platform_task(NUDGE)
def advance() -> int:
    """Carry out operations of jobs until there are none or the time slice ends; returns how many."""
    nudges.taken(NUDGE)
    deadline = time.monotonic() + SLICE_SECONDS
    count = working.advance(deadline=deadline)
    if time.monotonic() >= deadline:
        nudge()
    return count


@platform_task("jobs.forget")
def forget() -> int:
    """Delete jobs that ended a week ago; returns how many went."""
    return services.forget_old(now=timezone.now())


def nudge() -> None:
    """Ask a worker to run `advance`; one request is in flight at a time."""
    nudges.send(advance, NUDGE)
