from django.db import migrations

# The application's role owns no tables: generations are made, finished, shown and dropped by these, as the owner. They
# touch no table but those named after a template. A generation that is being built may only be written, by COPY, which
# PostgreSQL refuses where row policies are: it gets them when it is finished, and only then it may be read.
FUNCTIONS = """
CREATE FUNCTION consumers_generation_table(_template text, _number integer) RETURNS text
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF _template !~ '^[a-z][a-z0-9_]*$' OR to_regclass(_template) IS NULL THEN
        RAISE EXCEPTION '% is no template of a projection', _template;
    END IF;
    RETURN format('%I', _template || '__g' || _number);
END $$;

CREATE FUNCTION consumers_make_generation(_template text, _number integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    _table text := consumers_generation_table(_template, _number);
BEGIN
    -- Debris of a flushed database: a table whose generation nobody knows.
    EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', _table);
    EXECUTE format('CREATE TABLE %s (LIKE %I INCLUDING ALL EXCLUDING INDEXES)', _table, _template);
    EXECUTE format('GRANT INSERT ON %s TO %I', _table, session_user);
END $$;

CREATE FUNCTION consumers_finish_generation(_template text, _number integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    _table text := consumers_generation_table(_template, _number);
    _index record;
BEGIN
    FOR _index IN
        SELECT indisprimary AS is_primary, indisunique AS is_unique,
               regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX \\S+ ON \\S+ ', '') AS body
        FROM pg_index WHERE indrelid = _template::regclass ORDER BY indexrelid
    LOOP
        IF _index.body NOT LIKE 'USING %' THEN
            RAISE EXCEPTION 'an index of % has a form nobody foresaw: %', _template, _index.body;
        ELSIF _index.is_primary THEN
            EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY %s', _table, substr(_index.body, strpos(_index.body, '(')));
        ELSE
            EXECUTE format('CREATE %s INDEX ON %s %s', CASE WHEN _index.is_unique THEN 'UNIQUE' ELSE '' END, _table,
                           _index.body);
        END IF;
    END LOOP;
    PERFORM rustok_isolate(_table::regclass);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', _table, session_user);
    EXECUTE format('GRANT SELECT ON %s TO rustok_search', _table);
    EXECUTE format('ANALYZE %s', _table);
END $$;

CREATE FUNCTION consumers_show_generation(_template text, _number integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    _table text := consumers_generation_table(_template, _number);
    _view text := format('%I', _template || '_live');
BEGIN
    -- Replaced, not altered: a later template may have other columns. Readers see the old or the new, never a mix.
    EXECUTE format('DROP VIEW IF EXISTS %s', _view);
    EXECUTE format('CREATE VIEW %s WITH (security_invoker = true) AS SELECT * FROM %s', _view, _table);
    EXECUTE format('GRANT SELECT ON %s TO rustok_search, %I', _view, session_user);
END $$;

CREATE FUNCTION consumers_drop_generation(_template text, _number integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %s', consumers_generation_table(_template, _number));
END $$;
"""
UNDO = """
DROP FUNCTION consumers_make_generation; DROP FUNCTION consumers_finish_generation;
DROP FUNCTION consumers_show_generation; DROP FUNCTION consumers_drop_generation;
DROP FUNCTION consumers_generation_table;
"""


class Migration(migrations.Migration):
    dependencies = [("consumers", "0002_operations"), ("kernel", "0001_isolation")]

    operations = [migrations.RunSQL(FUNCTIONS, UNDO)]
