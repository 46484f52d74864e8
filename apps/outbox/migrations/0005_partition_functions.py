from django.db import migrations

# The application's role owns no tables: what has to make and drop partitions of the log goes through these. They act
# as the owner, on these two tables only. Row policies hold the owner too: the caller works for all tenants.
FUNCTIONS = """
CREATE FUNCTION outbox_make_partition(_parent text, _low bigint, _high bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    _key text := CASE _parent WHEN 'outbox_log' THEN 'id' WHEN 'outbox_position' THEN 'position' END;
    _leaf text := _parent || '_p' || to_char(_low, 'FM000000000000');
    _rescued bigint;
BEGIN
    IF _key IS NULL THEN
        RAISE EXCEPTION '% has no partitions', _parent;
    END IF;
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', _parent || '_default');
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL EXCLUDING IDENTITY)', _leaf, _parent);
    EXECUTE format('WITH stray AS (DELETE FROM %1$I WHERE %2$I >= $1 AND %2$I < $2 RETURNING *) '
                   'INSERT INTO %3$I SELECT * FROM stray', _parent || '_default', _key, _leaf) USING _low, _high;
    GET DIAGNOSTICS _rescued = ROW_COUNT;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', _parent, _leaf, _low, _high);
    IF _parent = 'outbox_log' THEN
        PERFORM rustok_isolate(_leaf::regclass);
    END IF;
    EXECUTE format('GRANT SELECT ON %I TO %I', _leaf, session_user);
    RETURN _rescued;
END $$;

CREATE FUNCTION outbox_detach_partition(_leaf text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF _leaf !~ '^outbox_(log|position)_p[0-9]{12,}$' THEN
        RAISE EXCEPTION '% is no partition of the log', _leaf;
    END IF;
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', regexp_replace(_leaf, '_p[0-9]+$', ''), _leaf);
END $$;

CREATE FUNCTION outbox_drop_detached(_leaf text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF _leaf !~ '^outbox_(log|position)_p[0-9]{12,}$'
       OR EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = _leaf::regclass) THEN
        RAISE EXCEPTION '% is no detached partition of the log', _leaf;
    END IF;
    EXECUTE format('DROP TABLE %I', _leaf);
END $$;
"""
UNDO = """
DROP FUNCTION outbox_make_partition; DROP FUNCTION outbox_detach_partition; DROP FUNCTION outbox_drop_detached;
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0004_partitions_and_archive"), ("kernel", "0001_isolation")]

    operations = [migrations.RunSQL(FUNCTIONS, UNDO)]
