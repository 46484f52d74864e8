"""Generations: the tables a projection's rows live in, and the views that point readers at the live ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg import sql
from psycopg.errors import LockNotAvailable

from apps.consumers import models, projections
from apps.kernel import errors


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
        _point_views(projection, generation)


def create(projection: projections.Projection, *, state: str, target_position: int) -> int:
    """A new, empty generation with its tables and its checkpoint at `target_position`; returns its number."""
    newest = models.Generation.objects.filter(projection=projection.name).order_by("-number").first()
    number = newest.number + 1 if newest else 1
    with connection.cursor() as cursor:
        for relation in projection.all_relations:
            # Debris of a flushed database: a table whose generation nobody knows.
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(relation.table(number))))
            cursor.execute(
                sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(
                    sql.Identifier(relation.table(number)), sql.Identifier(relation.template)
                )
            )
    models.Generation.objects.create(
        projection=projection.name,
        number=number,
        state=state,
        code_version=projection.version,
        target_position=target_position,
        started_at=timezone.now(),
    )
    models.Checkpoint.objects.create(consumer=projection.name, generation=number, position=target_position)
    return number


def live_number(projection: projections.Projection) -> int:
    """The generation readers see. Raises Generation.DoesNotExist before the first migrate."""
    return int(models.Generation.objects.get(projection=projection.name, state="live").number)


def swap(projection: projections.Projection, *, to: int) -> None:
    """Point readers at generation `to`, in the caller's transaction. Raises SwapRefused when it is behind."""
    old = models.Generation.objects.select_for_update().get(projection=projection.name, state="live")
    positions = {
        checkpoint.generation: checkpoint.position for checkpoint in lock_checkpoints(projection, [old.number, to])
    }
    if positions[to] < positions[old.number]:
        raise SwapRefused(
            f"{projection.name}: generation {to} is at {positions[to]}, behind the live one at {positions[old.number]}."
        )
    now = timezone.now()
    rows = models.Generation.objects.filter(projection=projection.name)
    rows.filter(number=old.number).update(state="retired", finished_at=now)
    rows.filter(number=to).update(state="live", finished_at=now)
    models.Consumer.objects.filter(name=projection.name).update(code_version=projection.version)
    _point_views(projection, to)


def lock_checkpoints(projection: projections.Projection, numbers: list[int]) -> list[models.Checkpoint]:
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


def sweep(projection: projections.Projection) -> bool:
    """Drop what no reader sees: retired and unfinished generations. False when somebody still uses them; ask again."""
    unused = models.Generation.objects.filter(projection=projection.name).exclude(state="live")
    numbers = list(unused.values_list("number", flat=True))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [f"drop:{projection.name}"])
            if not cursor.fetchone()[0]:
                return False
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            models.Checkpoint.objects.filter(consumer=projection.name, generation__in=numbers).delete()
            models.Parked.objects.filter(consumer=projection.name, generation__in=numbers).delete()
            unused.update(state="retired")
            for number in numbers:
                for relation in projection.all_relations:
                    table = sql.Identifier(relation.table(number))
                    cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return False
        raise
    return True


def _point_views(projection: projections.Projection, number: int) -> None:
    """Replaced, not altered: a later template may have other columns. Readers see the old or the new, never a mix."""
    with connection.cursor() as cursor:
        for relation in projection.all_relations:
            view, table = sql.Identifier(relation.live), sql.Identifier(relation.table(number))
            cursor.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
            cursor.execute(
                sql.SQL("CREATE VIEW {} WITH (security_invoker = true) AS SELECT * FROM {}").format(view, table)
            )
