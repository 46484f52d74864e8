"""What operators ask first: how long is the log, who reads it, how far behind are they, does everything add up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import batched
from typing import Any

from django.db import connection, transaction

from apps.consumers import folding, generations, models, projections, writing
from apps.events import envelope
from apps.outbox import log, relay, sequencer

LAG = """
SELECT extract(epoch FROM clock_timestamp() - l.recorded_at)
FROM outbox_position p JOIN outbox_log l ON l.id = p.id WHERE p.position = %s
"""
DENSE = """
SELECT count(*), COALESCE(min(position), 0), COALESCE(max(position), 0), count(DISTINCT id) FROM outbox_position
"""
ORPHANS = """
SELECT count(*) FROM outbox_position p WHERE NOT EXISTS (SELECT 1 FROM outbox_log l WHERE l.id = p.id)
"""
VERSIONS = """
SELECT count(*) FROM (
    SELECT l.version, row_number() OVER w AS by_position
    FROM outbox_log l JOIN outbox_position p ON p.id = l.id
    WINDOW w AS (PARTITION BY l.tenant_id, l.aggregate_type, l.aggregate_id ORDER BY p.position)
) numbered WHERE version <> by_position
"""
HEADS = """
SELECT count(*) FROM outbox_stream s FULL JOIN (
    SELECT tenant_id, aggregate_type, aggregate_id, max(version) AS version FROM outbox_log GROUP BY 1, 2, 3
) l USING (tenant_id, aggregate_type, aggregate_id) WHERE s.version IS DISTINCT FROM l.version
"""


def status() -> dict[str, Any]:
    """Head, unpositioned events, the relay, and each consumer with its position, lag and parked events."""
    head = sequencer.head()
    consumers = []
    for checkpoint in models.Checkpoint.objects.order_by("consumer", "generation"):
        parked = models.Parked.objects.filter(
            consumer=checkpoint.consumer, generation=checkpoint.generation, state="blocked"
        )
        consumers.append(
            {
                "name": checkpoint.consumer,
                "generation": checkpoint.generation,
                "position": checkpoint.position,
                "lag_events": head - checkpoint.position,
                "lag_seconds": _lag_seconds(checkpoint.position, head),
                "parked": parked.count(),
                "needs_rebuild": _needs_rebuild(checkpoint),
            }
        )
    return {
        "head": head,
        "unpositioned": sequencer.count_waiting(),
        "relay": {"position": relay.position(), "lag_events": head - relay.position()},
        "consumers": consumers,
    }


def verify(*, wait_seconds: float = 0, report: Callable[[str], None] = lambda line: None) -> list[str]:
    """Every broken promise found, empty when all hold; `report` is told what is being checked.

    Checks: positions are 1..N; every event committed before the call has exactly one; versions count 1..n per
    aggregate in position order and match the stream heads; nothing is parked; every stored row equals the fold of the
    log, byte for byte. What was committed before the call is given `wait_seconds` to be worked off, so that running
    writers are no false alarm.
    """
    with ExitStack() as stack:
        for projection in projections.all_projections():
            stack.enter_context(generations.in_use(projection))
        newest_id, head = _settle(wait_seconds)
        stack.enter_context(transaction.atomic())
        cursor = stack.enter_context(connection.cursor())
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = list(_verify_log(newest_id))
        report(f"log: {sequencer.head():,} positions checked")
        for projection in projections.all_projections():
            checked, broken = _verify_projection(projection, head)
            report(f"{projection.name}: {checked:,} aggregates compared with their fold")
            found += broken
    return found


def _settle(wait_seconds: float) -> tuple[int, int]:
    """Wait until what is committed now has positions and is applied; the newest log id of now, and the head then."""
    deadline = time.monotonic() + wait_seconds
    newest_id = log.newest_id()
    while sequencer.count_without_position(until_id=newest_id) and time.monotonic() < deadline:
        time.sleep(0.1)
    head = sequencer.head()
    while _slowest(head) < head and time.monotonic() < deadline:
        time.sleep(0.1)
    return newest_id, head


def _slowest(head: int) -> int:
    """The position of the live generation that is furthest behind, `head` without any."""
    live = models.Generation.objects.filter(state="live").values_list("projection", "number")
    positions = [
        models.Checkpoint.objects.get(consumer=projection, generation=number, shard=0).position
        for projection, number in live
    ]
    return min(positions, default=head)


def _lag_seconds(position: int, head: int) -> float:
    """Age of the oldest event the consumer has not covered, in seconds; 0 when it has all."""
    if position >= head:
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(LAG, [position + 1])
        row = cursor.fetchone()
    return round(float(row[0]), 3) if row else 0.0


def _needs_rebuild(checkpoint: models.Checkpoint) -> bool:
    generation = models.Generation.objects.filter(projection=checkpoint.consumer, number=checkpoint.generation).first()
    known = {projection.name: projection.version for projection in projections.all_projections()}
    return generation is not None and generation.code_version != known.get(checkpoint.consumer)


def _verify_log(newest_id: int) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(DENSE)
        count, lowest, highest, distinct = cursor.fetchone()
        head = sequencer.head()
        if not (count == highest == head == distinct) or lowest != min(count, 1):
            yield (
                f"positions are not 1..N: {count} rows from {lowest} to {highest} for {distinct} events, "
                f"newest tick at {head}"
            )
        if unpositioned := sequencer.count_without_position(until_id=newest_id):
            yield f"{unpositioned} committed events have no position; let the workers drain, then verify again"
        for sql, meaning in (
            (ORPHANS, "positions point at no event"),
            (VERSIONS, "events stand out of version order within their aggregate"),
            (HEADS, "stream heads differ from the newest version in the log"),
        ):
            cursor.execute(sql)
            if wrong := cursor.fetchone()[0]:
                yield f"{wrong} {meaning}"


def _verify_projection(projection: projections.Projection, head: int) -> tuple[int, list[str]]:
    number = generations.live_number(projection)
    checkpoint = models.Checkpoint.objects.get(consumer=projection.name, generation=number, shard=0)
    broken = []
    if checkpoint.position < head:
        behind = f"{projection.name} is at {checkpoint.position} of {head}"
        broken.append(f"{behind}; let the workers drain, then verify again")
    parked = models.Parked.objects.filter(consumer=projection.name, generation=number, state="blocked")
    if count := parked.count():
        broken.append(f"{projection.name} has {count} parked events")
    waiting = set(parked.values_list("tenant_id", "aggregate_type", "aggregate_id"))
    checked = 0

    def complain(stream: Sequence[envelope.Event], error: Exception) -> None:
        first = stream[0]
        broken.append(f"{projection.name}: {first.aggregate_type} {first.aggregate_id} can't be folded: {error!r}")

    counts = dict.fromkeys([relation.template for relation in projection.all_relations], 0)
    built = folding.build_all(projection, until=checkpoint.position, on_poison=complain)
    for chunk in batched(built, 500):
        checked += len(chunk)
        keys = [(entry.tenant_id, entry.id) for entry in chunk]
        for relation in projection.all_relations:
            expected = [row for entry in chunk for row in entry.rows.get(relation.template, ())]
            counts[relation.template] += len(expected)
            if different := _differing(expected, writing.read_rows(relation, number, keys)):
                example = f"{len(different)} rows differ from the fold, e.g. {different[0]}"
                broken.append(f"{relation.table(number)}: {example}")
    for relation in projection.all_relations:
        stored = writing.count_rows(relation, number)
        if stored != counts[relation.template] and not waiting:
            wanted = counts[relation.template]
            broken.append(f"{relation.table(number)} has {stored} rows, the fold has {wanted}")
    return checked, broken


def _differing(expected: list[projections.Row], stored: list[projections.Row]) -> list[str]:
    """Keys of rows that are missing, extra or not equal."""
    wanted, found = {_frozen(row) for row in expected}, {_frozen(row) for row in stored}
    return sorted({f"{row[0]}/{row[1]}" for row in wanted ^ found})


def _frozen(row: projections.Row) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)
