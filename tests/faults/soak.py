"""The whole product at work while parts of it are killed, and afterwards every promise: `make soak MINUTES=10`.

Writers do a shop's work in processes of their own. Web, worker, beat, runners, Valkey and the writers themselves are
killed with -9 at random, a foreign transaction is open most of the time, projections are rebuilt under readers.
Exit codes: 0 every promise holds, 1 one is broken or a read failed (the report tells which).
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.installation import set_up_django
from tests.faults.stack import Stack, eventually, own_stack
from tests.faults.writer import read_journal

SETTINGS = "tests.faults.settings"
TENANT = "soak-shop"
HEAL_SECONDS = 120


@dataclass
class Report:
    """What happened and what is broken; empty lists and zeros are what is promised."""

    seed: int
    seconds: float
    transport: str
    load_average: float = 0
    kills: Counter[str] = field(default_factory=Counter)
    foreign_transactions: int = 0
    rebuilds: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    failed_reads: list[str] = field(default_factory=list)
    commits: int = 0
    events: int = 0
    effects: int = 0
    mails: int = 0
    mails_sent_again: int = 0
    commit_to_position_p50_ms: float = 0
    commit_to_position_p99_ms: float = 0
    missing: int = 0
    inversions: int = 0
    duplicate_effects: int = 0
    positions_dense: bool = False
    broken: list[str] = field(default_factory=list)

    def tell(self) -> str:
        lines = [f"{name.replace('_', ' '):<28} {self._shown(value)}" for name, value in vars(self).items()]
        return "\n".join([*lines, "Every promise holds." if self.is_kept else "BROKEN."])

    @property
    def is_kept(self) -> bool:
        return not self.broken and not self.failed_reads

    def _shown(self, value: Any) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{name} {count:,}" for name, count in sorted(value.items())) or "none"
        if isinstance(value, list):
            return "\n".join(["", *(f"  {line}" for line in value)]) if value else "none"
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


class Duty(threading.Thread):
    """Something done again and again until the soak ends; what it raises is kept for the report."""

    def __init__(self, work: Callable[[], None], pause: Callable[[], float], over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._work, self._pause, self._over = work, pause, over
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._over.wait(self._pause()):
                self._work()
        except BaseException as error:  # noqa: BLE001 - reported at the end
            self.error = error


class Soak:
    def __init__(self, stack: Stack, *, seconds: float, seed: int, writers: int, runners: int) -> None:
        from django.conf import settings

        self.stack, self.seconds = stack, seconds
        self.chance = random.Random(seed)
        self.report = Report(seed, seconds, settings.EVENTS_TRANSPORT)
        self.over = threading.Event()
        self.journals: list[Path] = []
        self.errors = (stack.data_dir.parent / "writers.log").open("a+")
        self.writers = [self._start_writer() for _ in range(writers)]
        self.runners = [stack.start("events_run", **SILENT) for _ in range(runners)]
        self.victims = self._victims()
        self.unfinished: str | None = None

    # --- who is killed ---

    def _victims(self) -> dict[str, Callable[[], list[int]]]:
        """By name, where to find the processes; one of them is killed at a time."""
        found: dict[str, Callable[[], list[int]]] = {
            "web": lambda: self.stack.pids_of("granian"),
            "worker": lambda: self.stack.pids_of("celery", "worker"),
            "beat": lambda: self.stack.pids_of("celery", "beat"),
            "runner": lambda: [runner.pid for runner in self.runners],
            "writer": lambda: [writer.pid for writer in self.writers],
            "valkey": _valkey_pids,
        }
        if self.report.transport == "nats":
            found["nats"] = lambda: self.stack.pids_of("nats-server")
        return found

    def kill_one(self) -> None:
        [name] = self.chance.choices(list(self.victims), [OFTEN.get(name, 1) for name in self.victims])
        pids = self.victims[name]()
        if pids:
            # It may have died of something else meanwhile.
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(sorted(pids)), signal.SIGKILL)
                self.report.kills[name] += 1
        self._replace_dead()

    def _replace_dead(self) -> None:
        """The stack looks after its own; these are ours."""
        for number, runner in enumerate(self.runners):
            if runner.poll() is not None:
                self.runners[number] = self.stack.start("events_run", **SILENT)
        for number, writer in enumerate(self.writers):
            if writer.poll() is not None:
                self._check_writer(writer)
                self.writers[number] = self._start_writer()

    def _start_writer(self) -> subprocess.Popen[bytes]:
        number = len(self.journals)
        self.journals.append(self.stack.data_dir.parent / f"journal-{number}")
        command = [sys.executable, "-m", "tests.faults.writer", TENANT, str(self.journals[-1]), str(number)]
        return subprocess.Popen(command, env=self.stack.environment, stdout=subprocess.DEVNULL, stderr=self.errors)

    def _check_writer(self, writer: subprocess.Popen[bytes]) -> None:
        """Killed is as it should be; a writer that failed is told."""
        if writer.wait(timeout=60) not in (0, -signal.SIGKILL, -signal.SIGTERM):
            self.errors.seek(0)
            self.report.broken.append(f"a writer failed: {self.errors.read().strip().splitlines()[-1:]}")

    # --- what goes on meanwhile ---

    def hold_foreign_transaction(self) -> None:
        """In this database and in another one in turn, each with a transaction id and nothing else to do."""
        import psycopg
        from django.db import connection

        self.report.foreign_transactions += 1
        facts = connection.get_connection_params()
        names = ("host", "port", "dbname", "user", "password", "passfile")
        chosen = {name: facts[name] for name in names if facts.get(name)}
        if self.report.foreign_transactions % 2 == 0:
            chosen["dbname"] = "postgres"
        with psycopg.connect(**chosen) as foreign:
            foreign.execute("SELECT pg_current_xact_id()")
            self.over.wait(min(60, self.seconds / 4))
            foreign.rollback()

    def rebuild(self) -> None:
        """One of the projections; killed now and then, and taken up again the next time."""
        name = self.unfinished or self.chance.choice(["products", "content"])
        resume = ["--resume"] if self.unfinished else []
        process = self.stack.start("events_rebuild", name, "--quiet", *resume, **SILENT)
        try:
            code = process.wait(self.chance.choice([self.chance.uniform(1, 12), 60]))
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self.unfinished = name if code == -signal.SIGKILL else None
        # Refused: nothing to resume, because the kill came before it had begun or after it was done; or traffic.
        self.report.rebuilds[{0: "done", -signal.SIGKILL: "killed", 1: "refused"}.get(code, f"exit {code}")] += 1

    def read(self) -> None:
        path = self.chance.choice(READ)
        request = urllib.request.Request(f"{self.stack.url}/api/v1/store/{path}", headers={"X-Tenant": TENANT})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own loopback address
                json.load(answer)["data"]
            self.report.reads["answered"] += 1
        except urllib.error.HTTPError as error:
            self.report.reads["failed"] += 1
            self.report.failed_reads.append(f"{path}: {error.code} {error.read()[:200]!r}")
        except (OSError, http.client.HTTPException):
            # Nobody listened, or who was to answer was killed.
            self.report.reads["cut off by a kill"] += 1

    # --- from beginning to end ---

    def run(self) -> Report:
        from tests.faults import invariants

        watcher, changed = invariants.Watcher(), invariants.changes()

        def watch() -> None:
            self.report.broken += watcher.look()

        chance = self.chance
        duties = [
            Duty(self.kill_one, lambda: chance.uniform(0.5, 4), self.over),
            Duty(self.hold_foreign_transaction, lambda: 0.1, self.over),
            Duty(self.rebuild, lambda: chance.uniform(1, max(2, self.seconds / 30)), self.over),
            Duty(self.read, lambda: 0.02, self.over),
            Duty(watch, lambda: 0.5, self.over),
        ]
        for duty in duties:
            duty.start()
        self.over.wait(self.seconds)
        self.over.set()
        for duty in duties:
            duty.join()
            if duty.error:
                self.report.broken.append(f"the soak itself failed: {duty.error!r}")
        self.report.load_average = round(os.getloadavg()[1], 1)
        self._heal()
        self.report.broken += watcher.look() + watcher.complaints()
        if grown := invariants.changes() - changed:
            self.report.broken.append(f"I12: {grown} rows of log, positions or ticks were updated or deleted")
        self._judge()
        return self.report

    def _heal(self) -> None:
        """No more faults: everything is worked off in bounded time."""
        from django.db import connection

        from apps.outbox import relay, sequencer

        for process in (*self.writers, *self.runners):
            process.terminate()
        for writer in self.writers:
            self._check_writer(writer)
        self.errors.close()
        for runner in self.runners:
            runner.wait(timeout=60)
        with connection.cursor() as cursor:
            # What a killed sender had in hand is due when its claim ends; we do not wait for it here.
            cursor.execute("UPDATE consumers_effect SET next_at = now() WHERE state = 'pending'")

        def is_caught_up() -> bool:
            drained = self.stack.run("events_run", "--once").returncode == 0
            return drained and relay.position() == sequencer.head()

        try:
            eventually(is_caught_up, seconds=HEAL_SECONDS)
        except AssertionError:
            self.report.broken.append(f"I11: not caught up {HEAL_SECONDS} s after the last kill")

    def _judge(self) -> None:
        """Everything compared with everything, once it is quiet."""
        from apps.consumers import models
        from apps.events import bus
        from tests.faults import invariants, mailbox

        report = self.report
        entries = [read_journal(path) for path in self.journals]
        journals = [[event_id for entry in journal for event_id in entry.event_ids] for journal in entries]
        report.broken += invariants.broken() + invariants.rows_without_events()
        report.broken += invariants.out_of_journal(journals) + invariants.on_the_bus(bus.default())
        placed = {event_id: position for position, event_id in invariants.positions()}
        report.commits, report.events = sum(map(len, entries)), len(placed)
        report.missing = sum(str(event_id) not in placed for journal in journals for event_id in journal)
        report.positions_dense = "I2" not in invariants.numbers(report.broken)
        report.inversions = sum(_first_number(line) for line in report.broken if line.startswith(("I4", "I5")))

        notices = models.Effect.objects.filter(consumer="low_stock_notice")
        ids = [_message_id(key) for key in notices.values_list("key", flat=True)]
        told = mailbox.delivered(self.stack.data_dir)
        report.effects, report.mails, report.mails_sent_again = len(ids), len(told), len(told) - len(set(told))
        report.duplicate_effects = len(ids) - len(set(ids))
        if set(told) - set(ids):
            report.broken.append(f"I8: {len(set(told) - set(ids))} mails stand for no effect")
        done = notices.filter(state="done").count()
        if done > len(set(told)):
            report.broken.append(f"I8: {done} notices are recorded as sent, {len(set(told))} were")
        delays = _delays(entries, placed)
        report.commit_to_position_p50_ms = round(delays[len(delays) // 2] * 1000, 1)
        report.commit_to_position_p99_ms = round(delays[len(delays) * 99 // 100] * 1000, 1)


OFTEN = {"web": 3, "worker": 3, "runner": 3, "valkey": 2, "nats": 2}
READ = ("products?limit=20", "products?in_stock=true&limit=5", "content/post?limit=20", "search?q=shoe")
SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _valkey_pids() -> list[int]:
    """None while it is away."""
    import redis
    from django.conf import settings

    try:
        with redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=1, retry=None) as client:
            return [int(client.info("server")["process_id"])]  # type: ignore[index]
    except redis.RedisError:
        return []


def _first_number(complaint: str) -> int:
    """How many, of a sentence such as "I4: 3 events stand …"."""
    found = re.search(r": (\d+)", complaint)
    return int(found[1]) if found else 1


def _message_id(key: str) -> str:
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@rustok.invalid>"


def _delays(entries: list[Any], placed: dict[str, int]) -> list[float]:
    """Seconds from a commit, as its writer noted it, to the tick that gave it its position; sorted."""
    from apps.outbox.models import Tick

    ticks = list(Tick.objects.filter(n__gt=0).order_by("last_position").values_list("last_position", "at"))
    reached = [position for position, _ in ticks]
    commits = [(entry.at, str(entry.event_ids[-1])) for journal in entries for entry in journal]
    return sorted(
        max(0.0, ticks[bisect_left(reached, placed[event_id])][1].timestamp() - at)
        for at, event_id in commits
        if event_id in placed
    ) or [0.0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10, help="how long parts are killed (default: 10)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of kills and work (default: drawn)")
    parser.add_argument("--writers", type=int, default=3, help="processes that write")
    parser.add_argument("--runners", type=int, default=2, help="processes of events_run beside the Celery worker")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} min; starting the stack …", flush=True)
    transport = {key: value for key, value in os.environ.items() if key == "RUSTOK_EVENTS_TRANSPORT"}
    with own_stack(DJANGO_SETTINGS_MODULE=SETTINGS, **transport) as stack:
        os.environ.update(stack.environment)
        set_up_django()
        from apps.kernel import isolation
        from tests import factories

        factories.make_tenant(slug=TENANT, currency="EUR", settings={"notice_email": "stock@example.test"})
        began = time.monotonic()
        seconds = options.minutes * 60
        soak = Soak(stack, seconds=seconds, seed=options.seed, writers=options.writers, runners=options.runners)
        with isolation.all_tenants(reason="test"):
            report = soak.run()
        report.seconds = round(time.monotonic() - began, 1)
    print(report.tell())
    if options.json:
        options.json.write_text(json.dumps(vars(report) | {"kept": report.is_kept}, indent=2))
    return 0 if report.is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
