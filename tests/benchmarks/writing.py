"""Appending and sequencing against ceilings: the same transaction without an event, behind one lock, and COPY.

As a script it is one of the writers: python -m tests.benchmarks.writing MODE SECONDS THREADS TENANT
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.benchmarks import filling
from tests.benchmarks.installation import CHECKOUT, Ratio, set_up_django

PROCESSES = 4
THREADS = 4
ROUNDS = 3
ROWS = 10_000
BATCH = 100
SETTLE_SECONDS = 2.0

TABLE = f"""
DROP TABLE IF EXISTS benchmark_row;
CREATE TABLE benchmark_row (id int PRIMARY KEY, n int NOT NULL) WITH (fillfactor = 80);
INSERT INTO benchmark_row SELECT i, 0 FROM generate_series(1, {ROWS}) i;
GRANT SELECT, UPDATE ON benchmark_row TO PUBLIC
"""
CHANGED = """
SELECT COALESCE(sum(n_dead_tup + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables
WHERE relname ~ '^outbox_(log|position)'
"""
COPY_INTO = "CREATE TEMPORARY TABLE copied (LIKE outbox_log INCLUDING ALL) ON COMMIT DROP"


def appending(tenant_id: uuid.UUID, *, seconds: float) -> list[Ratio]:
    """Transactions of one UPDATE: with an event and without, with a sequencer beside, behind one lock. What any second
    statement costs is shown by a second UPDATE.

    The cases take turns so that a slow moment of the machine meets all of them; medians of the rounds.
    """
    rates: dict[str, list[float]] = {"plain": [], "event": [], "twice": [], "sequenced": [], "locked": []}
    filling.as_owner(TABLE)
    for _ in range(ROUNDS):
        rates["plain"].append(_write("plain", tenant_id, seconds))
        rates["event"].append(_write("event", tenant_id, seconds))
        rates["twice"].append(_write("twice", tenant_id, seconds))
        with _sequencer():
            rates["sequenced"].append(_write("event", tenant_id, seconds))
        rates["locked"].append(_write("locked", tenant_id, seconds))
    plain, event, twice, sequenced, locked = (statistics.median(rates[name]) for name in rates)
    return [
        Ratio("append / the same transaction without an event", event, plain, 0.65, "tx/s"),
        Ratio("append / the same transaction with a second UPDATE instead", event, twice, 0.8, "tx/s"),
        Ratio("append with a sequencer beside / without", sequenced, event, 0.85, "tx/s"),
        Ratio("append / append behind one global lock", event, locked, 3, "tx/s"),
        *_draining(tenant_id, event, seconds),
        *_batches(tenant_id, seconds),
        _dead_tuples(),
    ]


def _draining(tenant_id: uuid.UUID, append_rate: float, seconds: float) -> list[Ratio]:
    from apps.outbox import sequencer

    while sequencer.assign_positions():
        pass
    _write("event", tenant_id, seconds)
    began = time.monotonic()
    count = sequencer.assign_positions()
    return [
        Ratio(
            "sequencer on a backlog / saturated append", count / (time.monotonic() - began), append_rate, 20, "events/s"
        )
    ]


def _batches(tenant_id: uuid.UUID, seconds: float) -> list[Ratio]:
    """One writer, `BATCH` events in a transaction, against COPY of the same rows into a table like the log."""
    from django.db import connection, transaction

    from apps.kernel import isolation
    from apps.outbox import append

    began, count = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        with isolation.to_tenant(tenant_id), append.unit_of_work():
            for _ in range(BATCH):
                _append(tenant_id)
        count += BATCH
    rate = count / (time.monotonic() - began)
    columns = "xid, event_id, tenant_id, aggregate_type, aggregate_id, version, lane, type, schema_version, actor, "
    columns += "occurred_at, recorded_at, data, meta"
    with transaction.atomic(), connection.cursor() as cursor:
        newest = "FROM outbox_log ORDER BY id DESC LIMIT 20000"
        with cursor.copy(f"COPY (SELECT {columns} {newest}) TO STDOUT") as copy:
            rows = b"".join(bytes(block) for block in copy)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(COPY_INTO)
        began = time.monotonic()
        with cursor.copy(f"COPY copied ({columns}) FROM STDIN") as copy:
            copy.write(rows)
        copied = rows.count(b"\n") / (time.monotonic() - began)
    return [Ratio(f"append in batches of {BATCH}, one process / COPY", rate, copied, 0.25)]


def _dead_tuples() -> Ratio:
    """Nothing is ever updated or deleted in log and position, so nothing has to be vacuumed."""
    time.sleep(SETTLE_SECONDS)
    events = _execute("SELECT count(*) FROM outbox_log")
    return Ratio("dead tuples in log and position / events", _execute(CHANGED), events, 0, "tuples", at_most=True)


def _execute(statement: str) -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
    return float(row[0]) if row else 0.0


def _write(mode: str, tenant_id: uuid.UUID, seconds: float) -> float:
    """Committed transactions a second of all writers together."""
    command = [sys.executable, "-m", "tests.benchmarks.writing", mode, str(seconds), str(THREADS), str(tenant_id)]
    writers = [
        subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()  # it is ready
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    return sum(int(writer.communicate()[0]) for writer in writers) / seconds


@contextmanager
def _sequencer() -> Iterator[None]:
    """A process that does nothing but hand out positions, as often as `events_run` does."""
    command = [sys.executable, "-m", "tests.benchmarks.writing", "sequence"]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        process.wait()


# --- the processes -------------------------------------------------------------------------------------------


def _append(tenant_id: uuid.UUID) -> None:
    from apps.content import events as content_events
    from apps.outbox import append

    payload = content_events.TagCreated(translations=[])
    append.append(payload, tenant_id=tenant_id, aggregate_type=content_events.TAG, aggregate_id=uuid.uuid4())


def _transaction(mode: str, tenant_id: uuid.UUID) -> None:
    from django.db import connection, transaction

    from apps.outbox import append

    change = "UPDATE benchmark_row SET n = n + 1 WHERE id = %s"
    has_event = mode in {"event", "locked"}
    with append.unit_of_work() if has_event else transaction.atomic(), connection.cursor() as cursor:
        if mode == "locked":
            cursor.execute("SELECT pg_advisory_xact_lock(1)")
        cursor.execute(change, [random.randint(1, ROWS)])
        if mode == "twice":
            cursor.execute(change, [random.randint(1, ROWS)])
        if has_event:
            _append(tenant_id)


def _writer(mode: str, seconds: str, threads: str, tenant: str) -> None:
    from django.db import connection

    from apps.kernel import isolation

    tenant_id, counts = uuid.UUID(tenant), [0] * int(threads)
    barrier, is_go = threading.Barrier(len(counts) + 1), threading.Event()

    def work(thread: int) -> None:
        with isolation.to_tenant(tenant_id):
            _transaction(mode, tenant_id)
            barrier.wait()
            is_go.wait()
            ends = time.monotonic() + float(seconds)
            while time.monotonic() < ends:
                _transaction(mode, tenant_id)
                counts[thread] += 1
        connection.close()

    workers = [threading.Thread(target=work, args=[thread]) for thread in range(len(counts))]
    for worker in workers:
        worker.start()
    barrier.wait()
    print("ready", flush=True)
    sys.stdin.readline()
    is_go.set()
    for worker in workers:
        worker.join()
    print(sum(counts))


def _sequence() -> None:
    from apps.consumers.management.commands.events_run import LONGEST_PAUSE_SECONDS, SHORTEST_PAUSE_SECONDS
    from apps.outbox import sequencer

    print("ready", flush=True)
    pause = SHORTEST_PAUSE_SECONDS
    while True:
        pause = SHORTEST_PAUSE_SECONDS if sequencer.assign_positions() else min(pause * 2, LONGEST_PAUSE_SECONDS)
        time.sleep(pause)


def main(mode: str, *arguments: str) -> None:
    set_up_django()
    from apps.kernel import isolation

    work: Callable[..., None] = _sequence if mode == "sequence" else _writer
    with isolation.all_tenants(reason="benchmark"):
        work(*arguments if mode == "sequence" else (mode, *arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
