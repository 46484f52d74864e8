"""The tables of the log. They are append-only but for `Stream` and `SinkCursor`; the migrations hold their exact SQL.

Source of the shape: PgQ's snapshot difference, with dense positions handed out by the tick. docs/explanation/events.md
"""

from __future__ import annotations

from django.db import models


class Stream(models.Model):
    """Head of one aggregate: its row lock orders the aggregate's writers, `version` counts its events."""

    pk = models.CompositePrimaryKey("tenant_id", "aggregate_type", "aggregate_id")
    tenant_id = models.UUIDField()
    aggregate_type = models.TextField()
    aggregate_id = models.UUIDField()
    version = models.IntegerField()


class Log(models.Model):
    """Every event, in the order the rows were written (`id`), partitioned by `id`. Order for readers is `Position`."""

    id = models.BigIntegerField(primary_key=True)
    xid = models.BigIntegerField()
    event_id = models.UUIDField()
    tenant_id = models.UUIDField()
    aggregate_type = models.TextField()
    aggregate_id = models.UUIDField()
    version = models.IntegerField()
    lane = models.SmallIntegerField()
    type = models.TextField()
    schema_version = models.SmallIntegerField()
    actor = models.TextField()
    correlation_id = models.UUIDField(null=True)
    causation_id = models.UUIDField(null=True)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    data = models.JSONField()
    meta = models.JSONField()

    class Meta:
        managed = False
        db_table = "outbox_log"


class Tick(models.Model):
    """One step of the sequencer: the snapshot it saw and the positions it handed out. Insert-only.

    `cluster` and `timeline` tell whose transactions `snap` speaks of; `epoch` counts the restores and fail-overs.
    """

    tick_id = models.BigIntegerField(primary_key=True)
    prev = models.BigIntegerField(unique=True)
    epoch = models.IntegerField()
    timeline = models.TextField()
    snap = models.TextField()
    last_position = models.BigIntegerField()
    n = models.IntegerField()
    id_floor = models.BigIntegerField()
    lsn = models.TextField()
    at = models.DateTimeField()
    cluster = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "outbox_tick"


class Position(models.Model):
    """The dense, gapless order of the log. Insert-only, partitioned by `position`."""

    position = models.BigIntegerField(primary_key=True)
    id = models.BigIntegerField()
    lane = models.SmallIntegerField()

    class Meta:
        managed = False
        db_table = "outbox_position"


class SinkCursor(models.Model):
    """How far the relay has published to a sink, per lane range; `fence` changes owner, compare-and-set moves it."""

    pk = models.CompositePrimaryKey("sink", "shard")
    sink = models.TextField()
    shard = models.SmallIntegerField(default=0)
    lane_low = models.SmallIntegerField(default=0)
    lane_high = models.SmallIntegerField(default=255)
    position = models.BigIntegerField(default=0)
    fence = models.BigIntegerField(default=0)
    lease_owner = models.TextField(default="")
    lease_until = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)


class BusReader(models.Model):
    """Somebody who reads the bus, and the position up to which it has; the bus is not trimmed above it."""

    name = models.TextField(primary_key=True)
    position = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)


class Archive(models.Model):
    """A range of positions that stands in verified files as well; `is_cold` once readers take it from there.

    Cold ranges are the beginning of the log: 1 to the last of them. `sha256` is that of the manifest, which has those
    of the files; `folder` lies in the archive directory.
    """

    first = models.BigIntegerField(primary_key=True)
    last = models.BigIntegerField(unique=True)
    folder = models.TextField()
    lowest_id = models.BigIntegerField()
    highest_id = models.BigIntegerField()
    bytes = models.BigIntegerField()
    sha256 = models.TextField()
    is_cold = models.BooleanField(default=False)
    archived_at = models.DateTimeField()

    class Meta:
        ordering = ["first"]
