"""Every check of the invariants says no when its promise is broken."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from apps.consumers import generations, projections, tasks
from apps.events.bus import memory
from apps.outbox import relay
from tests.faults import invariants, mutants, scenes

pytestmark = pytest.mark.usefixtures("committed_db")

TOLD_TWICE = """
INSERT INTO consumers_effect
SELECT 'another key', consumer, position, event_id, tenant_id, target, payload, state, attempts, next_at, response,
       planned_at, done_at FROM consumers_effect WHERE consumer = 'low_stock_notice'
"""


@pytest.fixture
def stage(committed_db: None) -> Iterator[scenes.Stage]:
    """Three events of a node and a notice, worked off."""
    opened = scenes.Stage()
    opened.write(uuid.uuid4(), "new", "second", "third")
    opened.run_low()
    tasks.drain()
    assert invariants.broken() == []
    yield opened
    opened.close()


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    ("tampering", "promise"),
    [
        ("UPDATE outbox_stream SET version = version + 1", "I1"),
        ("DELETE FROM outbox_position WHERE position = 2", "I2"),
        ("UPDATE outbox_tick SET prev = prev + 1000", "I2"),
        ("UPDATE outbox_tick SET last_position = last_position - 1, n = n - 1 WHERE n > 1", "I2"),
        ("UPDATE outbox_log SET version = 5 - version WHERE aggregate_type = 'content.node'", "I4"),
        ("UPDATE consumers_checkpoint SET position = position + 1", "I6"),
        ("UPDATE {state} SET version = version - 1", "I6"),
        ("DELETE FROM {state}", "I6"),
        ("UPDATE {state} SET state = replace(state, 'third', 'fourth')", "I7"),
        ("UPDATE consumers_consumer SET effect_floor = 1000000", "I8"),
        ("DELETE FROM consumers_effect", "I8"),
        ("UPDATE consumers_effect SET position = position - 1", "I8"),
        ("UPDATE consumers_effect SET attempts = 0", "I8"),
        (TOLD_TWICE, "I8"),
        ("UPDATE consumers_checkpoint SET position = position - 1", "I11"),
        ("CREATE OR REPLACE VIEW {view} AS SELECT * FROM {template}", "I13"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_found(stage: scenes.Stage, tampering: str, promise: str) -> None:
    content = projections.get("content")
    number = generations.live_number(content)
    relation = content.relations[0]
    names = {"state": content.state_relation.table(number), "view": relation.live, "template": relation.template}

    try:
        mutants.as_superuser(tampering.format(**names))
        found = invariants.broken()
    finally:
        generations._in_database("show", content, number)

    assert promise in invariants.numbers(found), found


def test_rows_and_events_that_do_not_belong_together_are_found(stage: scenes.Stage) -> None:
    execute("DELETE FROM outbox_log WHERE aggregate_type = 'commerce.product'")

    found = invariants.rows_without_events()

    assert len(found) == 2  # the product has no stream, the node that was appended by hand no row
    assert invariants.numbers(found) == {"I1"}


def test_what_a_writer_noted_is_missed_and_out_of_order(stage: scenes.Stage) -> None:
    journal = [uuid.UUID(event_id) for _, event_id in invariants.positions()]
    assert invariants.out_of_journal([journal, journal[::2]]) == []

    assert invariants.numbers(invariants.out_of_journal([[*journal, uuid.uuid4()]])) == {"I2"}
    assert invariants.numbers(invariants.out_of_journal([journal[::-1]])) == {"I5"}


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE outbox_log SET event_id = uuidv7() WHERE version = 2",
        "DELETE FROM outbox_position WHERE position > 3",
    ],
)
def test_a_position_that_changes_its_event_is_found(stage: scenes.Stage, tampering: str) -> None:
    watcher = invariants.Watcher()
    assert watcher.look() + watcher.complaints() == []

    execute(tampering)

    assert invariants.numbers(watcher.complaints()) == {"I3"}


def test_an_event_put_in_below_what_was_seen_is_found(stage: scenes.Stage) -> None:
    watcher = invariants.Watcher()
    watcher.look()
    execute("INSERT INTO outbox_position SELECT max(position) + 2, 0, 0 FROM outbox_position")

    assert invariants.numbers(watcher.look()) == {"I3"}


def test_a_message_that_is_not_in_the_log_is_found(stage: scenes.Stage) -> None:
    transport: Any = memory.MemoryBus()
    execute("UPDATE outbox_sinkcursor SET position = 0")
    relay.publish_pending(transport)
    assert invariants.on_the_bus(transport) == []

    execute("UPDATE outbox_log SET event_id = uuidv7() WHERE version = 2")

    assert invariants.numbers(invariants.on_the_bus(transport)) == {"I10"}


def test_updates_and_deletes_of_the_log_are_counted(stage: scenes.Stage) -> None:
    before = invariants.changes()
    stage.write(uuid.uuid4(), "new")
    tasks.drain()
    assert invariants.changes() == before

    execute("UPDATE outbox_log SET version = version WHERE version = 1")

    assert invariants.changes() > before
