from django.db import migrations

# In the database because plans are kept there: most transactions have one event, and for one event planning
# costs more than writing. apps/outbox/append.py calls it and has the statement for several.
FUNCTION = """
CREATE FUNCTION outbox_append_one(
    _tenant_id uuid, _aggregate_type text, _aggregate_id uuid, _lane smallint, _type text, _schema_version smallint,
    _occurred_at timestamptz, _data jsonb, _actor text, _correlation_id uuid, _causation_id uuid
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    _version integer;
BEGIN
    INSERT INTO outbox_stream AS s (tenant_id, aggregate_type, aggregate_id, version)
    VALUES (_tenant_id, _aggregate_type, _aggregate_id, 1)
    ON CONFLICT (tenant_id, aggregate_type, aggregate_id) DO UPDATE SET version = s.version + 1
    RETURNING version INTO STRICT _version;
    INSERT INTO outbox_log (tenant_id, aggregate_type, aggregate_id, version, lane, type, schema_version,
                            actor, correlation_id, causation_id, occurred_at, data)
    VALUES (_tenant_id, _aggregate_type, _aggregate_id, _version, _lane, _type, _schema_version,
            _actor, _correlation_id, _causation_id, COALESCE(_occurred_at, clock_timestamp()), _data);
    RETURN _version;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION outbox_append_one"),
        # The index by aggregate begins with the tenant too; this one was read by nothing and written for every event.
        migrations.RunSQL("DROP INDEX outbox_log_tenant", "CREATE INDEX outbox_log_tenant ON outbox_log (tenant_id, id)"),
    ]
