"""No committed event is missed, reordered within its aggregate, or stalled by an unrelated transaction."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection

from apps.content import events as content_events
from apps.outbox import sequencer, verifying
from apps.outbox.append import append, unit_of_work
from tests.outbox.conftest import TENANT, Connect, append_on, fetch

pytestmark = pytest.mark.usefixtures("committed_db")


def in_position_order() -> list[tuple[uuid.UUID, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.aggregate_id, l.version FROM outbox_position p JOIN outbox_log l USING (id) ORDER BY p.position"
        )
        return list(cursor.fetchall())


def test_an_event_committed_late_gets_the_next_position_though_its_id_is_lower(
    open_connection: Connect,
) -> None:
    slow, quick = open_connection(), open_connection()
    slow_id, quick_id = uuid.uuid4(), uuid.uuid4()
    append_on(slow, slow_id)
    append_on(quick, quick_id)
    quick.commit()

    assert sequencer.assign_positions() == 1
    slow.commit()
    assert sequencer.assign_positions() == 1

    assert in_position_order() == [(quick_id, 1), (slow_id, 1)]


def test_an_open_transaction_delays_only_its_own_events(
    open_connection: Connect,
) -> None:
    foreign, writer = open_connection(), open_connection()
    foreign.execute("SELECT pg_current_xact_id()")

    for _ in range(3):
        append_on(writer, uuid.uuid4())
        writer.commit()
        assert sequencer.assign_positions() == 1

    assert sequencer.head() == 3


def test_aggregate_order_holds_when_the_older_transaction_writes_second(
    open_connection: Connect,
) -> None:
    older, newer = open_connection(), open_connection()
    aggregate_id = uuid.uuid4()
    older.execute("SELECT pg_current_xact_id()")
    append_on(newer, aggregate_id)
    newer.commit()
    append_on(older, aggregate_id)
    older.commit()

    sequencer.assign_positions()

    assert in_position_order() == [(aggregate_id, 1), (aggregate_id, 2)]


def test_events_of_savepoints_are_positioned_and_rolled_back_ones_leave_no_hole(
    open_connection: Connect,
) -> None:
    writer = open_connection()
    kept, undone, last = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    with writer.transaction(), writer.transaction():
        append_on(writer, kept)
    append_on(writer, undone)
    writer.rollback()
    append_on(writer, last)
    writer.commit()

    sequencer.assign_positions()

    assert in_position_order() == [(kept, 1), (last, 1)]
    assert sequencer.head() == 2


def test_ticks_without_events_are_not_written() -> None:
    sequencer.assign_positions()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbox_tick")
        before = cursor.fetchone()[0]

    for _ in range(5):
        assert sequencer.assign_positions() == 0

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbox_tick")
        assert cursor.fetchone()[0] == before


def test_while_transactions_are_open_a_second_does_not_pass_without_a_tick(open_connection: Connect) -> None:
    ended, still_open = open_connection(), open_connection()
    xids = [each.execute("SELECT pg_current_xact_id()::text").fetchone() for each in (ended, still_open)]
    ended_xid, open_xid = [row[0] for row in xids if row]
    append_on(writer := open_connection(), uuid.uuid4())
    writer.commit()
    sequencer.assign_positions()
    ended.commit()

    assert sequencer.assign_positions() == 0
    within_the_second = open_in_the_last_tick()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_tick SET at = at - interval '1 second'")
    assert sequencer.assign_positions() == 0

    assert {ended_xid, open_xid} <= within_the_second
    assert open_xid in open_in_the_last_tick()
    assert ended_xid not in open_in_the_last_tick()


def open_in_the_last_tick() -> set[str]:
    rows = fetch(
        "SELECT pg_snapshot_xip(snap)::text FROM (SELECT * FROM outbox_tick ORDER BY tick_id DESC LIMIT 1) newest"
    )
    return {row[0] for row in rows}


@contextmanager
def threads(*works: Callable[[], None]) -> Iterator[None]:
    """Run each work in a thread of its own connection beside the block; their errors surface here."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            connection.close()

    started = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        for thread in started:
            thread.join()
    if failures:
        raise failures[0]


def test_many_writers_and_two_sequencers_keep_every_promise() -> None:
    aggregates = [uuid.uuid4() for _ in range(20)]
    writers_done = threading.Event()
    committed = []

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            try:
                with unit_of_work():
                    if chance.random() < 0.5:
                        with connection.cursor() as cursor:
                            cursor.execute("SELECT pg_current_xact_id(), pg_sleep(%s)", [chance.random() * 0.005])
                    chosen = sorted(chance.sample(aggregates, k=chance.randint(1, 4)))
                    for aggregate_id in chosen:
                        append(
                            content_events.TagCreated(translations=[]),
                            tenant_id=TENANT,
                            aggregate_type=content_events.TAG,
                            aggregate_id=aggregate_id,
                        )
                    if chance.random() < 0.2:
                        raise ZeroDivisionError  # noqa: TRY301 - the roll-back under test
                committed.append(len(chosen))
            except ZeroDivisionError:  # noqa: S110 - rolled back on purpose
                pass

    def sequence() -> None:
        while not writers_done.is_set():
            sequencer.assign_positions()

    with threads(sequence, sequence):
        with threads(*[lambda seed=seed: write(seed) for seed in range(4)]):  # type: ignore[misc]
            pass
        writers_done.set()
    sequencer.assign_positions()

    assert sequencer.head() == sum(committed) > 100
    assert list(verifying.verify_log(sequencer.EVERY_ID)) == []


def test_two_sequencers_cannot_extend_the_same_tick(
    open_connection: Connect,
) -> None:
    writer, rival = open_connection(), open_connection()
    sequencer.assign_positions()
    append_on(writer, uuid.uuid4())
    writer.commit()
    rival.execute(sequencer.TICK)
    outcome: list[int] = []

    with threads(lambda: outcome.append(sequencer.assign_positions())):
        rival.commit()

    assert outcome == [0]
    assert sequencer.head() == 1
    assert list(verifying.verify_log(sequencer.EVERY_ID)) == []


def test_positions_no_tick_handed_out_are_an_error_not_a_silent_stop(
    open_connection: Connect,
) -> None:
    sequencer.assign_positions()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO outbox_position (position, id, lane) VALUES (1, 0, 0)")
    writer = open_connection()
    append_on(writer, uuid.uuid4())
    writer.commit()

    with pytest.raises(IntegrityError):
        sequencer.assign_positions()
