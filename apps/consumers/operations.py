"""What people do to running consumers: each is recorded with who did it and why, in the transaction that does it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated, Protocol

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.consumers import effects, generations, healing, models, parking, projections, rebuild, runner
from apps.kernel import context, errors, validation, wording
from apps.outbox import log

Reason = Annotated[str, validation.Prose(500)]


class UnknownConsumer(errors.NotFound):
    """No projection or effect of that name is declared."""

    code = "unknown_consumer"


class NotParked(errors.NotFound):
    """Nothing is parked there."""

    code = "not_parked"


class ReasonRequired(errors.ValidationFailed):
    """What changes the course of events is done for a reason that others can read later."""

    code = "reason_required"


class Listener(Protocol):
    """Somebody on a higher floor who writes down what operators do, in the transaction that does it."""

    def __call__(self, *, action: str, consumer: str, subject: str, reason: str) -> None: ...


_listeners: list[Listener] = []


def on_action(listener: Listener) -> None:
    """Have `listener` called with every action that is recorded."""
    if listener not in _listeners:
        _listeners.append(listener)


@dataclass(frozen=True, slots=True)
class Retried:
    """`released` events were applied or planned; `still_parked` are not, because of `error`."""

    released: int
    still_parked: int
    error: str

    def __str__(self) -> str:
        why = f": {self.error}" if self.error else ""
        return f"{self.released:,} events released, {self.still_parked:,} still parked{why}"


def get(consumer: str) -> projections.Projection | effects.Effect:
    """The declared projection or effect of that name. Raises UnknownConsumer naming the known ones."""
    found = projections.find(consumer) or effects.find(consumer)
    if found is None:
        known = sorted(
            [entry.name for entry in projections.all_projections()] + [e.name for e in effects.all_effects()]
        )
        raise UnknownConsumer(
            wording.say(
                'There is no consumer "{consumer}"; there are: {known}.', consumer=consumer, known=", ".join(known)
            )
        )
    return found


def pause(*, consumer: str, reason: str) -> None:
    """Stop a consumer; its lag grows until it is started again."""
    _set_status(consumer, "paused", reason)


def start(*, consumer: str, reason: str) -> None:
    """Let a paused or tripped consumer go on from its checkpoint."""
    _set_status(consumer, "active", reason)


def retire(*, consumer: str, reason: str) -> None:
    """Give a consumer up, be it declared still or not: it stands, and nobody waits for it. `start` takes it up again.

    Raises UnknownConsumer and ReasonRequired.
    """
    reason = _required(reason)
    with transaction.atomic():
        if not models.Consumer.objects.filter(name=consumer).update(status="retired", reason=reason):
            get(consumer)
        _record("retire", consumer, reason=reason)


def retry(*, consumer: str, aggregate_id: uuid.UUID | None = None, reason: str = "") -> Retried:
    """Apply what is parked again, of one aggregate or of all, in order; what fails again stays parked.

    Raises UnknownConsumer and NotParked.
    """
    reason = _checked(reason)
    get(consumer)
    rows = _parked(consumer, aggregate_id)
    if not rows.exists():
        raise NotParked(
            wording.say(
                "Nothing is parked for {consumer} of aggregate {aggregate}.", consumer=consumer, aggregate=aggregate_id
            )
            if aggregate_id
            else wording.say("Nothing is parked for {consumer}.", consumer=consumer)
        )
    retried = _retry(consumer, rows)
    _record("retry", consumer, subject=str(aggregate_id or "all"), reason=reason)
    return retried


def skip(*, consumer: str, position: int, reason: str) -> Retried:
    """Pass an event over for good, in this and every later generation, and apply those that waited behind it.

    Raises UnknownConsumer, NotParked and ReasonRequired.
    """
    get(consumer)
    reason = _required(reason)
    with transaction.atomic():
        rows = models.Parked.objects.filter(consumer=consumer, position=position, state="blocked")
        first = rows.order_by("generation").first()
        if first is None:
            raise NotParked(
                wording.say(
                    "Position {position} is not parked for {consumer}; events_park list shows what is.",
                    position=position,
                    consumer=consumer,
                )
            )
        waiting = _parked(consumer, first.aggregate_id).exclude(position=position)
        keys = _keys(_parked(consumer, first.aggregate_id))
        rows.exclude(pk=first.pk).delete()
        models.Parked.objects.filter(pk=first.pk).update(state="skipped", reason=reason)
        _record("skip", consumer, subject=f"position {position}", reason=reason)
    return _retry(consumer, waiting, keys=keys)


def start_rebuild(*, projection: projections.Projection, source: str, reason: str) -> int:
    """Have the workers build a new generation, or go on with a paused one; it stops at `ready`, to be swapped in."""
    reason = _checked(reason)
    unfinished = generations.find_unfinished(projection)
    if unfinished and unfinished.code_version == projection.version and unfinished.state != "ready":
        number = int(unfinished.number)
        models.Generation.objects.filter(projection=projection.name, number=number).update(is_wanted=True, problem="")
    else:
        number = rebuild.begin(projection, source=source, is_wanted=True)
    _record("start rebuild", projection.name, subject=f"generation {number}", reason=reason)
    return number


def pause_rebuild(*, projection: projections.Projection, reason: str) -> None:
    """Have the workers leave the unfinished generation as it is after the step in hand. Raises NothingToResume."""
    reason = _checked(reason)
    unfinished = generations.find_unfinished(projection)
    if unfinished is None:
        raise rebuild.NothingToResume(wording.say("{name} is not being rebuilt.", name=projection.name))
    models.Generation.objects.filter(projection=projection.name, number=unfinished.number).update(is_wanted=False)
    _record("pause rebuild", projection.name, subject=f"generation {unfinished.number}", reason=reason)


def swap(*, projection: projections.Projection, reason: str) -> int:
    """Make the generation that is ready the live one; returns its number. Raises SwapRefused, NothingToResume."""
    reason = _checked(reason)
    unfinished = generations.find_unfinished(projection)
    if unfinished is None or unfinished.state != "ready":
        raise generations.SwapRefused(
            wording.say("{name} has no generation that is ready; rebuild it first.", name=projection.name)
        )
    done = rebuild.rebuild(projection, resume=True)
    _record("swap", projection.name, subject=f"generation {done.generation}", reason=reason)
    return done.generation


def roll_back(*, projection: projections.Projection, reason: str) -> int:
    """Make the generation that was live before live again; returns its number. Raises SwapRefused."""
    reason = _checked(reason)
    number = rebuild.roll_back(projection)
    _record("roll back", projection.name, subject=f"generation {number}", reason=reason)
    return number


def retry_effects(*, keys: list[str], reason: str = "") -> int:
    """Try failed effects again, from the first attempt on; returns how many."""
    reason = _checked(reason)
    rows = models.Effect.objects.filter(key__in=keys, state="failed")
    names = list(rows.order_by().values_list("consumer", flat=True).distinct())
    count = rows.update(state="pending", attempts=0, next_at=timezone.now())
    for name in names:
        _record("retry effects", name, subject=f"{count} effects", reason=reason)
    return count


def _checked(reason: str) -> str:
    """The reason, by whatever door it comes. Raises ValidationFailed."""
    return str(validation.check(Reason, reason, field="reason"))


def _required(reason: str) -> str:
    checked = _checked(reason)
    if not checked:
        raise ReasonRequired(wording.say("Give a reason: it is kept for those who ask later."))
    return checked


def _set_status(consumer: str, status: str, reason: str) -> None:
    get(consumer)
    reason = _required(reason)
    with transaction.atomic():
        models.Consumer.objects.filter(name=consumer).update(status=status, reason="" if status == "active" else reason)
        _record("start" if status == "active" else "pause", consumer, reason=reason)


def _record(action: str, consumer: str, *, subject: str = "", reason: str = "") -> None:
    with transaction.atomic():
        models.OperatorAction.objects.create(
            actor=context.current().actor, action=action, consumer=consumer, subject=subject, reason=reason
        )
        for listener in _listeners:
            listener(action=action, consumer=consumer, subject=subject, reason=reason)


def _keys(rows: QuerySet[models.Parked]) -> list[tuple[int, uuid.UUID, str, uuid.UUID]]:
    return sorted({(row.generation, *row.key) for row in rows})


def _parked(consumer: str, aggregate_id: uuid.UUID | None) -> QuerySet[models.Parked]:
    """In the generations that are complete; one in the making meets its parked events when it is."""
    rows = models.Parked.objects.filter(consumer=consumer, state="blocked")
    if projections.find(consumer):
        complete = models.Generation.objects.filter(projection=consumer, state__in=runner.FOLLOWING)
        rows = rows.filter(generation__in=complete.values("number"))
    return rows.filter(aggregate_id=aggregate_id) if aggregate_id else rows


def _retry(
    consumer: str,
    rows: QuerySet[models.Parked],
    *,
    keys: list[tuple[int, uuid.UUID, str, uuid.UUID]] | None = None,
) -> Retried:
    before = {(row.generation, row.position): row.attempts for row in rows}
    for generation, tenant_id, aggregate_type, aggregate_id in keys or _keys(rows):
        projection, effect = projections.find(consumer), effects.find(consumer)
        if projection:
            healing.heal_aggregates(projection, generation, [(tenant_id, aggregate_id)])
        elif effect:
            _plan_again(effect, generation, (tenant_id, aggregate_type, aggregate_id))
    left = [
        row
        for row in models.Parked.objects.filter(consumer=consumer, state="blocked")
        if (row.generation, row.position) in before
    ]
    for row in left:
        models.Parked.objects.filter(pk=row.pk).update(attempts=before[row.generation, row.position] + 1)
    errors_left = [row.error for row in left if row.error != parking.FOLLOWS]
    return Retried(len(before) - len(left), len(left), errors_left[0] if errors_left else "")


def _plan_again(effect: effects.Effect, generation: int, key: parking.Key) -> None:
    """What an effect could not plan was never told: it is live, not a replay; the floor and the key still hold."""
    with transaction.atomic():
        checkpoint = models.Checkpoint.objects.select_for_update().get(
            consumer=effect.name, generation=generation, shard=parking.shard_of(effect.name, generation, key)
        )
        rows = models.Parked.objects.filter(
            consumer=effect.name, generation=generation, state="blocked", tenant_id=key[0], aggregate_id=key[2]
        )
        positions = set(rows.values_list("position", flat=True))
        rows.delete()
        for stream in log.read_by_aggregate(
            until=checkpoint.position,
            aggregate_types=[key[1]],
            types=effect.types,
            tenant_id=key[0],
            aggregate_ids=[key[2]],
        ):
            waiting = [event for event in stream if event.position in positions]
            planned, failure = effects.plan_stream(effect, waiting)
            effects.write(effect, planned, is_live=True)
            if failure:
                parking.park(effect.name, generation, failure)
