"""The promises of the event core, checked from outside: by SQL over log, positions, checkpoints, parked, effects and
generations. What `events_verify` checks is taken from it; the rest is here. docs/explanation/event-core-tests.md

    I1   an event is recorded if and only if its change was committed
    I2   every committed event has exactly one position, positions are 1..N, ticks form one chain
    I3   a position never changes its event, and nothing is put in below one that was seen
    I4   per aggregate, versions are 1..n in position order
    I5   who writes after having seen a commit stands behind it
    I6   up to a checkpoint each event is applied, filtered, parked or skipped, exactly one of them
    I7   what is stored is the fold of the log, byte for byte
    I8   an effect is planned once per event and target, never at or below the floor, never by a replay, and tried
    I10  the cursor of the relay never goes back, and the bus has what the log has
    I11  with the faults healed everything is worked off
    I12  rows of log and positions are never updated or deleted; none goes before everybody has read it
    I13  one generation is live, and readers' views show it and nothing else
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, cast

from django.db import connection

from apps.consumers import effects, generations, projections, status
from apps.events import bus
from apps.kernel import isolation

# What `events_verify` says, by the promise it is about.
VERIFIED = {
    "stream heads differ": "I1",
    "positions are not 1..N": "I2",
    "have no position": "I2",
    "point at no event": "I2",
    "out of version order": "I4",
    "parked events": "I6",
    "rows differ from the fold": "I7",
    "can't be folded": "I7",
    "rows, the fold has": "I7",
    "at or below its floor": "I8",
    "let the workers drain": "I11",
}
CHAIN = """
SELECT count(*) FROM (
    SELECT prev, last_position - n AS before, lag(tick_id) OVER w AS former, lag(last_position) OVER w AS reached
    FROM outbox_tick WINDOW w AS (ORDER BY tick_id)
) t WHERE prev <> former OR before <> reached
"""
STOOD = """
WITH seen AS (
    SELECT l.tenant_id, l.aggregate_id AS id, l.version, k.state AS parked
    FROM consumers_checkpoint c
    JOIN outbox_position p ON p.position <= c.position AND p.lane BETWEEN c.lane_low AND c.lane_high
    JOIN outbox_log l ON l.id = p.id AND l.type = ANY(%(types)s)
    LEFT JOIN consumers_parked k ON k.consumer = c.consumer AND k.position = p.position
        AND (k.state = 'skipped' OR k.generation = c.generation)
    WHERE c.consumer = %(consumer)s AND c.generation = %(generation)s
), stood AS (
    SELECT tenant_id, id, max(version) FILTER (WHERE parked IS NULL) AS applied,
           min(version) FILTER (WHERE parked = 'blocked') AS waiting
    FROM seen GROUP BY 1, 2
)
SELECT count(*) FROM stood FULL JOIN {state} s USING (tenant_id, id)
WHERE s.version IS DISTINCT FROM applied OR waiting <= applied
"""
AHEAD = """
SELECT count(*) FROM consumers_checkpoint
WHERE position > (SELECT COALESCE(max(last_position), 0) FROM outbox_tick)
"""
REPEATED = """
SELECT count(*) FROM (
    SELECT 1 FROM consumers_effect GROUP BY consumer, event_id, target HAVING count(*) > 1
) twice
"""
UNFOUNDED = """
SELECT count(*) FROM consumers_effect e WHERE NOT EXISTS (
    SELECT 1 FROM outbox_position p JOIN outbox_log l ON l.id = p.id
    WHERE p.position = e.position AND l.event_id = e.event_id AND l.tenant_id = e.tenant_id)
"""
UNPLANNED = """
SELECT count(*) FROM consumers_checkpoint c
JOIN consumers_consumer k ON k.name = c.consumer
JOIN outbox_position p ON p.position > k.effect_floor AND p.position <= c.position
    AND p.lane BETWEEN c.lane_low AND c.lane_high
JOIN outbox_log l ON l.id = p.id AND l.type = ANY(%(types)s)
WHERE c.consumer = %(consumer)s
  AND NOT EXISTS (SELECT 1 FROM consumers_effect e WHERE e.consumer = c.consumer AND e.event_id = l.event_id)
  AND NOT EXISTS (SELECT 1 FROM consumers_parked d WHERE d.consumer = c.consumer AND d.position = p.position)
"""
UNTRIED = "SELECT count(*) FROM consumers_effect WHERE attempts = 0"
POSITIONED = """
SELECT p.position, l.event_id::text FROM outbox_position p LEFT JOIN outbox_log l ON l.id = p.id
WHERE p.position > %s ORDER BY p.position
"""
CHANGED = """
SELECT COALESCE(sum(n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables
WHERE relname LIKE ANY(ARRAY['outbox\\_log%%', 'outbox\\_position%%', 'outbox\\_tick'])
"""
# A row of the business table has a stream that has not ended, and the other way round.
ROWS = """
SELECT count(*) FROM {table} r FULL JOIN (
    SELECT tenant_id, aggregate_id AS id, bool_or(type = '{aggregate}.deleted') AS is_gone
    FROM outbox_log WHERE aggregate_type = '{aggregate}' GROUP BY 1, 2
) s ON s.tenant_id = r.tenant_id AND s.id = r.id
WHERE (r.id IS NULL) <> COALESCE(s.is_gone, false) OR s.id IS NULL
"""
AGGREGATES = {"content_node": "content.node", "commerce_product": "commerce.product"}


@isolation.all_tenants(reason="test")
def broken(*, is_drained: bool = True) -> list[str]:
    """Every broken promise of I2, I4, I6–I8, I11 and I13 as "I2: what is wrong"; empty when all hold.

    `is_drained` False leaves out what holds only when everything has been worked off.
    """
    found = verified()
    if not is_drained:
        found = [line for line in found if not line.startswith("I11")]
    found += [*_log(), *_checkpoints(), *_effects(is_drained), *_generations()]
    return found


@isolation.all_tenants(reason="test")
def verified() -> list[str]:
    """What `events_verify` finds; it reads archives too, which the other checks do not."""
    return [f"{_promise_of(line)}: {line}" for line in status.verify()]


def numbers(complaints: Iterable[str]) -> set[str]:
    """The promises that are broken, such as {"I2", "I4"}."""
    return {line.split(":")[0] for line in complaints}


@isolation.all_tenants(reason="test")
def rows_without_events() -> list[str]:
    """I1 for tables written by services only: each row has its stream, each living stream its row."""
    return [
        f"I1: {count} rows of {table} and streams of {aggregate} do not match"
        for table, aggregate in AGGREGATES.items()
        if (count := _number(ROWS.format(table=table, aggregate=aggregate)))
    ]


@isolation.all_tenants(reason="test")
def out_of_journal(journals: Sequence[Sequence[uuid.UUID]]) -> list[str]:
    """I1, I2 and I5 for writers that noted the events of each commit, in order, after it: all are there, in order."""
    found = []
    place = {event_id: position for position, event_id in positions()}
    for number, journal in enumerate(journals):
        missing = [event_id for event_id in journal if str(event_id) not in place]
        if missing:
            found.append(f"I2: {len(missing)} events writer {number} committed have no position, e.g. {missing[0]}")
        stood = [place[str(event_id)] for event_id in journal if str(event_id) in place]
        if inversions := sum(1 for earlier, later in pairwise(stood) if later <= earlier):
            found.append(f"I5: {inversions} events of writer {number} stand before what it had committed earlier")
    return found


@isolation.all_tenants(reason="test")
def positions(after: int = 0) -> list[tuple[int, str]]:
    """(position, event id) in position order."""
    with connection.cursor() as cursor:
        cursor.execute(POSITIONED, [after])
        return cast(list[tuple[int, str]], cursor.fetchall())


@isolation.all_tenants(reason="test")
def on_the_bus(transport: bus.Bus) -> list[str]:
    """I10: what the bus holds stands in the log at that position. It may hold less, never something else."""
    place = dict(positions())
    held = transport.read(0, limit=max(len(place), 1) + 1)
    wrong = [entry.position for entry in held if entry.fields["id"] != place.get(entry.position)]
    return [f"I10: {len(wrong)} messages on the bus are not what the log has, e.g. at {wrong[0]}"] if wrong else []


@isolation.all_tenants(reason="test")
def changes() -> int:
    """Updates and deletes of log, positions and ticks since the server started; I12 says that they do not grow."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
    return _number(CHANGED)


class Watcher:
    """I3: remembers what it saw at which position, and later finds it there."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    def look(self) -> list[str]:
        """Take in what is new. A complaint when it does not follow what was seen without a hole."""
        new = positions(after=len(self._seen))
        expected = list(range(len(self._seen) + 1, len(self._seen) + len(new) + 1))
        if [position for position, _ in new] != expected:
            return [f"I3: after position {len(self._seen)} came {[position for position, _ in new][:5]}"]
        self._seen += [event_id for _, event_id in new]
        return []

    def complaints(self) -> list[str]:
        now = [event_id for _, event_id in positions()][: len(self._seen)]
        changed = sum(seen != found for seen, found in zip(self._seen, now, strict=False))
        gone = len(self._seen) - len(now)
        return [f"I3: {changed} positions changed their event, {gone} are gone"] if changed or gone else []


def _log() -> Iterator[str]:
    if count := _number(CHAIN):
        yield f"I2: {count} ticks do not continue the one before"


def _checkpoints() -> Iterator[str]:
    if count := _number(AHEAD):
        yield f"I6: {count} checkpoints are ahead of the log"
    for projection in projections.all_projections():
        number = generations.live_number(projection)
        sql = STOOD.format(state=projection.state_relation.table(number))
        reader = {"consumer": projection.name, "generation": number, "types": list(projection.types)}
        if count := _number(sql, reader):
            yield f"I6: {count} aggregates of {projection.name} are not where their checkpoint says"


def _effects(is_drained: bool) -> Iterator[str]:
    if count := _number(REPEATED):
        yield f"I8: {count} effects are planned twice"
    if count := _number(UNFOUNDED):
        yield f"I8: {count} effects stand for no event"
    for effect in effects.all_effects():
        if count := _number(UNPLANNED, {"consumer": effect.name, "types": list(effect.types)}):
            yield f"I8: {count} events have no effect of {effect.name}"
    if is_drained and (count := _number(UNTRIED)):
        yield f"I8: {count} effects were never tried"


def _generations() -> Iterator[str]:
    for projection in projections.all_projections():
        number = generations.live_number(projection)
        for relation in projection.all_relations:
            with connection.cursor() as cursor:
                cursor.execute("SELECT definition FROM pg_views WHERE viewname = %s", [relation.live])
                row = cursor.fetchone()
            shown = set(re.findall(rf"\b{relation.template}__g\d+\b", row[0] if row else ""))
            if shown != {relation.table(number)}:
                yield f"I13: {relation.live} shows {sorted(shown)}, generation {number} is live"


def _promise_of(line: str) -> str:
    return next((number for words, number in VERIFIED.items() if words in line), "verify")


def _number(sql: str, parameters: dict[str, Any] | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.fetchone()[0])
