"""Rebuild a projection beside the live one and swap: readers see the old generation or the new one, never a mix."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from itertools import batched

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from apps.consumers import folding, generations, models, projections, runner, writing
from apps.kernel import errors
from apps.outbox import sequencer

CHUNK = 500
SWAP_ATTEMPTS = 60
SWEEP_ATTEMPTS = 10
SWAP_PAUSE_SECONDS = 0.5


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


def rebuild(
    projection: projections.Projection,
    *,
    accept_parked: bool = False,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Rebuilt:
    """Fold the log into a new generation, catch up, swap. On any failure the live generation is untouched.

    `on_progress` gets the number of aggregates written so far. Raises RebuildRunning, and unless `accept_parked`
    generations.SwapRefused when aggregates can't be folded that readers can see now.
    """
    with _one_at_a_time(projection):
        generations.sweep(projection)
        number, aggregates = _build(projection, on_progress)
        runner.advance(projection, number)
        if not accept_parked:
            _refuse_new_poison(projection, number)
        _swap(projection, number)
        _sweep_patiently(projection)
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


def _build(projection: projections.Projection, on_progress: Callable[[int], None]) -> tuple[int, int]:
    aggregates = 0
    with transaction.atomic():
        target = sequencer.head()
        number = generations.create(projection, state="catching_up", target_position=target)
        built = folding.build_all(
            projection,
            until=target,
            on_poison=lambda stream, error: runner.park(projection, number, stream, error=repr(error)),
        )
        for chunk in batched(built, CHUNK):
            writing.replace(projection, number, chunk, fresh=True)
            aggregates += len(chunk)
            on_progress(aggregates)
    return number, aggregates


def _refuse_new_poison(projection: projections.Projection, number: int) -> None:
    """A generation that lost aggregates readers see now stays in the dark; the next sweep removes it."""
    parked = models.Parked.objects.filter(consumer=projection.name, state="blocked").order_by("position")
    live = generations.live_number(projection)
    known = set(parked.filter(generation=live).values_list("tenant_id", "aggregate_type", "aggregate_id"))
    lost: dict[tuple[uuid.UUID, str, uuid.UUID], str] = {}
    for row in parked.filter(generation=number):
        key = (row.tenant_id, row.aggregate_type, row.aggregate_id)
        if key not in known:
            lost.setdefault(key, row.error)
    if lost:
        key, error = next(iter(lost.items()))
        first = f"{key[1]} {key[2]}: {error[:200]}"
        raise generations.SwapRefused(
            f"{projection.name}: {len(lost)} aggregates can't be folded, the first is {first}. "
            "The live generation stays; mend the projection, or accept them as parked."
        )


def _swap(projection: projections.Projection, number: int) -> None:
    """In a transaction that never waits long for a lock: who reads for minutes must not stop all other readers."""
    for _ in range(SWAP_ATTEMPTS):
        try:
            with transaction.atomic():
                # While both checkpoints are ours nobody gets ahead of the new generation.
                generations.lock_checkpoints(projection, [generations.live_number(projection), number])
                runner.advance(projection, number)
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '500ms'")
                generations.swap(projection, to=number)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            time.sleep(SWAP_PAUSE_SECONDS)
        else:
            return
    raise generations.SwapRefused(f"{projection.name}: long transactions are reading it; end them and rebuild again.")


def _sweep_patiently(projection: projections.Projection) -> None:
    """Old tables that somebody is still reading are left to the next rebuild."""
    for _ in range(SWEEP_ATTEMPTS):
        if generations.sweep(projection):
            return
        time.sleep(SWAP_PAUSE_SECONDS)
