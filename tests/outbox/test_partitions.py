"""Partitions are there before they are needed; a row that came too early or too late for one is never lost."""

from __future__ import annotations

import json
import threading
import uuid
from io import StringIO
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from apps.outbox import partitions, sequencer, tasks, verifying
from tests.outbox.conftest import Connect, append_on, fetch, record

pytestmark = pytest.mark.usefixtures("small_partitions")


def bounds(table: partitions.Partitioned) -> list[tuple[int, int]]:
    return [(leaf.low, leaf.high) for leaf in partitions.leaves(table)]


def test_a_whole_spare_partition_is_made_and_a_second_run_makes_nothing() -> None:
    made = partitions.ensure()

    assert [(entry.low, entry.high, entry.rescued) for entry in made] == [(10, 20, 0), (10, 20, 0)]
    assert partitions.ensure() == []
    assert bounds(partitions.LOG) == bounds(partitions.POSITION) == [(0, 10), (10, 20)]


@given(
    cuts=st.lists(st.integers(0, 60), unique=True, max_size=8),
    left_out=st.sets(st.integers(0, 7)),
    start=st.integers(0, 60),
    length=st.integers(0, 60),
    size=st.integers(1, 25),
)
def test_what_is_missing_and_what_is_there_cover_every_key_once(
    cuts: list[int], left_out: set[int], start: int, length: int, size: int
) -> None:
    ranges = [pair for number, pair in enumerate(pairwise(sorted(cuts))) if number not in left_out]
    present = [partitions.Leaf("", low, high, 0, 0) for low, high in ranges]

    made = list(partitions._gaps(present, start, start + length, size))

    covered = [key for low, high in [*ranges, *made] for key in range(low, high)]
    assert len(covered) == len(set(covered))
    assert set(range(start, start + length + 1)) <= set(covered)
    assert all(high - low <= size for low, high in made)


def test_a_quick_week_gets_more_room() -> None:
    partitions.ensure()
    record(*[uuid.uuid4() for _ in range(19)])
    sequencer.assign_positions()

    partitions.ensure()

    assert bounds(partitions.POSITION)[-1][1] > 19 + 19


def test_rows_without_a_partition_are_told_and_brought_home() -> None:
    record(*[uuid.uuid4() for _ in range(25)])
    sequencer.assign_positions()
    assert partitions.count_strays() == {"outbox_log": 16, "outbox_position": 16}
    before = fetch("SELECT p.position, l.* FROM outbox_log l JOIN outbox_position p USING (id) ORDER BY 1")
    out, complaints = StringIO(), StringIO()
    with pytest.raises(SystemExit) as told:
        call_command("events_partition", "list", stdout=out, stderr=complaints)

    call_command("events_partition", "ensure", stdout=out)

    assert told.value.code == 3
    assert "outbox_log: 16 ROWS WITHOUT A PARTITION" in complaints.getvalue()
    assert "outbox_log_p000000000010: 10 to 19 made, 10 rows from the default partition" in out.getvalue()
    assert partitions.count_strays() == {"outbox_log": 0, "outbox_position": 0}
    assert fetch("SELECT p.position, l.* FROM outbox_log l JOIN outbox_position p USING (id) ORDER BY 1") == before
    assert verifying.verify_log(sequencer.EVERY_ID) == []


def test_a_row_below_all_partitions_finds_a_home_too() -> None:
    partitions.ensure()
    with connection.cursor() as cursor:
        cursor.execute("SELECT outbox_detach_partition('outbox_log_p000000000000')")
        cursor.execute("SELECT outbox_drop_detached('outbox_log_p000000000000')")
    record(uuid.uuid4())

    partitions.ensure()

    assert partitions.count_strays()["outbox_log"] == 0
    assert bounds(partitions.LOG)[0] == (0, 10)


def test_a_row_that_is_not_committed_yet_is_waited_for(
    open_connection: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(*[uuid.uuid4() for _ in range(9)])
    writer = open_connection()
    append_on(writer, late := uuid.uuid4())
    monkeypatch.setattr(partitions, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "20ms")
    tried = threading.Event()
    failures: list[BaseException] = []

    def ensure() -> None:
        try:
            tried.set()
            partitions.ensure()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=ensure)
    thread.start()
    tried.wait()
    writer.commit()
    thread.join()

    assert failures == []
    assert partitions.count_strays()["outbox_log"] == 0
    assert fetch("SELECT count(*) FROM outbox_log_p000000000010 WHERE aggregate_id = %s", [late]) == [(1,)]


def test_a_transaction_that_does_not_end_makes_it_give_up_and_nobody_wait(
    open_connection: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(*[uuid.uuid4() for _ in range(9)])
    append_on(open_connection(), uuid.uuid4())
    monkeypatch.setattr(partitions, "ATTEMPTS", 2)
    monkeypatch.setattr(partitions, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "20ms")

    with pytest.raises(CommandError, match="Long transactions hold the log"):
        call_command("events_partition", "ensure")

    assert bounds(partitions.LOG) == [(0, 10)]


def test_two_at_once_are_refused(open_connection: Connect) -> None:
    open_connection().execute("SELECT pg_advisory_lock(hashtext('outbox:partitions'))")

    with pytest.raises(partitions.MaintenanceRunning):
        partitions.ensure()


def test_the_task_makes_partitions_and_stays_quiet_when_another_is_at_it(open_connection: Connect) -> None:
    tasks.ensure_partitions()
    open_connection().execute("SELECT pg_advisory_lock(hashtext('outbox:partitions'))")

    tasks.ensure_partitions()

    assert bounds(partitions.LOG) == [(0, 10), (10, 20)]


def test_the_task_measures_the_rows_without_a_partition_before_it_brings_them_home() -> None:
    record(*[uuid.uuid4() for _ in range(12)])

    tasks.ensure_partitions()
    before = REGISTRY.get_sample_value("rustok_outbox_strays_rows", {"table": "outbox_log"})
    tasks.ensure_partitions()

    assert before == 3
    assert REGISTRY.get_sample_value("rustok_outbox_strays_rows", {"table": "outbox_log"}) == 0


def test_a_dry_run_makes_nothing_and_tells_it_to_machines() -> None:
    record(*[uuid.uuid4() for _ in range(12)])
    out = StringIO()

    call_command("events_partition", "ensure", "--dry-run", "--json", stdout=out)

    told = json.loads(out.getvalue())
    assert told[0] == {"name": "outbox_log_p000000000010", "low": 10, "high": 20, "rescued": 3}
    assert bounds(partitions.LOG) == [(0, 10)]


def test_writers_go_on_while_partitions_are_made(open_connection: Connect) -> None:
    writer = open_connection()
    append_on(writer, uuid.uuid4())

    partitions.ensure()
    append_on(writer, uuid.uuid4())
    writer.commit()

    assert sequencer.assign_positions() == 2
