from django.db import migrations, models

# The first partitions were made for 100,000,000 rows; retention needs parts that fill in days. Full ones stay.
SMALLER = """
SET LOCAL lock_timeout = '5s';
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM outbox_log WHERE id >= 10000000)
       AND NOT EXISTS (SELECT 1 FROM outbox_position WHERE position >= 10000000) THEN
        ALTER TABLE outbox_log DETACH PARTITION outbox_log_p000000000000;
        ALTER TABLE outbox_log ATTACH PARTITION outbox_log_p000000000000 FOR VALUES FROM (MINVALUE) TO (10000000);
        ALTER TABLE outbox_position DETACH PARTITION outbox_position_p000000000000;
        ALTER TABLE outbox_position ATTACH PARTITION outbox_position_p000000000000
            FOR VALUES FROM (MINVALUE) TO (10000000);
    END IF;
END $$;
"""

# Which cluster's transactions a tick speaks of: '' in ticks of before, which are trusted.
TICK = """
SET LOCAL lock_timeout = '5s';
ALTER TABLE outbox_tick ADD COLUMN cluster text NOT NULL DEFAULT '';
CREATE INDEX outbox_tick_at ON outbox_tick (at);
CREATE INDEX outbox_tick_position ON outbox_tick (last_position);
"""
UNDO_TICK = """
DROP INDEX outbox_tick_at; DROP INDEX outbox_tick_position; ALTER TABLE outbox_tick DROP COLUMN cluster;
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0003_bus_readers")]

    operations = [
        migrations.RunSQL(SMALLER, migrations.RunSQL.noop),
        migrations.RunSQL(
            TICK, UNDO_TICK, state_operations=[migrations.AddField("tick", "cluster", models.TextField(default=""))]
        ),
        migrations.CreateModel(
            name="Archive",
            fields=[
                ("first", models.BigIntegerField(primary_key=True, serialize=False)),
                ("last", models.BigIntegerField(unique=True)),
                ("folder", models.TextField()),
                ("lowest_id", models.BigIntegerField()),
                ("highest_id", models.BigIntegerField()),
                ("bytes", models.BigIntegerField()),
                ("sha256", models.TextField()),
                ("is_cold", models.BooleanField(default=False)),
                ("archived_at", models.DateTimeField()),
            ],
            options={"ordering": ["first"]},
        ),
    ]
