"""Short plays in which one mistake of the event core would show. Each returns the promises it found broken.

Connections are stepped statement by statement, so that a play always goes the same way.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import override_settings

from apps.commerce import consumers as commerce
from apps.consumers import generations, models, projections, rebuild, replay, runner, tasks, writing
from apps.content import events as content
from apps.events import bus, envelope
from apps.events.bus import memory
from apps.kernel import isolation
from apps.outbox import append, archiving, partitions, readers, relay, retention, sequencer
from apps.tenants import models as tenants
from tests import factories
from tests.commerce import making
from tests.faults import invariants
from tests.outbox.conftest import partitions_of_ten

CONTENT = "content"
NOTICE = commerce.LOW_STOCK_NOTICE


# A tick like the last one but for what is given, with the snapshot of now.
NEXT_TICK = """
INSERT INTO outbox_tick OVERRIDING SYSTEM VALUE
SELECT made.* FROM (SELECT * FROM outbox_tick ORDER BY tick_id DESC LIMIT 1) last, LATERAL jsonb_populate_record(
    last::text::outbox_tick, jsonb_build_object(
        'tick_id', nextval('outbox_tick_tick_id_seq'), 'prev', last.tick_id, 'snap', pg_current_snapshot()::text,
        'epoch', last.epoch + %(epochs)s, 'last_position', last.last_position + %(more)s, 'n', %(n)s::int,
        'id_floor', COALESCE(%(floor)s::bigint, last.id_floor))) made
"""


class Stage:
    """A tenant, and connections of their own to the database of the test; a statement that hangs fails."""

    def __init__(self) -> None:
        self._opened: list[psycopg.Connection[Any]] = []

    @cached_property
    def tenant(self) -> tenants.Tenant:
        return factories.make_tenant(currency="EUR", settings={"notice_email": "stock@acme.test"})

    def connect(self, database: str | None = None) -> psycopg.Connection[Any]:
        parameters = connection.get_connection_params()
        keywords = ("host", "port", "dbname", "user", "password", "passfile")
        chosen = {name: parameters[name] for name in keywords if parameters.get(name)}
        chosen |= {"dbname": database} if database else {}
        self._opened.append(
            psycopg.connect(**chosen, options=f"-c statement_timeout=10s -c app.tenant_id={isolation.ALL}")
        )
        return self._opened[-1]

    def write(self, node_id: uuid.UUID, *titles: str) -> None:
        """Events of a node, committed."""
        writer = self.connect()
        for title in titles:
            append_on(writer, self.tenant.id, node_id, title)
        writer.commit()
        writer.close()

    def run_low(self) -> None:
        """Sell a product down to where its tenant is told."""
        with factories.at_work(self.tenant):
            variant = making.make_variant(sku=f"SKU-{uuid.uuid4().hex[:8]}")
            making.count(variant.id, 6, low_stock_threshold=3)
            making.adjust(variant.id, -5)

    def close(self) -> None:
        for each in self._opened:
            each.close()


def append_on(connected: psycopg.Connection[Any], tenant_id: uuid.UUID, node_id: uuid.UUID, title: str) -> None:
    """The append statement on a connection of ours, uncommitted: the node's creation, or a new title."""
    append_all_on(connected, tenant_id, [(node_id, title)])


def append_all_on(
    connected: psycopg.Connection[Any], tenant_id: uuid.UUID, titled: Sequence[tuple[uuid.UUID, str]]
) -> None:
    """Several nodes in one statement. A title that starts with "new" creates its node."""
    rows = [_row(tenant_id, node_id, title) for node_id, title in titled]
    acting = {"actor": "test", "correlation_id": None, "causation_id": None}
    if len(rows) == 1:
        connected.execute(append.APPEND_ONE, rows[0] | acting)
    else:
        connected.execute(append.APPEND, {name: [row[name] for row in rows] for name in rows[0]} | acting)


def _row(tenant_id: uuid.UUID, node_id: uuid.UUID, title: str) -> dict[str, Any]:
    name, payload = _created(title) if title.startswith("new") else _retitled(title)
    return {
        "tenant_id": tenant_id,
        "aggregate_type": content.NODE,
        "aggregate_id": node_id,
        "lane": envelope.lane_of(tenant_id, node_id),
        "type": name,
        "schema_version": 1,
        "occurred_at": None,
        "data": payload.model_dump_json(),
    }


def _created(title: str) -> tuple[str, Any]:
    translation = content.NodeTranslation(locale="en", title=title, slug=title.replace(" ", "-"), excerpt="")
    return "content.node.created", content.NodeCreated(
        kind="post", author_name="Ann", metadata={}, category_ids=[], parent_id=None, position=0, depth=0,
        tag_ids=[], translations=[translation], bodies=[],
    )  # fmt: skip


def _retitled(title: str) -> tuple[str, Any]:
    payload = content.TranslationUpdated(locale="en", title=title, slug=title.replace(" ", "-"), excerpt="")
    return "content.translation.updated", payload


def outcome() -> list[str]:
    """Everything worked off, then looked at."""
    tasks.drain()
    return invariants.broken()


# --- the log ------------------------------------------------------------------------------------------------


def the_older_transaction_writes_second(stage: Stage) -> list[str]:
    older, newer, node_id = stage.connect(), stage.connect(), uuid.uuid4()
    older.execute("SELECT pg_current_xact_id()")
    append_on(newer, stage.tenant.id, node_id, "new")
    newer.commit()
    append_on(older, stage.tenant.id, node_id, "second")
    older.commit()
    return outcome()


def a_slow_transaction_appends_in_a_savepoint(stage: Stage) -> list[str]:
    slow, quick = stage.connect(), stage.connect()
    slow.execute("SELECT pg_current_xact_id()")
    slow.execute("SAVEPOINT inner_block")
    append_on(slow, stage.tenant.id, uuid.uuid4(), "new slow")
    append_on(quick, stage.tenant.id, uuid.uuid4(), "new quick")
    quick.commit()
    sequencer.assign_positions()
    slow.commit()
    return outcome()


def two_sessions_take_turns_on_one_aggregate(stage: Stage) -> list[str]:
    one, other, node_id = stage.connect(), stage.connect(), uuid.uuid4()
    for writer, title in ((one, "new"), (other, "second"), (one, "third")):
        append_on(writer, stage.tenant.id, node_id, title)
        writer.commit()
    return outcome()


def a_writer_commits_in_the_middle_of_a_tick(stage: Stage) -> list[str]:
    stage.write(uuid.uuid4(), "new before")
    sequencer.assign_positions()
    writer = stage.connect()
    append_on(writer, stage.tenant.id, uuid.uuid4(), "new during")
    stage.write(uuid.uuid4(), "new ready")

    def commit_after_the_first_statement(execute: Any, sql: str, *arguments: Any) -> Any:
        answer = execute(sql, *arguments)
        if "INSERT INTO outbox_position" in sql:
            writer.commit()
        return answer

    with connection.execute_wrapper(commit_after_the_first_statement):
        sequencer.assign_positions()
    return outcome()


def a_writer_waits_for_the_aggregate(stage: Stage) -> list[str]:
    return _wait_for_the_aggregate(stage, others=[])


def a_writer_of_several_events_waits_for_an_aggregate(stage: Stage) -> list[str]:
    return _wait_for_the_aggregate(stage, others=[(uuid.UUID(int=2**128 - 1), "new other")])


def _wait_for_the_aggregate(stage: Stage, others: list[tuple[uuid.UUID, str]]) -> list[str]:
    holder, waiter, node_id = stage.connect(), stage.connect(), uuid.uuid4()
    append_on(holder, stage.tenant.id, node_id, "new")

    def wait_and_write() -> None:
        append_all_on(waiter, stage.tenant.id, [(node_id, "third"), *others])
        waiter.commit()

    with beside(wait_and_write) as thread:
        await_block(waiter.info.backend_pid, thread)
        append_on(holder, stage.tenant.id, node_id, "second")
        holder.commit()
    return outcome()


def the_counter_of_a_restored_cluster_reaches_old_events(stage: Stage) -> list[str]:
    """The rows carry ids of the old cluster's transactions; the new one's counter is lower and comes by later."""
    stage.write(uuid.uuid4(), "new before the restore")
    sequencer.assign_positions()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_log SET xid = (pg_current_xact_id()::text::bigint + 5)::text::xid8")
        cursor.execute("SELECT max(id) FROM outbox_log")
        cursor.execute(NEXT_TICK, {"more": 0, "n": 0, "floor": cursor.fetchone()[0], "epochs": 1})
    for number in range(10):
        stage.write(uuid.uuid4(), f"new after {number}")
        sequencer.assign_positions()
    return outcome()


def two_sequencers_tick_at_once(stage: Stage) -> list[str]:
    """Both have reason to tick although there is nothing new: a transaction is open, and the last tick is old."""
    stage.connect().execute("SELECT pg_current_xact_id()")
    stage.write(uuid.uuid4(), "new")
    sequencer.assign_positions()
    rival = stage.connect()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_tick SET at = at - interval '1 minute'")
    rival.execute(sequencer.TICK)
    pids: list[int] = []

    def tick() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])
        sequencer.assign_positions()

    with beside(tick) as thread:
        until(lambda: bool(pids))
        await_block(pids[0], thread)
        rival.commit()
    return outcome()


def an_event_of_a_slow_writer_lies_in_an_old_partition(stage: Stage) -> list[str]:
    """Its id is old and its position new: everything around it is archived and may go, it may not."""
    with TemporaryDirectory() as archive, partitions_of_ten(Path(archive)):
        slow = stage.connect()
        append_on(slow, stage.tenant.id, uuid.uuid4(), "new slow")
        for number in range(40):
            stage.write(uuid.uuid4(), f"new {number}")
        sequencer.assign_positions()
        slow.commit()
        tasks.drain()
        partitions.ensure()
        for first, last in archiving.sealed():
            archiving.archive(first, last)
        if not retention.drop().partitions:
            raise AssertionError("no partition was dropped: nothing is shown")
        return invariants.verified()


def partitions_may_go_while_the_relay_is_behind(stage: Stage) -> list[str]:
    with TemporaryDirectory() as archive, partitions_of_ten(Path(archive)):
        for number in range(40):
            stage.write(uuid.uuid4(), f"new {number}")
        sequencer.assign_positions()
        runner.advance_all()
        partitions.ensure()
        for first, last in archiving.sealed():
            archiving.archive(first, last)
        # Somebody may still need them: then they stay, as they should.
        with suppress(retention.Held):
            retention.drop()
        transport = memory.MemoryBus()
        relay.publish_pending(transport)
        lacking = sequencer.head() - len(transport.read(0))
        return [f"I12: {lacking} events went before the relay had read them"] if lacking else []


# --- consumers ----------------------------------------------------------------------------------------------


def a_consumer_dies_while_it_applies(stage: Stage) -> list[str]:
    stage.write(uuid.uuid4(), "new", "second")
    sequencer.assign_positions()

    def die(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    number = generations.live_number(projections.get(CONTENT))
    # The death that is patched in below.
    with pytest.MonkeyPatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(writing, "replace_each", die)
        runner.advance_window(runner.Run(CONTENT, number, 0))
    return outcome()


def an_old_event_is_delivered_again(stage: Stage) -> list[str]:
    node_id = uuid.uuid4()
    stage.write(node_id, "new", "newest")
    tasks.drain()
    projection = projections.get(CONTENT)
    number = generations.live_number(projection)
    [created, _] = invariants.positions(after=sequencer.head() - 2)
    models.Checkpoint.objects.filter(consumer=CONTENT).update(position=created[0] - 1)
    with override_settings(EVENTS_BATCH_SIZE=1):
        runner.advance_window(runner.Run(CONTENT, number, 0))
    stored = writing.load(projection, number, [(stage.tenant.id, node_id)])[stage.tenant.id, node_id]
    title = stored.state["translations"]["en"]["title"] if stored.state else None
    found = [] if title == "newest" else [f'I7: an event delivered again made it "{title}"']
    return found + outcome()


def an_effect_reads_what_lies_below_its_floor(stage: Stage) -> list[str]:
    stage.run_low()
    sequencer.assign_positions()
    models.Consumer.objects.filter(name=NOTICE.name).update(effect_floor=sequencer.head())
    return outcome()


def effects_are_replayed(stage: Stage) -> list[str]:
    forget_effects(stage)
    replay.replay(NOTICE, first=1, last=sequencer.head())
    return told_again()


def everything_is_rebuilt(stage: Stage) -> list[str]:
    forget_effects(stage)
    for projection in projections.all_projections():
        rebuild.rebuild(projection)
    return told_again()


def forget_effects(stage: Stage) -> None:
    """So that only the writer's gate stands between an old event and a second mail, not the unique key."""
    stage.run_low()
    tasks.drain()
    models.Effect.objects.all().delete()


def told_again() -> list[str]:
    return [f"I8: {count} effects of events told before" for count in [models.Effect.objects.count()] if count]


# --- the relay ----------------------------------------------------------------------------------------------


class StallingBus(memory.MemoryBus):
    """The first publisher stalls until its lease is over and another one has passed it."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile: Callable[[], None] | None = meanwhile
        self.cursors: list[int] = []

    def publish(self, batch: bus.Batch, *, after: int = 0, shard: int = 0) -> None:
        super().publish(batch, after=after, shard=shard)
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        self.cursors.append(relay.position())


def a_relay_stalls_and_another_takes_over(stage: Stage) -> list[str]:
    def another_passes() -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE outbox_sinkcursor SET lease_until = now() - interval '1 second'")
        stage.write(uuid.uuid4(), "new", "second")
        sequencer.assign_positions()
        relay.publish_pending(transport)

    transport = StallingBus(another_passes)
    stage.write(uuid.uuid4(), "new")
    sequencer.assign_positions()
    relay.publish_pending(transport)
    cursors = [*transport.cursors, relay.position()]
    found = [] if cursors == sorted(cursors) else [f"I10: the cursor of the relay went back: {cursors}"]
    return found + invariants.on_the_bus(transport) + outcome()


def the_bus_is_wiped_while_nothing_is_written(stage: Stage) -> list[str]:
    transport = memory.MemoryBus()
    readers.declare("elsewhere", at=0)
    stage.write(uuid.uuid4(), "new", "second")
    sequencer.assign_positions()
    relay.publish_pending(transport)
    transport.wipe()
    relay.publish_pending(transport)
    lacking = sequencer.head() - len(transport.read(0))
    return [f"I10: the bus lacks {lacking} events a declared reader has not read"] if lacking else []


# --- threads ------------------------------------------------------------------------------------------------


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[threading.Thread]:
    """Run `work` in a thread beside the block, and wait for it."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
    if failures:
        raise failures[0]


def await_block(backend_pid: int, thread: threading.Thread) -> None:
    """Until another session holds up that one, or the thread has ended."""

    def is_blocked() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [backend_pid])
            return bool(cursor.fetchone()[0])

    until(lambda: not thread.is_alive() or is_blocked())


def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come about in time")
        threading.Event().wait(0.005)
