from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections

from apps.consumers import runner, tasks
from apps.outbox import tasks as outbox_tasks

log = structlog.get_logger(__name__)

SHORTEST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.25
PAUSE_AFTER_FAILURE_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Run the sequencer, the relay and the projections in one long-lived process, for the lowest lag; it may run "
        "beside the Celery workers and beside itself. Stops on SIGTERM or Ctrl-C. Exit code 0."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="drain until everything is caught up, then stop")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            covered = tasks.drain()
            self.stdout.write(f"Caught up; the projections covered {covered:,} positions.")
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        pause = SHORTEST_PAUSE_SECONDS
        while not stop.is_set():
            try:
                busy = outbox_tasks.drain() + runner.advance_all()
                pause = SHORTEST_PAUSE_SECONDS if busy else min(pause * 2, LONGEST_PAUSE_SECONDS)
            except (OperationalError, InterfaceError) as error:
                log.warning("events_run.database_unavailable", error=str(error))
                close_old_connections()
                pause = PAUSE_AFTER_FAILURE_SECONDS
            except Exception:
                # One broken projection must not end the sequencer and the relay with it.
                log.exception("events_run.failed")
                pause = PAUSE_AFTER_FAILURE_SECONDS
            stop.wait(pause)
        self.stdout.write("Stopped.")
