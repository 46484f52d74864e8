"""Rebuild a projection beside the live one and swap: readers see the old generation or the new one, never a mix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import batched

from django.db import connection, transaction

from apps.consumers import folding, generations, models, projections, runner, writing
from apps.kernel import errors
from apps.outbox import sequencer

CHUNK = 500


class RebuildRunning(errors.Conflict):
    """Another process is rebuilding this projection."""

    code = "rebuild_running"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`position` is how far the fold reached, `aggregates` how many were written to generation `generation`."""

    projection: str
    generation: int
    aggregates: int
    position: int


def rebuild(projection: projections.Projection, *, on_progress: Callable[[int], None] = lambda count: None) -> Rebuilt:
    """Fold the log into a new generation, catch up, swap. On any failure the live generation is untouched.

    `on_progress` gets the number of aggregates written so far. Raises RebuildRunning.
    """
    with _one_at_a_time(projection):
        _discard_unfinished(projection)
        number, aggregates = _build(projection, on_progress)
        _catch_up_and_swap(projection, number)
        position = models.Checkpoint.objects.get(consumer=projection.name, generation=number).position
        return Rebuilt(projection.name, number, aggregates, position)


class _one_at_a_time:  # noqa: N801 - reads as the statement it is
    """A session lock: it ends with the connection, so a killed rebuild blocks nobody."""

    def __init__(self, projection: projections.Projection) -> None:
        self.projection = projection

    def __enter__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [f"rebuild:{self.projection.name}"])
            if not cursor.fetchone()[0]:
                raise RebuildRunning(f"{self.projection.name} is being rebuilt by another process; wait for it.")

    def __exit__(self, *_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [f"rebuild:{self.projection.name}"])


def _discard_unfinished(projection: projections.Projection) -> None:
    """A killed rebuild leaves a generation nobody reads."""
    leftovers = models.Generation.objects.filter(
        projection=projection.name, state__in=["building", "catching_up", "ready"]
    )
    for leftover in leftovers:
        generations.discard(projection, leftover.number)
        models.Generation.objects.filter(projection=projection.name, number=leftover.number).update(state="retired")


def _build(projection: projections.Projection, on_progress: Callable[[int], None]) -> tuple[int, int]:
    aggregates = 0
    with transaction.atomic():
        target = sequencer.head()
        number = generations.create(projection, state="catching_up", target_position=target)
        folded = folding.fold_all(
            projection,
            until=target,
            on_poison=lambda stream, error: runner.park(projection, number, stream, error=repr(error)),
        )
        for chunk in batched(folded, CHUNK):
            writing.replace(projection, number, chunk, fresh=True)
            aggregates += len(chunk)
            on_progress(aggregates)
    return number, aggregates


def _catch_up_and_swap(projection: projections.Projection, number: int) -> None:
    runner.advance(projection, number)
    with transaction.atomic():
        # While the live checkpoint is locked nothing can get ahead of the new generation.
        list(
            models.Checkpoint.objects.select_for_update().filter(
                consumer=projection.name, generation=generations.live_number(projection)
            )
        )
        runner.advance(projection, number)
        generations.swap(projection, to=number)
