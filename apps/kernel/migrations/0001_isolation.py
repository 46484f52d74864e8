from django.db import migrations

# The answer is worked out once per statement and not per row, because it stands in a sub-select. Nothing is told:
# NULL, which equals nothing. The setting is empty, not NULL, after a transaction that had it.
FUNCTION = """
CREATE FUNCTION rustok_isolate(_table regclass, _column text DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    _is_shown text := format(
        '(%I = (SELECT NULLIF(NULLIF(current_setting(''app.tenant_id'', true), ''''), ''*'')::uuid) '
        'OR (SELECT current_setting(''app.tenant_id'', true) = ''*''))', _column);
    _policy record;
BEGIN
    IF EXISTS (SELECT 1 FROM pg_class WHERE oid = _table AND NOT (relrowsecurity AND relforcerowsecurity)) THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', _table);
    END IF;
    FOR _policy IN SELECT * FROM (VALUES
        ('tenant_select', 'SELECT', 'USING ' || _is_shown),
        ('tenant_insert', 'INSERT', 'WITH CHECK ' || _is_shown),
        ('tenant_update', 'UPDATE', 'USING ' || _is_shown || ' WITH CHECK ' || _is_shown),
        ('tenant_delete', 'DELETE', 'USING ' || _is_shown)) AS p(name, command, clause)
    LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = _table AND polname = _policy.name) THEN
            EXECUTE format('CREATE POLICY %I ON %s FOR %s %s', _policy.name, _table, _policy.command, _policy.clause);
        END IF;
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []

    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION rustok_isolate")]
