from django.db import migrations

from apps.kernel.database import roles

# Full-text operators could tell, by an error, what is in a row: past row policies PostgreSQL asks the policy first, and
# the text index is of no use. So one function searches as a role that the policies do not hold. It takes the tenant
# from the transaction, never from an argument, and refuses to work for none or for all.
#
# What the two doors share is a plain function, planned into each of them: called by itself, the policies hold.
FOUND = """
CREATE FUNCTION readmodels_found(
    _kinds text[], _in_locale tsquery, _in_fallback tsquery, _locale text, _fallback text, _following text[]
) RETURNS TABLE (kind text, id uuid, rank float8, document text, category_ids uuid[], tag_ids uuid[])
LANGUAGE sql STABLE AS $$
    SELECT 'product', d.id, ts_rank_cd(d.search, q.tsquery)::float8, d.document, d.category_ids, '{}'::uuid[]
    FROM readmodels_productdocument_live d,
         LATERAL (SELECT CASE WHEN d.locale = _locale THEN _in_locale ELSE _in_fallback END AS tsquery) q
    WHERE 'product' = ANY (_kinds) AND d.search @@ q.tsquery AND (d.search @@ _in_locale OR d.search @@ _in_fallback)
      AND d.tenant_id = (SELECT NULLIF(NULLIF(current_setting('app.tenant_id', true), ''), '*')::uuid)
      AND (d.locale = _locale OR (d.locale = _fallback AND NOT d.locales @> ARRAY[_locale]::varchar[]))
    UNION ALL
    SELECT 'content', d.id, ts_rank_cd(d.search, q.tsquery)::float8, d.document, d.category_ids, d.tag_ids
    FROM readmodels_contentdocument_live d,
         LATERAL (SELECT CASE WHEN d.locale = _locale THEN _in_locale ELSE _in_fallback END AS tsquery) q
    WHERE 'content' = ANY (_kinds) AND d.search @@ q.tsquery AND (d.search @@ _in_locale OR d.search @@ _in_fallback)
      AND d.tenant_id = (SELECT NULLIF(NULLIF(current_setting('app.tenant_id', true), ''), '*')::uuid)
      AND (d.locale = _locale OR (d.locale = _fallback AND NOT d.locales @> ARRAY[_locale]::varchar[]))
      AND (d.kind <> ALL (_following) OR NOT EXISTS (
          WITH RECURSIVE above(tenant_id, id, following) AS (
              SELECT d.tenant_id, d.parent_id, _following::text[]
              UNION
              SELECT node.tenant_id, node.parent_id, following
              FROM above JOIN readmodels_contentdocument_live node USING (tenant_id, id)
              WHERE node.kind = ANY(following)
          )
          SELECT FROM above
          WHERE id IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM readmodels_contentdocument_live node
                WHERE node.tenant_id = above.tenant_id AND node.id = above.id
            )
      ))
$$;
"""
CHECKED = """
    IF NULLIF(NULLIF(current_setting('app.tenant_id', true), ''), '*') IS NULL THEN
        RAISE EXCEPTION 'searching needs one tenant';
    END IF;
"""
AS_SEARCHER = """LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan"""
DOORS = f"""
CREATE FUNCTION readmodels_search(
    _kinds text[], _in_locale tsquery, _in_fallback tsquery, _locale text, _fallback text, _following text[],
    _is_backwards boolean, _rank float8, _id uuid, _limit integer
) RETURNS TABLE (kind text, id uuid, rank float8, document text, category_ids uuid[], tag_ids uuid[])
{AS_SEARCHER} AS $$
#variable_conflict use_column
BEGIN
    {CHECKED}
    IF _is_backwards THEN
        RETURN QUERY
        SELECT f.* FROM readmodels_found(_kinds, _in_locale, _in_fallback, _locale, _fallback, _following) f
        WHERE (f.rank, f.id) > (_rank, _id) ORDER BY f.rank, f.id LIMIT _limit;
    ELSE
        RETURN QUERY
        SELECT f.* FROM readmodels_found(_kinds, _in_locale, _in_fallback, _locale, _fallback, _following) f
        WHERE _rank IS NULL OR (f.rank, f.id) < (_rank, _id) ORDER BY f.rank DESC, f.id DESC LIMIT _limit;
    END IF;
END $$;

CREATE FUNCTION readmodels_count_found(
    _kinds text[], _in_locale tsquery, _in_fallback tsquery, _locale text, _fallback text, _following text[]
) RETURNS bigint
{AS_SEARCHER} AS $$
BEGIN
    {CHECKED}
    RETURN (
        SELECT count(*) FROM readmodels_found(_kinds, _in_locale, _in_fallback, _locale, _fallback, _following));
END $$;
"""
# The views come with the first generation, after all migrations.
UNCHECKED = "SET LOCAL check_function_bodies = off;"
OWNED = f"""
GRANT CREATE ON SCHEMA public TO {roles.SEARCHER};
ALTER FUNCTION readmodels_search OWNER TO {roles.SEARCHER};
ALTER FUNCTION readmodels_count_found OWNER TO {roles.SEARCHER};
REVOKE CREATE ON SCHEMA public FROM {roles.SEARCHER};
"""
UNDO = "DROP FUNCTION readmodels_count_found; DROP FUNCTION readmodels_search; DROP FUNCTION readmodels_found;"


class Migration(migrations.Migration):
    dependencies = [("readmodels", "0001_initial"), ("kernel", "0001_isolation")]

    operations = [migrations.RunSQL(UNCHECKED + FOUND + DOORS + OWNED, UNDO)]
