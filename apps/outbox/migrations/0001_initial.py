from django.db import migrations, models

LOG = """
CREATE TABLE outbox_log (
    id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    event_id uuid NOT NULL DEFAULT uuidv7(),
    tenant_id uuid NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    lane smallint NOT NULL CHECK (lane BETWEEN 0 AND 255),
    type text NOT NULL,
    schema_version smallint NOT NULL CHECK (schema_version > 0),
    actor text NOT NULL,
    correlation_id uuid,
    causation_id uuid,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    data jsonb NOT NULL,
    meta jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX outbox_log_xid ON outbox_log (xid);
CREATE INDEX outbox_log_aggregate ON outbox_log (tenant_id, aggregate_type, aggregate_id, version);
CREATE INDEX outbox_log_tenant ON outbox_log (tenant_id, id);
CREATE TABLE outbox_log_p000000000000 PARTITION OF outbox_log FOR VALUES FROM (MINVALUE) TO (100000000);
CREATE TABLE outbox_log_default PARTITION OF outbox_log DEFAULT;

CREATE TABLE outbox_tick (
    tick_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prev bigint NOT NULL UNIQUE,
    epoch integer NOT NULL,
    timeline text NOT NULL,
    snap pg_snapshot NOT NULL,
    last_position bigint NOT NULL,
    n integer NOT NULL,
    id_floor bigint NOT NULL,
    lsn pg_lsn NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE outbox_position (
    position bigint NOT NULL PRIMARY KEY,
    id bigint NOT NULL,
    lane smallint NOT NULL
) PARTITION BY RANGE (position);
CREATE INDEX outbox_position_lane ON outbox_position (lane, position);
CREATE INDEX outbox_position_id ON outbox_position (id);
CREATE TABLE outbox_position_p000000000000 PARTITION OF outbox_position FOR VALUES FROM (MINVALUE) TO (100000000);
CREATE TABLE outbox_position_default PARTITION OF outbox_position DEFAULT;
"""

UNDO_LOG = "DROP TABLE outbox_position; DROP TABLE outbox_tick; DROP TABLE outbox_log;"


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.RunSQL(LOG, UNDO_LOG),
        migrations.CreateModel(
            name="Stream",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "aggregate_type",
                        "aggregate_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("tenant_id", models.UUIDField()),
                ("aggregate_type", models.TextField()),
                ("aggregate_id", models.UUIDField()),
                ("version", models.IntegerField()),
            ],
        ),
        # Heads are updated once per flush: room on the page lets Postgres do it without touching the index.
        migrations.RunSQL("ALTER TABLE outbox_stream SET (fillfactor = 80)", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="SinkCursor",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "sink", "shard", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("sink", models.TextField()),
                ("shard", models.SmallIntegerField(default=0)),
                ("lane_low", models.SmallIntegerField(default=0)),
                ("lane_high", models.SmallIntegerField(default=255)),
                ("position", models.BigIntegerField(default=0)),
                ("fence", models.BigIntegerField(default=0)),
                ("lease_owner", models.TextField(default="")),
                ("lease_until", models.DateTimeField(null=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.CreateModel(
            name="Log",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("xid", models.BigIntegerField()),
                ("event_id", models.UUIDField()),
                ("tenant_id", models.UUIDField()),
                ("aggregate_type", models.TextField()),
                ("aggregate_id", models.UUIDField()),
                ("version", models.IntegerField()),
                ("lane", models.SmallIntegerField()),
                ("type", models.TextField()),
                ("schema_version", models.SmallIntegerField()),
                ("actor", models.TextField()),
                ("correlation_id", models.UUIDField(null=True)),
                ("causation_id", models.UUIDField(null=True)),
                ("occurred_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                ("data", models.JSONField()),
                ("meta", models.JSONField()),
            ],
            options={"managed": False, "db_table": "outbox_log"},
        ),
        migrations.CreateModel(
            name="Position",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("id", models.BigIntegerField()),
                ("lane", models.SmallIntegerField()),
            ],
            options={"managed": False, "db_table": "outbox_position"},
        ),
        migrations.CreateModel(
            name="Tick",
            fields=[
                ("tick_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("prev", models.BigIntegerField(unique=True)),
                ("epoch", models.IntegerField()),
                ("timeline", models.TextField()),
                ("snap", models.TextField()),
                ("last_position", models.BigIntegerField()),
                ("n", models.IntegerField()),
                ("id_floor", models.BigIntegerField()),
                ("lsn", models.TextField()),
                ("at", models.DateTimeField()),
            ],
            options={"managed": False, "db_table": "outbox_tick"},
        ),
    ]
