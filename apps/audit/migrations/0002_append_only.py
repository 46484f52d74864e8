from django.db import migrations

COLUMNS = """
ALTER TABLE audit_entry ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX audit_entry_xid ON audit_entry (xid);
ALTER TABLE audit_seal ALTER COLUMN ordinal ADD GENERATED ALWAYS AS IDENTITY;
-- Up to where the sealer has taken everything; apps/audit/sealing.py
CREATE TABLE audit_horizon (
    id smallint PRIMARY KEY CHECK (id = 1),
    cluster text NOT NULL,
    snap pg_snapshot NOT NULL
);
"""
UNDO_COLUMNS = "DROP TABLE audit_horizon; ALTER TABLE audit_entry DROP COLUMN xid;"

# In the database because plans are kept there: entries are small, and planning would cost more than writing.
RECORD = """
CREATE FUNCTION audit_record(_entries json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_entry (id, tenant_id, occurred_at, actor, authority, action, object_type, object_id, changes,
                             correlation_id, personal_digest, hash)
    SELECT id, tenant_id, occurred_at, actor, authority, action, object_type, object_id, changes,
           correlation_id, decode(personal_digest, 'hex'), decode(hash, 'hex')
    FROM json_to_recordset(_entries) AS e(
        id uuid, tenant_id uuid, occurred_at timestamptz, actor text, authority text, action text, object_type text,
        object_id text, changes text, correlation_id uuid, personal_digest text, hash text);
    INSERT INTO audit_personal (entry_id, tenant_id, client_address, changes, salt)
    SELECT id, tenant_id, client_address, personal, decode(salt, 'hex')
    FROM json_to_recordset(_entries) AS e(id uuid, tenant_id uuid, client_address text, personal text, salt text)
    WHERE salt <> '';
END $$
"""

# Whoever is not the owner never passes; the owner only within the two functions below, or who opens the door by hand.
REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('rustok.audit_door', true) = 'open'
       AND current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% of % is refused: the audit log is only ever added to', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'A whole tenant goes by audit_purge, an old beginning by audit_prune.';
END $$;
"""
REFUSED = {
    "audit_entry": "UPDATE OR DELETE OR TRUNCATE",
    "audit_position": "UPDATE OR DELETE OR TRUNCATE",
    "audit_seal": "UPDATE OR DELETE OR TRUNCATE",
    "audit_anchor": "UPDATE OR DELETE OR TRUNCATE",
    "audit_personal": "UPDATE OR TRUNCATE",
}
TRIGGERS = "".join(
    f"CREATE TRIGGER audit_refuse BEFORE {verbs} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();\n"
    for table, verbs in REFUSED.items()
)
UNDO_TRIGGERS = "".join(f"DROP TRIGGER audit_refuse ON {table};" for table in REFUSED) + "DROP FUNCTION audit_refuse"

# They run as the owner of the tables, with the door open for as long as they run;
# an error rolls back its opening too.
DOORS = """
CREATE FUNCTION audit_purge(_tenant uuid) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    _count bigint;
BEGIN
    IF _tenant IS NULL OR _tenant = '00000000-0000-0000-0000-000000000000' THEN
        RAISE EXCEPTION 'the log of the platform is never purged';
    END IF;
    PERFORM set_config('rustok.audit_door', 'open', true);
    DELETE FROM audit_personal WHERE tenant_id = _tenant;
    DELETE FROM audit_entry WHERE tenant_id = _tenant;
    GET DIAGNOSTICS _count = ROW_COUNT;
    DELETE FROM audit_position WHERE chain = _tenant;
    DELETE FROM audit_seal WHERE chain = _tenant;
    DELETE FROM audit_anchor WHERE chain = _tenant;
    PERFORM set_config('rustok.audit_door', 'shut', true);
    RETURN _count;
END $$;

CREATE FUNCTION audit_prune(_chain uuid, _number bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    _count bigint;
    _last bigint;
BEGIN
    SELECT last INTO _last FROM audit_anchor WHERE chain = _chain AND number = _number;
    IF _last IS NULL OR NOT EXISTS (SELECT 1 FROM audit_seal WHERE chain = _chain AND number > _number) THEN
        RAISE EXCEPTION 'what is left of chain % would have nothing to go on from: seal % needs an anchor and a successor',
            _chain, _number;
    END IF;
    PERFORM set_config('rustok.audit_door', 'open', true);
    DELETE FROM audit_personal x USING audit_position p
        WHERE p.chain = _chain AND p.sequence <= _last AND x.entry_id = p.entry_id;
    DELETE FROM audit_entry e USING audit_position p
        WHERE p.chain = _chain AND p.sequence <= _last AND e.id = p.entry_id;
    GET DIAGNOSTICS _count = ROW_COUNT;
    DELETE FROM audit_position WHERE chain = _chain AND sequence <= _last;
    DELETE FROM audit_seal WHERE chain = _chain AND number <= _number;
    DELETE FROM audit_anchor WHERE chain = _chain AND number < _number;
    PERFORM set_config('rustok.audit_door', 'shut', true);
    RETURN _count;
END $$;

REVOKE ALL ON FUNCTION audit_purge(uuid), audit_prune(uuid, bigint) FROM PUBLIC;
"""
UNDO_DOORS = "DROP FUNCTION audit_purge(uuid); DROP FUNCTION audit_prune(uuid, bigint)"


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunSQL(COLUMNS, UNDO_COLUMNS),
        migrations.RunSQL(RECORD, "DROP FUNCTION audit_record(json)"),
        migrations.RunSQL(REFUSE + TRIGGERS, UNDO_TRIGGERS),
        migrations.RunSQL(DOORS, UNDO_DOORS),
    ]
