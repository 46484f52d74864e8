"""Who reads the log and how far they are. One checkpoint per consumer, generation and shard of lanes."""

from __future__ import annotations

import uuid

from django.db import models


def _choices(*values: str) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


class Consumer(models.Model):
    """A declared reader of the log. `effect_floor`: effects of events at or below this position are never produced.

    `tripped` means that it stopped itself because failures looked systemic; `reason` says why it stands.
    """

    name = models.TextField(primary_key=True)
    kind = models.TextField(choices=_choices("projection", "effect"))
    status = models.TextField(default="active", choices=_choices("active", "paused", "tripped", "retired"))
    reason = models.TextField(default="", blank=True)
    effect_floor = models.BigIntegerField(default=0)
    code_version = models.IntegerField(default=1)

    def __str__(self) -> str:
        return self.name


class Generation(models.Model):
    """One build of a projection's relations. Exactly one per projection is live.

    building: lanes are folded; catching_up: complete up to its target and following the log; ready: verified, may be
    swapped in; standby: was live and follows on, for a roll-back; retired: to be dropped. `is_wanted` means a worker
    builds it on by itself, as after a start in the admin.
    """

    pk = models.CompositePrimaryKey("projection", "number")
    projection = models.TextField()
    number = models.IntegerField()
    state = models.TextField(choices=_choices("building", "catching_up", "ready", "live", "standby", "retired"))
    source = models.TextField(default="log", choices=_choices("log", "state"))
    code_version = models.IntegerField()
    target_position = models.BigIntegerField(default=0)
    is_wanted = models.BooleanField(default=False)
    problem = models.TextField(default="", blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["projection"], condition=models.Q(state="live"), name="consumers_one_live_generation"
            )
        ]

    def __str__(self) -> str:
        return f"{self.projection} generation {self.number}"

    def can_be_run_at(self, code_version: int) -> bool:
        """The live one always, or readers would be left behind; another only by the code it was built for."""
        return self.state == "live" or self.code_version == code_version


class Checkpoint(models.Model):
    """The highest position whose effect is committed; moved only in the transaction that commits the effect.

    Its row lock is the lease of whoever works on the shard: it ends with the transaction, or with the process.
    While the generation is built, `next_lane` is the first lane not folded yet (null: all are) and `folded` counts
    the events taken in.
    """

    pk = models.CompositePrimaryKey("consumer", "generation", "shard")
    consumer = models.TextField()
    generation = models.IntegerField(default=1)
    shard = models.SmallIntegerField(default=0)
    lane_low = models.SmallIntegerField(default=0)
    lane_high = models.SmallIntegerField(default=255)
    position = models.BigIntegerField(default=0)
    next_lane = models.SmallIntegerField(null=True)
    folded = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)


class Parked(models.Model):
    """An event that could not be applied, or follows one of its aggregate that could not: the aggregate waits here.

    A `skipped` one was passed over for good by an operator, with a reason; every generation passes it over.
    """

    consumer = models.TextField()
    generation = models.IntegerField()
    tenant_id = models.UUIDField()
    aggregate_type = models.TextField()
    aggregate_id = models.UUIDField()
    position = models.BigIntegerField()
    attempts = models.IntegerField(default=1)
    error = models.TextField()
    state = models.TextField(default="blocked", choices=_choices("blocked", "skipped"))
    reason = models.TextField(default="", blank=True)
    parked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "parked event"
        verbose_name_plural = "parked events"
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["consumer", "generation", "tenant_id", "aggregate_type", "aggregate_id", "position"],
                name="consumers_parked_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.aggregate_type} {self.aggregate_id} at {self.position}"

    @property
    def key(self) -> tuple[uuid.UUID, str, uuid.UUID]:
        """The aggregate."""
        return self.tenant_id, self.aggregate_type, self.aggregate_id


class Effect(models.Model):
    """Something to be done outside, planned once per event and target; `key` is `consumer:event id:target`.

    `next_at` is when it may be tried (again); while somebody tries, it lies in the future.
    """

    key = models.TextField(primary_key=True)
    consumer = models.TextField()
    position = models.BigIntegerField()
    event_id = models.UUIDField()
    tenant_id = models.UUIDField()
    target = models.TextField()
    payload = models.JSONField()
    state = models.TextField(default="pending", choices=_choices("pending", "done", "failed"))
    attempts = models.IntegerField(default=0)
    next_at = models.DateTimeField()
    response = models.TextField(default="", blank=True)
    planned_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-position"]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(state="pending"), name="consumers_effect_pending"),
            models.Index(fields=["consumer", "position"], name="consumers_effect_position"),
        ]

    def __str__(self) -> str:
        return self.key


class OperatorAction(models.Model):
    """What a person changed in the running of consumers, with the reason given."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.TextField()
    action = models.TextField()
    consumer = models.TextField()
    subject = models.TextField(default="", blank=True)
    reason = models.TextField(default="", blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        permissions = [("operate_events", "Can pause, rebuild, swap and un-park consumers")]

    def __str__(self) -> str:
        return f"{self.action} {self.consumer}"
