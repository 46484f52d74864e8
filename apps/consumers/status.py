"""What operators ask first: how long is the log, who reads it, how far behind are they, does everything add up."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from django.db import connection
from django.db.models import Count, Min, QuerySet, Sum
from django.utils import timezone

from apps.consumers import comparing, effects, generations, models, projections
from apps.events import envelope
from apps.kernel import isolation
from apps.outbox import archive_files, archived, log, partitions, relay, sequencer, verifying

BELOW_FLOOR = """
SELECT count(*) FROM consumers_effect e JOIN consumers_consumer c ON c.name = e.consumer
WHERE c.name = %s AND e.position <= c.effect_floor
"""
OF_HISTORY = """
SELECT count(*) FROM consumers_effect e JOIN outbox_position p USING (position) JOIN outbox_log l ON l.id = p.id
WHERE e.consumer = %s AND l.meta ? 'imported'
"""
EFFECT_STATES = ("pending", "done", "failed")


@isolation.all_tenants(reason="look after events")
def status() -> dict[str, Any]:
    """Head, epoch, events without a position, rows without a partition, the relay; each consumer with its position, lag
    and parked events; each generation.

    A consumer's position is that of its slowest shard, in the live generation.
    """
    head = sequencer.head()
    live = dict(models.Generation.objects.filter(state="live").values_list("projection", "number"))
    consumers = []
    for consumer in models.Consumer.objects.order_by("name"):
        generation = live.get(consumer.name, 1)
        shards = models.Checkpoint.objects.filter(consumer=consumer.name, generation=generation)
        reached = shards.aggregate(slowest=Min("position"), shards=Count("*"))
        position = reached["slowest"] or 0
        parked = models.Parked.objects.filter(consumer=consumer.name, generation=generation, state="blocked")
        consumers.append(
            {
                "name": consumer.name,
                "kind": consumer.kind,
                "status": consumer.status,
                "reason": consumer.reason,
                "generation": generation,
                "shards": reached["shards"],
                "position": position,
                "lag_events": head - position,
                "lag_seconds": _lag_seconds(position, head),
                "parked": parked.count(),
                "needs_rebuild": _needs_rebuild(consumer),
            }
            | (_effects_of(consumer) if consumer.kind == "effect" else {})
        )
    return {
        "head": head,
        "epoch": sequencer.epoch(),
        "is_foreign": sequencer.is_foreign(),
        "cold_until": archived.cold_until(),
        "strays": partitions.count_strays(),
        "unpositioned": sequencer.count_waiting(),
        "relay": {"position": relay.position(), "lag_events": head - relay.position()},
        "consumers": consumers,
        "generations": [_describe(generation) for generation in _generations()],
    }


def _generations() -> QuerySet[models.Generation]:
    return models.Generation.objects.exclude(state="retired").order_by("projection", "number")


def _describe(generation: models.Generation) -> dict[str, Any]:
    shards = models.Checkpoint.objects.filter(consumer=generation.projection, generation=generation.number)
    reached = shards.aggregate(position=Min("position"), folded=Sum("folded"))
    lanes = sum(
        (shard.lane_high - shard.lane_low + 1) if shard.next_lane is None else shard.next_lane - shard.lane_low
        for shard in shards
    )
    return {
        "projection": generation.projection,
        "number": generation.number,
        "state": generation.state,
        "code_version": generation.code_version,
        "source": generation.source,
        "position": reached["position"] or 0,
        "target": generation.target_position,
        "built_share": round(lanes / envelope.LANES, 3),
        "folded": reached["folded"] or 0,
        "is_wanted": generation.is_wanted,
        "problem": generation.problem,
    }


def _effects_of(consumer: models.Consumer) -> dict[str, Any]:
    counted = models.Effect.objects.filter(consumer=consumer.name).order_by().values("state").annotate(n=Count("*"))
    by_state = {row["state"]: row["n"] for row in counted}
    return {"effect_floor": consumer.effect_floor, "effects": {s: by_state.get(s, 0) for s in EFFECT_STATES}}


@isolation.all_tenants(reason="look after events")
def verify(*, wait_seconds: float = 0, report: Callable[[str], None] = lambda line: None) -> list[str]:
    """Every broken promise found, empty when all hold; `report` is told what is being checked.

    Checks: the log, as `verifying` has it; consumers that are not retired have read it and nothing of them is parked;
    every stored row equals the fold of the log, byte for byte; no effect was planned at or below its floor or for
    history that was brought in. What was committed before the call is given `wait_seconds` to be worked off, so that
    running writers are no false alarm.
    """
    with ExitStack() as stack:
        for projection in projections.all_projections():
            stack.enter_context(generations.in_use(projection))
        newest_id, head = _settle(wait_seconds)
        found = verifying.verify_log(newest_id, report=report)
        for projection in projections.all_projections():
            number = generations.live_number(projection)
            found += _verify_reader(projection.name, number, head)
            try:
                comparison = comparing.compare_with_fold(projection, number)
            except archive_files.ArchiveDamaged:  # noqa: S112 - told above; there is nothing to compare with
                continue
            report(f"{projection.name}: {comparison.aggregates:,} aggregates compared with their fold")
            found += comparison.problems
        for effect in effects.all_effects():
            found += _verify_reader(effect.name, 1, head)
            with connection.cursor() as cursor:
                cursor.execute(BELOW_FLOOR, [effect.name])
                if below := cursor.fetchone()[0]:
                    found.append(f"{effect.name} has {below} effects planned at or below its floor")
                cursor.execute(OF_HISTORY, [effect.name])
                if told := cursor.fetchone()[0]:
                    found.append(f"{effect.name} has {told} effects planned for history that was brought in")
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
    """The position of the active consumer that is furthest behind, `head` without any."""
    live = dict(models.Generation.objects.filter(state="live").values_list("projection", "number"))
    active = models.Consumer.objects.filter(status="active").values_list("name", flat=True)
    positions = [
        checkpoint.position
        for checkpoint in models.Checkpoint.objects.filter(consumer__in=active)
        if checkpoint.generation == live.get(checkpoint.consumer, 1)
    ]
    return min(positions, default=head)


def _lag_seconds(position: int, head: int) -> float:
    """Age of the oldest event the consumer has not covered, in seconds; 0 when it has all."""
    if position >= head:
        return 0.0
    event = log.find_at(position + 1)
    return round((timezone.now() - event.recorded_at).total_seconds(), 3) if event else 0.0


def _needs_rebuild(consumer: models.Consumer) -> bool:
    projection = projections.find(consumer.name)
    return projection is not None and consumer.code_version != projection.version


def _verify_reader(consumer: str, generation: int, head: int) -> list[str]:
    known = models.Consumer.objects.filter(name=consumer).first()
    if known and known.status == "retired":
        return []
    found = []
    if known and known.status != "active":
        found.append(f"{consumer} is {known.status}: {known.reason or 'no reason was given'}")
    shards = models.Checkpoint.objects.filter(consumer=consumer, generation=generation)
    position = min(shards.values_list("position", flat=True), default=0)
    if position < head:
        found.append(f"{consumer} is at {position} of {head}; let the workers drain, then verify again")
    parked = models.Parked.objects.filter(consumer=consumer, generation=generation, state="blocked")
    if count := parked.count():
        found.append(f"{consumer} has {count} parked events")
    return found
