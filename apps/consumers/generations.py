"""Generations: the tables a projection's rows live in, the checkpoints that bring them forward, and the views that
point readers at the live ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from apps.consumers import models, projections
from apps.events import envelope
from apps.kernel import errors

UNFINISHED = ("building", "catching_up", "ready")


class SwapRefused(errors.Conflict):
    """The generation may not become the live one."""

    code = "swap_refused"


def ensure_live(projection: projections.Projection) -> None:
    """Make generation 1 of a projection that has none. Idempotent; does nothing before its templates are migrated."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"generation:{projection.name}"])
        for relation in projection.all_relations:
            cursor.execute("SELECT to_regclass(%s)", [relation.template])
            if cursor.fetchone()[0] is None:
                return
        models.Consumer.objects.get_or_create(
            name=projection.name, defaults={"kind": "projection", "code_version": projection.version}
        )
        if models.Generation.objects.filter(projection=projection.name, state="live").exists():
            return
        generation = create(projection, state="live", target_position=0)
        finish(projection, generation)
        _in_database("show", projection, generation)


def create(
    projection: projections.Projection,
    *,
    state: str,
    target_position: int,
    shards: int = 1,
    source: str = "log",
    is_wanted: bool = False,
) -> int:
    """A new generation with empty tables without indexes, in the caller's transaction; returns its number.

    Its checkpoints stand at `target_position`, up to which it is to be built, and share the lanes evenly.
    """
    newest = models.Generation.objects.filter(projection=projection.name).order_by("-number").first()
    number = newest.number + 1 if newest else 1
    _in_database("make", projection, number)
    models.Generation.objects.create(
        projection=projection.name,
        number=number,
        state=state,
        source=source,
        code_version=projection.version,
        target_position=target_position,
        is_wanted=is_wanted,
        started_at=timezone.now(),
    )
    models.Checkpoint.objects.bulk_create(
        models.Checkpoint(
            consumer=projection.name,
            generation=number,
            shard=shard,
            lane_low=low,
            lane_high=high,
            position=target_position,
            next_lane=low if state == "building" else None,
        )
        for shard, (low, high) in enumerate(lane_ranges(shards))
    )
    return number


def reshard(projection: projections.Projection, number: int, shards: int) -> None:
    """Divide the lanes of a generation anew, in the caller's transaction.

    A new shard starts where the slowest of those it takes over stood; what it reads again is passed over by version.
    """
    old = lock_checkpoints(projection, [number])
    if [(row.lane_low, row.lane_high) for row in old] == lane_ranges(shards):
        return
    rows = [
        models.Checkpoint(
            consumer=projection.name,
            generation=number,
            shard=shard,
            lane_low=low,
            lane_high=high,
            position=min(row.position for row in old if row.lane_low <= high and low <= row.lane_high),
        )
        for shard, (low, high) in enumerate(lane_ranges(shards))
    ]
    models.Checkpoint.objects.filter(consumer=projection.name, generation=number).delete()
    models.Checkpoint.objects.bulk_create(rows)


def lane_ranges(shards: int) -> list[tuple[int, int]]:
    """The lanes 0..255 in `shards` even parts, each (first, last)."""
    edges = [envelope.LANES * part // shards for part in range(shards + 1)]
    return [(low, high - 1) for low, high in pairwise(edges)]


def finish(projection: projections.Projection, number: int) -> None:
    """The indexes of the templates, on the full tables, row policies and fresh statistics. In the caller's transaction.

    Until then a generation can be written, by COPY, and not be read.
    """
    _in_database("finish", projection, number)


def live_number(projection: projections.Projection) -> int:
    """The generation readers see. Raises Generation.DoesNotExist before the first migrate."""
    return int(models.Generation.objects.get(projection=projection.name, state="live").number)


def find_standby(projection: projections.Projection) -> models.Generation | None:
    """The generation that was live before, if it still follows."""
    return models.Generation.objects.filter(projection=projection.name, state="standby").order_by("-number").first()


def find_unfinished(projection: projections.Projection) -> models.Generation | None:
    """The newest generation that is on its way to become live."""
    rows = models.Generation.objects.filter(projection=projection.name, state__in=UNFINISHED)
    return rows.order_by("-number").first()


def swap(projection: projections.Projection, *, to: int) -> None:
    """Point readers at generation `to`, in the caller's transaction; the old one stands by. Raises SwapRefused when
    it is behind."""
    old = models.Generation.objects.select_for_update().get(projection=projection.name, state="live")
    positions: dict[int, int] = {}
    for checkpoint in lock_checkpoints(projection, [old.number, to]):
        reached = positions.get(checkpoint.generation, checkpoint.position)
        # A generation is as far as its slowest shard; what it has to reach is the fastest of the live one.
        slower = checkpoint.generation == to
        positions[checkpoint.generation] = (min if slower else max)(reached, checkpoint.position)
    if positions[to] < positions[old.number]:
        raise SwapRefused(
            f"{projection.name}: generation {to} is at {positions[to]}, behind the live one at {positions[old.number]}."
        )
    now = timezone.now()
    rows = models.Generation.objects.filter(projection=projection.name)
    rows.filter(number=old.number).update(state="standby", finished_at=now)
    rows.filter(number=to).update(state="live", finished_at=now, is_wanted=False)
    models.Consumer.objects.filter(name=projection.name).update(code_version=projection.version)
    _in_database("show", projection, to)


def lock_checkpoints(projection: projections.Projection, numbers: Sequence[int]) -> list[models.Checkpoint]:
    """The checkpoints of these generations, held until the transaction ends; runners wait or pass by."""
    rows = models.Checkpoint.objects.filter(consumer=projection.name, generation__in=numbers)
    return list(rows.select_for_update().order_by("generation", "shard"))


@contextmanager
def in_use(projection: projections.Projection) -> Iterator[None]:
    """No generation of the projection is dropped within the block, in whatever process."""
    key = f"drop:{projection.name}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(hashtext(%s))", [key])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_shared(hashtext(%s))", [key])


def retire(projection: projections.Projection, *states: str, problem: str = "") -> None:
    """Give up the generations in these states; the next sweep drops their tables."""
    rows = models.Generation.objects.filter(projection=projection.name, state__in=states)
    rows.update(state="retired", problem=problem, is_wanted=False)


def retire_old_standbys(projection: projections.Projection) -> None:
    """The time to roll back is over, or a newer generation took its place: only the newest standby may stay."""
    rows = models.Generation.objects.filter(projection=projection.name, state="standby").order_by("-finished_at")
    ends = timezone.now() - timedelta(hours=settings.EVENTS_ROLLBACK_HOURS)
    for rank, generation in enumerate(rows):
        if rank > 0 or generation.finished_at is None or generation.finished_at <= ends:
            rows.filter(number=generation.number).update(state="retired")


def sweep(projection: projections.Projection) -> bool:
    """Drop the tables of retired generations. False when somebody still uses them; ask again."""
    retired = models.Generation.objects.filter(projection=projection.name, state="retired")
    numbers = list(retired.values_list("number", flat=True))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [f"drop:{projection.name}"])
            if not cursor.fetchone()[0]:
                return False
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            models.Checkpoint.objects.filter(consumer=projection.name, generation__in=numbers).delete()
            parked = models.Parked.objects.filter(consumer=projection.name, generation__in=numbers)
            parked.exclude(state="skipped").delete()
            for number in numbers:
                _in_database("drop", projection, number)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return False
        raise
    return True


def _in_database(step: str, projection: projections.Projection, number: int) -> None:
    """Make, finish, show or drop the tables of a generation: they belong to a role nobody logs in as."""
    with connection.cursor() as cursor:
        for relation in projection.all_relations:
            cursor.execute(f"SELECT consumers_{step}_generation(%s, %s)", [relation.template, number])
