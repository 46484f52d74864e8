"""The runner: read a window, apply it, move the checkpoint, in one transaction; for projections and effects alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import connection, transaction

from apps.consumers import effects, folding, models, parking, projections, writing
from apps.events import envelope
from apps.kernel import failpoints, isolation
from apps.outbox import history, sequencer
from apps.outbox import log as event_log

log = structlog.get_logger(__name__)

# The row lock is the lease: who finds it taken passes by, and it ends with the transaction or the process.
LOCK = """
SELECT position, lane_low, lane_high FROM consumers_checkpoint
WHERE consumer = %s AND generation = %s AND shard = %s FOR UPDATE SKIP LOCKED
"""
MOVE = """
UPDATE consumers_checkpoint SET position = %(to)s, updated_at = clock_timestamp()
WHERE consumer = %(consumer)s AND generation = %(generation)s AND shard = %(shard)s AND position = %(before)s
"""
FOLLOWING = ("live", "catching_up", "ready", "standby")


class LostCheckpoint(RuntimeError):
    """Another runner moved the checkpoint inside our transaction; everything of ours is rolled back."""


@dataclass(frozen=True, slots=True)
class Run:
    """One checkpoint to bring forward."""

    consumer: str
    generation: int
    shard: int


@isolation.all_tenants(reason="consume events")
def advance_all(*, deadline: float | None = None) -> int:
    """Bring every active consumer up to the head of the log, or until `deadline` (time.monotonic).

    They take turns, a window each, so that none starves another; every round asks anew who takes part, so that a
    generation swapped in meanwhile, or a consumer another caller was just at, is not left behind while the others chase
    a head that moves. Returns how many positions were covered. Any number of callers may run at once. A consumer that
    fails is logged and does not hold up the others; the error is raised at the end.
    """
    covered, moved = 0, True
    failed: dict[Run, Exception] = {}
    while moved and (deadline is None or time.monotonic() < deadline):
        moved = False
        for run in _runs():
            if run in failed:
                continue
            try:
                step = advance_window(run)
            except Exception as error:
                log.exception("consumers.failed", consumer=run.consumer, generation=run.generation)
                failed[run] = error
            else:
                covered += step
                moved = moved or step > 0
    for failure in failed.values():
        raise failure
    return covered


def advance(projection: projections.Projection, generation: int, *, until: int) -> None:
    """Bring one generation up to a position, no further: a head that runs away is not chased.

    Shards others are at are left to them.
    """
    for shard in models.Checkpoint.objects.filter(consumer=projection.name, generation=generation).order_by("shard"):
        while advance_window(Run(projection.name, generation, shard.shard), until=until):
            pass


def advance_window(run: Run, *, until: int | None = None) -> int:
    """One window of one checkpoint, at most up to `until`, in one transaction; returns how many positions it covered.

    When failures look systemic nothing is kept and the consumer is stopped; 0 is returned.
    """
    try:
        return _advance_window(run, until)
    except parking.Systemic as error:
        _trip(run, str(error))
        return 0


def position_of(run: Run) -> int:
    """How far the checkpoint is."""
    return int(
        models.Checkpoint.objects.values_list("position", flat=True).get(
            consumer=run.consumer, generation=run.generation, shard=run.shard
        )
    )


def _runs() -> list[Run]:
    """What this code can bring forward: declared, not paused, following; a roll-back target only at our version."""
    active = set(models.Consumer.objects.filter(status="active").values_list("name", flat=True))
    generations = {
        (entry.projection, entry.number): entry for entry in models.Generation.objects.filter(state__in=FOLLOWING)
    }
    runs = []
    for checkpoint in models.Checkpoint.objects.order_by("consumer", "generation", "shard"):
        name = checkpoint.consumer
        if name not in active:
            continue
        projection, generation = projections.find(name), generations.get((name, checkpoint.generation))
        ours = (
            generation and projection and (generation.state == "live" or generation.code_version == projection.version)
        )
        if ours or effects.find(name):
            runs.append(Run(name, checkpoint.generation, checkpoint.shard))
    return runs


def _advance_window(run: Run, limit: int | None) -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOCK, [run.consumer, run.generation, run.shard])
            row = cursor.fetchone()
        if row is None:
            return 0
        position, lane_low, lane_high = row
        until = min(sequencer.head() if limit is None else limit, position + settings.EVENTS_BATCH_SIZE)
        if until <= position:
            return 0
        projection, effect = projections.find(run.consumer), effects.find(run.consumer)
        types = projection.types if projection else effect.types if effect else ()
        events = event_log.read_window(after=position, until=until, types=types, lane_low=lane_low, lane_high=lane_high)
        passed_over = parking.skipped(run.consumer)
        kept = [event for event in events if event.position not in passed_over]
        if projection:
            _apply(projection, run.generation, kept)
        elif effect:
            history_positions = history.imported_among([event.position for event in kept])
            _plan(effect, run.generation, [event for event in kept if event.position not in history_positions])
        failpoints.reach("runner.after_apply_before_move")
        _move(run, position, until)
        failpoints.reach("runner.after_move_before_commit")
        return int(until - position)


def _apply(projection: projections.Projection, generation: int, events: Sequence[envelope.Event]) -> None:
    streams, failures = _take(projection.name, generation, events)
    before = writing.load(projection, generation, [(key[0], key[2]) for key in streams])
    built = []
    for key, stream in streams.items():
        outcome = folding.build(projection, before.get((key[0], key[2])), stream)
        if outcome.rendered:
            built.append(outcome.rendered)
        if outcome.error:
            failures.append(parking.Failure(stream[outcome.taken :], outcome.error))
    refused = writing.replace_each(projection, generation, built, fresh=False)
    failures += [
        parking.Failure(stream, refused[key[0], key[2]])
        for key, stream in streams.items()
        if (key[0], key[2]) in refused
    ]
    parking.park_all(projection.name, generation, failures, touched=len(streams))


def _plan(effect: effects.Effect, generation: int, events: Sequence[envelope.Event]) -> None:
    streams, failures = _take(effect.name, generation, events)
    planned: list[tuple[envelope.Event, effects.Planned]] = []
    for stream in streams.values():
        done, failure = effects.plan_stream(effect, stream)
        planned += done
        if failure:
            failures.append(failure)
    effects.write(effect, planned, is_live=True)
    parking.park_all(effect.name, generation, failures, touched=len(streams))


def _take(
    consumer: str, generation: int, events: Sequence[envelope.Event]
) -> tuple[dict[parking.Key, list[envelope.Event]], list[parking.Failure]]:
    """The events by aggregate, and apart from them those of aggregates that are parked already."""
    waiting = parking.blocked(consumer, generation)
    streams: dict[parking.Key, list[envelope.Event]] = {}
    for event in events:
        streams.setdefault(event_log.key_of(event), []).append(event)
    followers = [parking.Failure(streams.pop(key), parking.FOLLOWS) for key in list(streams) if key in waiting]
    return streams, followers


def _trip(run: Run, reason: str) -> None:
    """Stop what looks broken: the consumer, or just the generation when readers do not see it."""
    log.error("consumers.tripped", consumer=run.consumer, generation=run.generation, reason=reason)
    generation = models.Generation.objects.filter(projection=run.consumer, number=run.generation).exclude(state="live")
    if not generation.update(state="retired", problem=reason):
        models.Consumer.objects.filter(name=run.consumer, status="active").update(status="tripped", reason=reason)


def _move(run: Run, before: int, to: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            MOVE,
            {"consumer": run.consumer, "generation": run.generation, "shard": run.shard, "before": before, "to": to},
        )
        if cursor.rowcount != 1:
            raise LostCheckpoint(f"{run.consumer} generation {run.generation} is no longer at {before}")
