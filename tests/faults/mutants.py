"""Mistakes one could make in the event core, each a small edit of its code or its tables; `test_mutants` shows that
each is noticed. docs/explanation/event-core-tests.md lists them."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import pytest
from django.db import connection

from apps.consumers import effects, folding, rebuild, runner
from apps.outbox import append, cursors, relay, retention, sequencer
from rustok import servers


class Stale(LookupError):
    """The code a mutant edits is no longer there: the mutant has to follow it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace text in a constant, or in the source of a function, of a module; every pair once or more."""

    module: ModuleType
    name: str
    pairs: tuple[tuple[str, str], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Raises Stale when the text to be replaced is not there."""
        original = getattr(self.module, self.name)
        text = original if isinstance(original, str) else textwrap.dedent(inspect.getsource(original))
        text = edited(f"{self.module.__name__}.{self.name}", text, self.pairs)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(self.module, self.name, text if isinstance(original, str) else self._compiled(text))
            yield

    def _compiled(self, source: str) -> Any:
        namespace = dict(vars(self.module))
        # Names must be looked up in the module when it runs, for other patches to be seen: hence its own globals.
        exec(compile(f"from __future__ import annotations\n{source}", self.module.__file__ or "", "exec"), namespace)  # noqa: S102
        made = namespace[self.name]
        bound = FunctionType(made.__code__, vars(self.module), made.__name__, made.__defaults__)
        bound.__kwdefaults__ = made.__kwdefaults__
        return bound


def as_superuser(statements: str) -> None:
    """Past all policies and ownership, as no process of the installation may."""
    facts = servers.connection_facts().superuser
    assert facts is not None
    with facts.connect(database=connection.settings_dict["NAME"]) as superuser:
        superuser.execute(statements)


@dataclass(frozen=True, slots=True)
class Tampering:
    """Another definition of the tables, taken back afterwards."""

    there: str
    back: str

    @contextmanager
    def applied(self) -> Iterator[None]:
        as_superuser(self.there)
        try:
            yield
        finally:
            as_superuser(self.back)


@dataclass(frozen=True, slots=True)
class FunctionEdit:
    """Replace text in a function of the database, taken back afterwards."""

    name: str
    pairs: tuple[tuple[str, str], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Raises Stale when the text to be replaced is not there."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_get_functiondef(%s::regproc)", [self.name])
            original = cursor.fetchone()[0]
        with Tampering(edited(self.name, original, self.pairs), original).applied():
            yield


def edited(name: str, text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """Raises Stale."""
    for old, new in pairs:
        if old not in text:
            raise Stale(f"{name} has no {old!r}")
        text = text.replace(old, new)
    return text


@dataclass(frozen=True, slots=True)
class Mutant:
    """`scene` of `scenes` shows the mistake by breaking the promise `caught_by`."""

    name: str
    scene: str
    caught_by: str
    how: tuple[Edit | FunctionEdit | Tampering, ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for change in self.how:
                stack.enter_context(change.applied())
            yield


# Where a mutant puts more in than a word.
TICK_IN_TWO = (
    """        cursor.execute(TICK)
        row = cursor.fetchone()
""",
    """        import re
        from tests.faults.scenes import NEXT_TICK
        cursor.execute(re.split(r",\\s+t AS \\(|INSERT INTO outbox_tick", TICK)[0] + " SELECT n FROM c")
        [n] = cursor.fetchone()
        cursor.execute(NEXT_TICK + "RETURNING n, false", {"more": n, "n": n, "floor": None, "epochs": 0})
        row = cursor.fetchone()
""",
)
MOVED_AFTER = """        failpoints.reach("runner.after_apply_before_move")
        _move(run, position, until)
"""
MOVED_FIRST = (
    """        if projection:
            _apply(""",
    """        _move(run, position, until)
    with transaction.atomic():
        if projection:
            _apply(""",
)
TOLD_BY_A_REBUILD = (
    """
    build.on_progress("fold", _folded(build), total)
""",
    """
    from apps.consumers import effects
    for effect in effects.all_effects():
        seen = log.read_window(after=0, until=sequencer.head(), types=effect.types)
        effects.write(effect, effects.plan_stream(effect, seen)[0], is_live=True)
""",
)
ID_DRAWN_FIRST = (
    ("SELECT * FROM unnest(", "SELECT nextval('outbox_log_id_seq') AS id, e.* FROM unnest("),
    ("INSERT INTO outbox_log (tenant_id", "INSERT INTO outbox_log (id, tenant_id"),
    ("occurred_at, data)\n    SELECT e.", "occurred_at, data)\n    OVERRIDING SYSTEM VALUE\n    SELECT e.id, e."),
)
ID_DRAWN_FIRST_OF_ONE = (
    ("_version integer;\n", "_version integer;\n    _id bigint := nextval('outbox_log_id_seq');\n"),
    ("INSERT INTO outbox_log (tenant_id", "INSERT INTO outbox_log (id, tenant_id"),
    (
        "VALUES (_tenant_id, _aggregate_type, _aggregate_id, _version",
        "OVERRIDING SYSTEM VALUE\n    VALUES (_id, _tenant_id, _aggregate_type, _aggregate_id, _version",
    ),
)
XID_ORDER = (("SELECT l.id, l.lane", "SELECT l.id, l.lane, l.xid"), ("ORDER BY id", "ORDER BY xid, id"))

MUTANTS = [
    Mutant(
        "events of a tick ordered by transaction, then id",
        "the_older_transaction_writes_second",
        "I4",
        (Edit(sequencer, "TICK", XID_ORDER),),
    ),
    Mutant(
        "xmin in place of the stored transaction id",
        "a_slow_transaction_appends_in_a_savepoint",
        "I2",
        (Edit(sequencer, "TICK", (("l.xid", "l.xmin::text::xid8"),)),),
    ),
    Mutant(
        "ids drawn in blocks of fifty",
        "two_sessions_take_turns_on_one_aggregate",
        "I4",
        (
            Tampering(
                "ALTER TABLE outbox_log ALTER COLUMN id SET CACHE 50",
                "ALTER TABLE outbox_log ALTER COLUMN id SET CACHE 1",
            ),
        ),
    ),
    Mutant(
        "two statements for one tick",
        "a_writer_commits_in_the_middle_of_a_tick",
        "I2",
        (Edit(sequencer, "_tick", (TICK_IN_TWO,)),),
    ),
    Mutant(
        "the id of an event drawn before its aggregate is locked",
        "a_writer_waits_for_the_aggregate",
        "I4",
        (FunctionEdit("outbox_append_one", ID_DRAWN_FIRST_OF_ONE),),
    ),
    Mutant(
        "the ids of several events drawn before their aggregates are locked",
        "a_writer_of_several_events_waits_for_an_aggregate",
        "I4",
        (Edit(append, "APPEND", ID_DRAWN_FIRST),),
    ),
    Mutant(
        "no id floor after a restore",
        "the_counter_of_a_restored_cluster_reaches_old_events",
        "I2",
        (Edit(sequencer, "TICK", ((" AND l.id > h.id_floor", ""),)),),
    ),
    Mutant(
        "two ticks may continue the same one",
        "two_sequencers_tick_at_once",
        "I2",
        (
            Edit(sequencer, "GENESIS", ((" ON CONFLICT (prev) DO NOTHING", ""),)),
            Tampering(
                "ALTER TABLE outbox_tick DROP CONSTRAINT outbox_tick_prev_key",
                "DELETE FROM outbox_tick; ALTER TABLE outbox_tick ADD CONSTRAINT outbox_tick_prev_key UNIQUE (prev)",
            ),
        ),
    ),
    Mutant(
        "an old partition dropped without a look at its events",
        "an_event_of_a_slow_writer_lies_in_an_old_partition",
        "I2",
        (Edit(retention, "WARM", (("SELECT EXISTS (", "SELECT false AND EXISTS ("),)),),
    ),
    Mutant(
        "partitions dropped whoever still reads them",
        "partitions_may_go_while_the_relay_is_behind",
        "I12",
        (Edit(retention, "refuse_held", (("if in_the_way:", "if False:"),)),),
    ),
    Mutant(
        "the checkpoint moved before the events are applied",
        "a_consumer_dies_while_it_applies",
        "I6",
        (Edit(runner, "_advance_window", (MOVED_FIRST, (MOVED_AFTER, ""))),),
    ),
    Mutant(
        "no version guard",
        "an_old_event_is_delivered_again",
        "I7",
        (Edit(folding, "fold", (("event.version > version", "True"),)),),
    ),
    Mutant(
        "no effect floor",
        "an_effect_reads_what_lies_below_its_floor",
        "I8",
        (Edit(effects, "WRITE", (("WHERE e.position > c.effect_floor", ""),)),),
    ),
    Mutant(
        "effects planned by a replay",
        "effects_are_replayed",
        "I8",
        (Edit(effects, "write", (("if not is_live or not planned", "if not planned"),)),),
    ),
    Mutant(
        "effects planned by a rebuild",
        "everything_is_rebuilt",
        "I8",
        (Edit(rebuild, "_fold", (TOLD_BY_A_REBUILD,)),),
    ),
    Mutant(
        "the relay's cursor moved without compare-and-set",
        "a_relay_stalls_and_another_takes_over",
        "I10",
        (Edit(cursors, "MOVE", ((" AND fence = %(fence)s AND position = %(position)s", ""),)),),
    ),
    Mutant(
        "a wiped bus not noticed",
        "the_bus_is_wiped_while_nothing_is_written",
        "I10",
        (Edit(relay, "_has_lost", (("return transport.last", "return False and transport.last"),)),),
    ),
]
