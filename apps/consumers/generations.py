"""Generations: the tables a projection's rows live in, and the views that point readers at the live ones."""

from __future__ import annotations

from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from apps.consumers import models, projections


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
    """Point readers at generation `to`, which must be as far as the live one, and retire the old one's tables."""
    with transaction.atomic():
        old = models.Generation.objects.select_for_update().get(projection=projection.name, state="live")
        models.Generation.objects.filter(projection=projection.name, number=old.number).update(
            state="retired", finished_at=timezone.now()
        )
        models.Generation.objects.filter(projection=projection.name, number=to).update(
            state="live", finished_at=timezone.now()
        )
        models.Consumer.objects.filter(name=projection.name).update(code_version=projection.version)
        _point_views(projection, to)
        discard(projection, old.number)


def discard(projection: projections.Projection, number: int) -> None:
    """Drop the tables, the checkpoint and the parked events of a generation no reader sees."""
    with connection.cursor() as cursor:
        for relation in projection.all_relations:
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(relation.table(number))))
    models.Checkpoint.objects.filter(consumer=projection.name, generation=number).delete()
    models.Parked.objects.filter(consumer=projection.name, generation=number).delete()


def _point_views(projection: projections.Projection, number: int) -> None:
    """Replaced, not altered: a later template may have other columns. Readers see the old or the new, never a mix."""
    with connection.cursor() as cursor:
        for relation in projection.all_relations:
            view, table = sql.Identifier(relation.live), sql.Identifier(relation.table(number))
            cursor.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
            cursor.execute(
                sql.SQL("CREATE VIEW {} WITH (security_invoker = true) AS SELECT * FROM {}").format(view, table)
            )
