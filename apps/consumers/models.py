"""Who reads the log and how far they are. One checkpoint per consumer, generation and shard of lanes."""

from __future__ import annotations

from django.db import models


class Consumer(models.Model):
    """A declared reader of the log. `effect_floor`: effects of events at or below this position are never produced."""

    name = models.TextField(primary_key=True)
    kind = models.TextField(choices=[(kind, kind) for kind in ("projection", "effect", "sink")])
    status = models.TextField(default="active", choices=[(state, state) for state in ("active", "paused", "retired")])
    effect_floor = models.BigIntegerField(default=0)
    code_version = models.IntegerField(default=1)


class Generation(models.Model):
    """One build of a projection's relations. Exactly one per projection is live."""

    pk = models.CompositePrimaryKey("projection", "number")
    projection = models.TextField()
    number = models.IntegerField()
    state = models.TextField(
        choices=[(state, state) for state in ("building", "catching_up", "ready", "live", "retired")]
    )
    code_version = models.IntegerField()
    target_position = models.BigIntegerField(default=0)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["projection"], condition=models.Q(state="live"), name="consumers_one_live_generation"
            )
        ]


class Checkpoint(models.Model):
    """The highest position whose effect is committed; moved only in the transaction that commits the effect."""

    pk = models.CompositePrimaryKey("consumer", "generation", "shard")
    consumer = models.TextField()
    generation = models.IntegerField(default=1)
    shard = models.SmallIntegerField(default=0)
    lane_low = models.SmallIntegerField(default=0)
    lane_high = models.SmallIntegerField(default=255)
    position = models.BigIntegerField(default=0)
    epoch = models.IntegerField(default=1)
    lease_owner = models.TextField(default="")
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)


class Parked(models.Model):
    """An event that could not be applied, or follows one of its aggregate that could not: the aggregate waits here."""

    consumer = models.TextField()
    generation = models.IntegerField()
    tenant_id = models.UUIDField()
    aggregate_type = models.TextField()
    aggregate_id = models.UUIDField()
    position = models.BigIntegerField()
    attempts = models.IntegerField(default=1)
    error = models.TextField()
    next_at = models.DateTimeField(null=True)
    state = models.TextField(
        default="blocked", choices=[(state, state) for state in ("blocked", "ready", "skipped", "done")]
    )
    reason = models.TextField(default="")
    parked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "parked events"
        constraints = [
            models.UniqueConstraint(
                fields=["consumer", "generation", "tenant_id", "aggregate_type", "aggregate_id", "position"],
                name="consumers_parked_once",
            )
        ]
