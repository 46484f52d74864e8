"""Building single aggregates anew in the generation readers see: after a repair, after damage, or because of a replay.

Nobody waits but the runner of the lanes in hand, for one step; nothing is ever told to the outside.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from itertools import batched
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from apps.consumers import folding, models, parking, projections, writing
from apps.events import envelope

LANES_PER_STEP = 16


def heal_tenant(
    projection: projections.Projection,
    generation: int,
    tenant_id: uuid.UUID,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Every aggregate of a tenant from its own events; what the log does not know is gone. Returns how many.

    `on_progress` gets lanes done and lanes in all. Each step is a transaction: it may be killed and repeated.
    """
    healed = 0
    for checkpoint in _shards(projection, generation):
        lanes = range(checkpoint.lane_low, checkpoint.lane_high + 1)
        for part in batched(lanes, LANES_PER_STEP):
            healed += _heal(projection, generation, checkpoint.shard, (part[0], part[-1]), tenant_id, None)
            on_progress(part[-1] + 1, envelope.LANES)
    return healed


def heal_aggregates(
    projection: projections.Projection, generation: int, keys: Sequence[tuple[uuid.UUID, uuid.UUID]]
) -> int:
    """These aggregates (tenant_id, id) from their own events, whole; those that fold again are no longer parked.

    Returns how many have events.
    """
    healed = 0
    for checkpoint in _shards(projection, generation):
        by_tenant: dict[uuid.UUID, list[uuid.UUID]] = {}
        for tenant_id, aggregate_id in keys:
            if checkpoint.lane_low <= envelope.lane_of(tenant_id, aggregate_id) <= checkpoint.lane_high:
                by_tenant.setdefault(tenant_id, []).append(aggregate_id)
        lanes = (int(checkpoint.lane_low), int(checkpoint.lane_high))
        for tenant_id, own in by_tenant.items():
            healed += _heal(projection, generation, checkpoint.shard, lanes, tenant_id, own)
    return healed


def is_known(tenant_id: uuid.UUID) -> bool:
    """Whether the log has an event of the tenant."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM outbox_stream WHERE tenant_id = %s)", [tenant_id])
        return bool(cursor.fetchone()[0])


def follows(projection: projections.Projection, tenant_id: uuid.UUID, aggregate_id: uuid.UUID) -> bool:
    """Whether the log has an event of the aggregate as one of a type the projection follows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM outbox_stream"
            " WHERE tenant_id = %s AND aggregate_type = ANY(%s) AND aggregate_id = %s)",
            [tenant_id, list(projection.aggregate_types), aggregate_id],
        )
        return bool(cursor.fetchone()[0])


def _shards(projection: projections.Projection, generation: int) -> list[models.Checkpoint]:
    rows = models.Checkpoint.objects.filter(consumer=projection.name, generation=generation)
    return list(rows.order_by("shard"))


def _heal(
    projection: projections.Projection,
    generation: int,
    shard: int,
    lanes: tuple[int, int],
    tenant_id: uuid.UUID,
    aggregate_ids: Sequence[uuid.UUID] | None,
) -> int:
    with transaction.atomic():
        checkpoint = models.Checkpoint.objects.select_for_update().get(
            consumer=projection.name, generation=generation, shard=shard
        )
        _clear(projection, generation, lanes, tenant_id, aggregate_ids)
        built = list(
            folding.build_all(
                projection,
                until=checkpoint.position,
                lanes=lanes,
                tenant_id=tenant_id,
                aggregate_ids=aggregate_ids,
                on_poison=lambda stream, error: parking.park(
                    projection.name, generation, parking.Failure(stream, error)
                ),
            )
        )
        writing.replace(projection, generation, built, fresh=False)
        return len(built)


def _clear(
    projection: projections.Projection,
    generation: int,
    lanes: tuple[int, int],
    tenant_id: uuid.UUID,
    aggregate_ids: Sequence[uuid.UUID] | None,
) -> None:
    chosen = sql.SQL(
        "tenant_id = %(tenant)s AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s)) AND {} BETWEEN %(low)s AND %(high)s"
    ).format(writing.LANE)
    ids = None if aggregate_ids is None else list(aggregate_ids)
    parameters: dict[str, Any] = {"tenant": tenant_id, "ids": ids, "low": lanes[0], "high": lanes[1]}
    with connection.cursor() as cursor:
        for relation in projection.all_relations:
            table = sql.Identifier(relation.table(generation))
            cursor.execute(sql.SQL("DELETE FROM {} WHERE {}").format(table, chosen), parameters)
    waiting = models.Parked.objects.filter(
        consumer=projection.name, generation=generation, state="blocked", tenant_id=tenant_id
    )
    if aggregate_ids is not None:
        waiting = waiting.filter(aggregate_id__in=aggregate_ids)
    for row in waiting:
        if lanes[0] <= envelope.lane_of(row.tenant_id, row.aggregate_id) <= lanes[1]:
            row.delete()
