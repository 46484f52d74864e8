"""Is a generation what it claims to be? Compared with another generation lane by lane, or with the fold of the log row
by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import batched, groupby
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from apps.consumers import folding, generations, models, parking, projections, runner, writing
from apps.events import envelope
from apps.outbox import log as event_log

ATTEMPTS = 50
CHUNK = 500
# The sum does not depend on the order of the rows: xor of their 64-bit hashes, and the count.
SUMS = "SELECT {lane}::int, count(*), bit_xor(hashtextextended(t::text, 0)) FROM {table} t GROUP BY 1"


class NeverEven(Exception):
    """The generations were not at one position at any look: others keep moving them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`problems` are complete sentences, empty when the rows are what the log gives."""

    aggregates: int
    problems: list[str]


def differing_lanes(projection: projections.Projection, one: int, other: int) -> list[int]:
    """The lanes in which the rows of two generations differ. Raises NeverEven.

    Both are brought to one position and read in one snapshot; as others may move them between the two, it tries again.
    """
    for _ in range(ATTEMPTS):
        with transaction.atomic():
            held = generations.lock_checkpoints(projection, [one, other])
            furthest = max(checkpoint.position for checkpoint in held)
            runner.advance(projection, one, until=furthest)
            runner.advance(projection, other, until=furthest)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            rows = models.Checkpoint.objects.filter(consumer=projection.name, generation__in=[one, other])
            if len(set(rows.values_list("position", flat=True))) > 1:
                continue
            differing: set[int] = set()
            for relation in projection.all_relations:
                sums, others = _sums(relation, one), _sums(relation, other)
                differing |= {lane for lane in sums.keys() | others.keys() if sums.get(lane) != others.get(lane)}
            return sorted(differing)
    raise NeverEven(f"{projection.name}: generations {one} and {other} were never at one position")


def compare_with_fold(
    projection: projections.Projection, number: int, *, lanes: Sequence[int] | None = None
) -> Comparison:
    """Every stored row against the fold of the log up to the checkpoints, byte for byte, in one snapshot.

    Of all lanes, or of some. Aggregates that are parked stand where they were parked and are left out.
    """
    problems: list[str] = []
    checked = 0
    with event_log.one_snapshot():
        waiting = {(key[0], key[2]) for key in parking.blocked(projection.name, number)}

        def complain(stream: Sequence[envelope.Event], error: str) -> None:
            first = stream[0]
            if (first.tenant_id, first.aggregate_id) not in waiting:
                problems.append(
                    f"{projection.name}: {first.aggregate_type} {first.aggregate_id} can't be folded: {error}"
                )

        counts = dict.fromkeys([relation.template for relation in projection.all_relations], 0)
        for low, high, position in _ranges(projection, number, lanes):
            built = folding.build_all(projection, until=position, lanes=(low, high), on_poison=complain)
            healthy = (entry for entry in built if (entry.tenant_id, entry.id) not in waiting)
            for chunk in batched(healthy, CHUNK):
                checked += len(chunk)
                keys = [(entry.tenant_id, entry.id) for entry in chunk]
                for relation in projection.all_relations:
                    expected = [row for entry in chunk for row in entry.rows.get(relation.template, ())]
                    counts[relation.template] += len(expected)
                    if different := _differing(expected, writing.read_rows(relation, number, keys)):
                        example = f"{len(different)} rows differ from the fold, e.g. {different[0]}"
                        problems.append(f"{relation.table(number)}: {example}")
        if lanes is None and not waiting:
            for relation in projection.all_relations:
                stored, wanted = writing.count_rows(relation, number), counts[relation.template]
                if stored != wanted:
                    problems.append(f"{relation.table(number)} has {stored} rows, the fold has {wanted}")
    return Comparison(checked, problems)


def _ranges(projection: projections.Projection, number: int, lanes: Sequence[int] | None) -> list[tuple[int, int, int]]:
    """Runs of lanes that share a checkpoint: (first, last, its position)."""
    checkpoints = models.Checkpoint.objects.filter(consumer=projection.name, generation=number).order_by("lane_low")
    found = []
    for checkpoint in checkpoints:
        own = range(checkpoint.lane_low, checkpoint.lane_high + 1)
        wanted = own if lanes is None else sorted(set(own) & set(lanes))
        for _, run in groupby(enumerate(wanted), key=lambda pair: pair[1] - pair[0]):
            members = [lane for _, lane in run]
            found.append((members[0], members[-1], int(checkpoint.position)))
    return found


def _sums(relation: projections.Relation, number: int) -> dict[int, tuple[int, int]]:
    query = sql.SQL(SUMS).format(lane=writing.LANE, table=sql.Identifier(relation.table(number)))
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {lane: (count, total) for lane, count, total in cursor.fetchall()}


def _differing(expected: list[projections.Row], stored: list[projections.Row]) -> list[str]:
    """Keys of rows that are missing, extra or not equal."""
    wanted, found = {_frozen(row) for row in expected}, {_frozen(row) for row in stored}
    return sorted({f"{row[0]}/{row[1]}" for row in wanted ^ found})


def _frozen(row: projections.Row) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)
