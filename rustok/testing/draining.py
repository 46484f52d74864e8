"""What workers do in production, now and in this process."""

from __future__ import annotations

import time

from apps.accounts import tasks as accounts
from apps.consumers import tasks as consumers
from apps.imports import serving as imports
from apps.jobs import working as jobs
from apps.kernel import isolation

PATIENCE_SECONDS = 60.0


def drain() -> int:
    """Everything until nothing is left: positions, bus, projections, effects, jobs, imports and mails.

    Returns the positions that consumers covered. It sees what is committed, so the test needs `committed_db`. Work that
    stays unfinished for a minute raises TimeoutError: something asks for itself again and again.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    covered = 0
    with isolation.all_tenants(reason="drain in a test"):
        while True:
            step = consumers.drain()
            covered += step
            left = imports.advance(deadline=time.monotonic() + 1)
            if not (step or jobs.advance() or accounts.send_mails() or left):
                return covered
            if time.monotonic() >= deadline:
                raise TimeoutError("There is always something left to do; look what asks for work while it works.")
