from __future__ import annotations

import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from apps.consumers import runner, sending, tasks
from apps.kernel import errors
from apps.kernel.commands import readable_errors
from apps.outbox import tasks as outbox_tasks

log = structlog.get_logger(__name__)

SHORTEST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.25
PAUSE_AFTER_FAILURE_SECONDS = 1.0
TICK_SECONDS = 1.0


def _follow() -> int:
    """A tick, then the consumers for a second at most: the list of open transactions a tick looks up stays short."""
    return outbox_tasks.sequence() + runner.advance_all(deadline=time.monotonic() + TICK_SECONDS)


# Each has a thread, a connection and failures of its own: a bus that hangs delays no projection.
DUTIES: dict[str, Callable[[], int]] = {
    "follow": _follow,
    "relay": outbox_tasks.publish,
    "effects": sending.send_pending,
}


class Command(BaseCommand):
    tenancy = "platform"
    help = (
        "Run the sequencer and the consumers (follow), the relay and the sending of effects in one long-lived process, "
        "for the lowest lag; it may run beside the Celery workers and beside itself. Stops on SIGTERM or Ctrl-C. "
        "Exit codes: 0 stopped or caught up, 1 refused (--once)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="drain until everything is caught up, then stop")
        parser.add_argument(
            "--only", nargs="+", choices=sorted(DUTIES), default=sorted(DUTIES), metavar="DUTY",
            help=f"some of the duties: {', '.join(sorted(DUTIES))} (default: all)",
        )  # fmt: skip

    @readable_errors
    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            covered = tasks.drain()
            self.stdout.write(f"Caught up; the consumers covered {covered:,} positions.")
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        threads = [
            threading.Thread(target=copy_context().run, args=(_keep_doing, duty, stop), name=duty)
            for duty in options["only"]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.stdout.write("Stopped.")


def _keep_doing(duty: str, stop: threading.Event) -> None:
    """At once after work was found, less and less often while there is none."""
    pause = SHORTEST_PAUSE_SECONDS
    while not stop.is_set():
        try:
            busy = DUTIES[duty]()
            pause = SHORTEST_PAUSE_SECONDS if busy else min(pause * 2, LONGEST_PAUSE_SECONDS)
        except (OperationalError, InterfaceError) as error:
            log.warning("events_run.database_unavailable", duty=duty, error=str(error))
            close_old_connections()
            pause = PAUSE_AFTER_FAILURE_SECONDS
        except errors.DomainError as error:
            log.error("events_run.refused", duty=duty, reason=error.detail)  # noqa: TRY400 - the reason says it all
            pause = PAUSE_AFTER_FAILURE_SECONDS
        except Exception:
            # One broken consumer must not end the sequencer with it.
            log.exception("events_run.failed", duty=duty)
            pause = PAUSE_AFTER_FAILURE_SECONDS
        stop.wait(pause)
    connection.close()
