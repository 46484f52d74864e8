"""Any schedule of writers, sequencers, consumers and deaths keeps every promise: a state machine over real connections.

Each rule is one statement on one connection, so a schedule is deterministic and shrinks. The model is Python lists.
`HYPOTHESIS_PROFILE=long` searches for minutes.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test import override_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from apps.consumers import generations, projections, runner, tasks, writing
from apps.outbox import sequencer
from rustok.testing import plugin
from tests.faults import invariants, scenes
from tests.faults.mutants import MUTANTS, Mutant

pytestmark = pytest.mark.usefixtures("committed_db")

TENANT = uuid.UUID(int=1)
NODES = [uuid.UUID(int=number) for number in range(1, 5)]
WRITERS = range(3)
IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SEARCH = settings(
    max_examples=2000 if IS_LONG else 40,
    stateful_step_count=60 if IS_LONG else 35,
    derandomize=not IS_LONG,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


# Of the mistakes that a schedule of these rules can show, those it shows soon.
SHOWN_SOON = ("events of a tick ordered", "ids drawn in blocks", "the checkpoint moved before")
FOUND_BY_SEARCH = [mutant for mutant in MUTANTS if mutant.name.startswith(SHOWN_SOON)]


@dataclass
class Event:
    """`wrote_at` and `committed_at` are steps of the schedule."""

    node: uuid.UUID
    title: str
    wrote_at: int
    committed_at: int = 0


@dataclass
class Writer:
    """A connection with what its open transaction has written; `savepoints` are lengths of `pending`."""

    connection: psycopg.Connection[Any]
    is_open: bool = False
    pending: list[Event] = field(default_factory=list)
    savepoints: list[int] = field(default_factory=list)


class Schedule(RuleBasedStateMachine):
    superuser: plugin.Superuser

    def __init__(self) -> None:
        super().__init__()
        plugin.empty_database(self.superuser)
        plugin.empty_valkey()
        self.stage = scenes.Stage()
        self.writers = [Writer(self.stage.connect()) for _ in WRITERS]
        self.foreign: dict[str | None, psycopg.Connection[Any]] = {}
        self.tick_in_hand: psycopg.Connection[Any] | None = None
        self.step = 0
        self.committed: list[Event] = []
        self.watcher = invariants.Watcher()

    # --- writers ---

    @rule(number=st.sampled_from(WRITERS), takes_xid=st.booleans())
    def begin(self, number: int, takes_xid: bool) -> None:
        writer = self.writers[number]
        if writer.is_open:
            return
        writer.is_open = True
        writer.connection.execute("SELECT pg_current_xact_id()" if takes_xid else "SELECT 1")

    @rule(number=st.sampled_from(WRITERS), nodes=st.lists(st.sampled_from(NODES), min_size=1, max_size=3))
    def append(self, number: int, nodes: list[uuid.UUID]) -> None:
        """To nodes no other writer holds; that one would have to wait."""
        writer = self.writers[number]
        held = {event.node for other in self.writers if other is not writer for event in other.pending}
        if held & set(nodes):
            return
        self.step += 1
        events = []
        for node in nodes:
            known = any(event.node == node for event in (*self.committed, *writer.pending, *events))
            events.append(Event(node, f"{'title' if known else 'new'} {self.step}.{len(events)}", self.step))
        titled = [(event.node, event.title) for event in events]
        scenes.append_all_on(writer.connection, TENANT, titled)
        writer.pending += events
        writer.is_open = True

    @rule(number=st.sampled_from(WRITERS), node=st.sampled_from(NODES))
    def append_and_commit(self, number: int, node: uuid.UUID) -> None:
        self.append(number, [node])
        self.end(number, commits=True)

    @precondition(lambda self: any(writer.is_open for writer in self.writers))
    @rule(number=st.sampled_from(WRITERS))
    def savepoint(self, number: int) -> None:
        writer = self.writers[number]
        if writer.is_open:
            writer.connection.execute(f"SAVEPOINT s{len(writer.savepoints)}")
            writer.savepoints.append(len(writer.pending))

    @precondition(lambda self: any(writer.savepoints for writer in self.writers))
    @rule(number=st.sampled_from(WRITERS))
    def roll_back_to_savepoint(self, number: int) -> None:
        writer = self.writers[number]
        if writer.savepoints:
            writer.connection.execute(f"ROLLBACK TO SAVEPOINT s{len(writer.savepoints) - 1}")
            del writer.pending[writer.savepoints[-1] :]

    @precondition(lambda self: any(writer.is_open for writer in self.writers))
    @rule(number=st.sampled_from(WRITERS), commits=st.sampled_from([True, True, True, False]))
    def end(self, number: int, commits: bool) -> None:
        writer = self.writers[number]
        self.step += 1
        if commits:
            writer.connection.commit()
            for event in writer.pending:
                event.committed_at = self.step
            self.committed += writer.pending
        else:
            writer.connection.rollback()
        self.writers[number] = Writer(writer.connection)

    # --- others in the cluster ---

    @rule(database=st.sampled_from([None, "postgres"]))
    def open_foreign_transaction(self, database: str | None) -> None:
        """One that has a transaction id and nothing to do with events, in this database or another."""
        if database not in self.foreign:
            self.foreign[database] = self.stage.connect(database)
            self.foreign[database].execute("SELECT pg_current_xact_id()")

    @precondition(lambda self: self.foreign)
    @rule(database=st.sampled_from([None, "postgres"]))
    def close_foreign_transaction(self, database: str | None) -> None:
        if database in self.foreign:
            self.foreign.pop(database).close()

    # --- sequencers ---

    @precondition(lambda self: self.tick_in_hand is None)
    @rule()
    def tick(self) -> None:
        """Afterwards everything committed has a position, whoever has a transaction open."""
        sequencer.assign_positions()
        assert sequencer.head() == len(self.committed)

    @precondition(lambda self: self.tick_in_hand is None)
    @rule()
    def tick_without_committing(self) -> None:
        self.tick_in_hand = self.stage.connect()
        self.tick_in_hand.execute(sequencer.TICK)

    @precondition(lambda self: self.tick_in_hand is not None)
    @rule(dies=st.booleans())
    def end_tick(self, dies: bool) -> None:
        assert self.tick_in_hand is not None
        if dies:
            self.superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [self.tick_in_hand.info.backend_pid])
        else:
            self.tick_in_hand.commit()
        self.tick_in_hand.close()
        self.tick_in_hand = None

    # --- consumers ---

    @rule(size=st.integers(1, 5))
    def consume(self, size: int) -> None:
        """A window."""
        with override_settings(EVENTS_BATCH_SIZE=size):
            runner.advance_window(self._run())

    @rule(size=st.integers(1, 5), place=st.sampled_from([(writing, "replace_each"), (runner, "_move")]))
    def consume_and_die(self, size: int, place: tuple[ModuleType, str]) -> None:
        """A window whose server process is killed when the rows are written, or the checkpoint is moved as well."""
        work = getattr(*place)

        def work_and_die(*arguments: Any, **options: Any) -> None:
            work(*arguments, **options)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        with pytest.MonkeyPatch.context() as patched, override_settings(EVENTS_BATCH_SIZE=size):
            patched.setattr(*place, work_and_die)
            try:
                runner.advance_window(self._run())
            except OperationalError:
                connection.close()

    def _run(self) -> runner.Run:
        return runner.Run("content", generations.live_number(projections.get("content")), 0)

    # --- what always holds ---

    @invariant()
    def positions_follow_the_model(self) -> None:
        assert self.watcher.look() == []
        rows = in_position_order()
        known = {event.title: event for event in self.committed}
        events = [known[title] for _, title in rows]  # KeyError: an event nobody committed has a position
        for node in NODES:
            versions = [version for (version, _), event in zip(rows, events, strict=True) if event.node == node]
            assert versions == list(range(1, len(versions) + 1))
        for place, event in enumerate(events):
            for earlier in events[:place]:
                assert not 0 < event.committed_at < earlier.wrote_at, f"{earlier.title} had seen {event.title}"

    def teardown(self) -> None:
        for number in WRITERS:
            self.end(number, commits=True)
        if self.tick_in_hand is not None:
            self.end_tick(dies=False)
        try:
            tasks.drain()
            assert sequencer.head() == len(self.committed)
            assert invariants.broken() + self.watcher.look() + self.watcher.complaints() == []
        finally:
            self.stage.close()


def in_position_order() -> list[tuple[int, str]]:
    """(version, title) of the events with a position."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.version, COALESCE(l.data->>'title', l.data->'translations'->0->>'title') "
            "FROM outbox_position p JOIN outbox_log l USING (id) ORDER BY p.position"
        )
        return list(cursor.fetchall())


@pytest.fixture
def machine(_superuser: plugin.Superuser) -> Iterator[type[Schedule]]:
    yield type("Schedule", (Schedule,), {"superuser": _superuser})


def test_any_schedule_keeps_every_promise(machine: type[Schedule]) -> None:
    run_state_machine_as_test(machine, settings=SEARCH)


@pytest.mark.parametrize("mutant", FOUND_BY_SEARCH, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_search_finds_a_mistake(machine: type[Schedule], mutant: Mutant) -> None:
    without_shrinking = settings(SEARCH, max_examples=200, phases=[Phase.generate], report_multiple_bugs=False)

    with mutant.applied(), pytest.raises(Exception) as found:
        run_state_machine_as_test(machine, settings=without_shrinking)

    assert isinstance(found.value, AssertionError | KeyError | ExceptionGroup | IntegrityError), found.value
