"""The roles of an external PostgreSQL: made by one command, told apart, and a wrong one refused readably."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from apps.kernel.database import roles
from rustok import servers
from rustok.environment import CHECKOUT

Run = Any


@pytest.fixture
def installation(_superuser: psycopg.Connection[Any]) -> Iterator[dict[str, str]]:
    """The three URLs of a database that is not there yet."""
    superuser = servers.connection_facts().superuser
    assert superuser is not None
    name = f"roles_{uuid.uuid4().hex[:8]}"
    place = f"/{name}?host={superuser.host}"
    passwords = superuser.options["passfile"]
    yield {
        "DATABASE_URL": f"postgresql://{name}_app:first@{place}",
        "DATABASE_MIGRATOR_URL": f"postgresql://{name}_migrator:second@{place}",
        "DATABASE_SUPERUSER_URL": f"postgresql://{superuser.user}@/postgres?host={superuser.host}&passfile={passwords}",
    }
    for statement in ("DROP DATABASE IF EXISTS {} WITH (FORCE)", "DROP ROLE IF EXISTS {a}", "DROP ROLE IF EXISTS {m}"):
        names = {"a": sql.Identifier(f"{name}_app"), "m": sql.Identifier(f"{name}_migrator")}
        _superuser.execute(sql.SQL(statement).format(sql.Identifier(name), **names))


def run(urls: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "manage.py"), *arguments],
        env=os.environ | urls,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_roles_and_database_are_made_and_the_application_works_with_its_own(installation: dict[str, str]) -> None:
    made, again = run(installation, "database_roles"), run(installation, "database_roles")
    migrated = run(installation, "migrate", "-v", "0")
    created = run({"DATABASE_URL": installation["DATABASE_URL"]}, "create_tenant", "acme", "--name", "Acme")

    assert (made.returncode, again.returncode) == (0, 0), made.stderr + again.stderr
    assert "Made the database" in made.stdout
    assert "All roles were there." in again.stdout
    assert migrated.returncode == 0, migrated.stderr
    assert created.returncode == 0, created.stderr


# As an installation was before it had roles: the application's login made and owns everything, and no row is guarded.
AS_BEFORE = """
ALTER ROLE {app} SUPERUSER;
CREATE ROLE {stranger} NOLOGIN;
DO $$
DECLARE
    _object record;
BEGIN
    FOR _object IN SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public' LOOP
        EXECUTE format('DROP POLICY %I ON %I', _object.policyname, _object.tablename);
    END LOOP;
    FOR _object IN SELECT oid::regclass::text AS name FROM pg_class
                   WHERE relnamespace = 'public'::regnamespace AND relrowsecurity LOOP
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', _object.name);
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', _object.name);
    END LOOP;
END $$;
ALTER DATABASE {database} OWNER TO {app};
ALTER TABLE content_node OWNER TO {stranger};
CREATE TABLE left_behind (id bigint GENERATED ALWAYS AS IDENTITY, tenant_id uuid);
CREATE SEQUENCE left_counting OWNED BY NONE;
CREATE VIEW left_seen AS SELECT id FROM left_behind;
CREATE FUNCTION left_working() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER TABLE left_behind OWNER TO {stranger};
ALTER SEQUENCE left_counting OWNER TO {stranger};
ALTER VIEW left_seen OWNER TO {stranger};
ALTER FUNCTION left_working OWNER TO {stranger};
"""
OWNERS = """
SELECT pg_get_userbyid(relowner), array_agg(relname::text ORDER BY relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
      AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
GROUP BY 1
UNION ALL
SELECT pg_get_userbyid(proowner), array_agg(proname::text ORDER BY proname) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
GROUP BY 1
"""
UNGUARDED = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
"""


def test_a_database_of_before_the_roles_is_taken_over_with_its_rows(
    installation: dict[str, str], _superuser: psycopg.Connection[Any]
) -> None:
    app = {"DATABASE_URL": installation["DATABASE_URL"]}
    run(installation, "database_roles")
    run(installation, "migrate", "-v", "0")
    run(app, "create_tenant", "acme", "--name", "Acme")
    name = psycopg.conninfo.conninfo_to_dict(app["DATABASE_URL"])["dbname"]
    named = {"app": f"{name}_app", "stranger": f"{name}_stranger", "database": str(name)}
    named = {part: sql.Identifier(text) for part, text in named.items()}
    superuser = servers.connection_facts().superuser
    assert superuser is not None
    try:
        with superuser.connect(database=str(name)) as database:
            own_all = {"owner": sql.Literal(f"{name}_app"), "searcher": sql.Literal(roles.SEARCHER)}
            database.execute(sql.SQL(roles.OWN).format(**own_all))
            database.execute(sql.SQL(AS_BEFORE).format(**named))
            assert len(database.execute(UNGUARDED).fetchall()) > 20
        before = run(app, "events_status")
        taken, migrated = run(installation, "database_roles"), run(installation, "migrate", "-v", "0")
        after = run(app, "create_tenant", "other", "--name", "Other")
        with superuser.connect(database=str(name)) as database:
            owners = {owner for owner, _ in database.execute(OWNERS).fetchall()}
            unguarded = database.execute(UNGUARDED).fetchall()
            tenants = database.execute("SELECT slug FROM tenants_tenant ORDER BY slug").fetchall()
            database.execute(sql.SQL("DROP OWNED BY {stranger}").format(**named))
    finally:
        _superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))
        _superuser.execute(sql.SQL("DROP ROLE IF EXISTS {stranger}").format(**named))

    assert before.returncode == 2
    assert "a superuser" in before.stderr
    assert (taken.returncode, migrated.returncode, after.returncode) == (0, 0, 0), taken.stderr + migrated.stderr
    assert owners == {"rustok_owner", "rustok_search"}
    assert unguarded == []
    assert tenants == [("acme",), ("other",)]


@pytest.mark.parametrize("variable", ["DATABASE_MIGRATOR_URL", "DATABASE_SUPERUSER_URL"])
def test_a_role_above_the_policies_is_refused_in_one_line(installation: dict[str, str], variable: str) -> None:
    run(installation, "database_roles")
    run(installation, "migrate", "-v", "0")

    refused = run({"DATABASE_URL": installation[variable]}, "events_status")

    assert refused.returncode == 2
    assert "row policies would not hold it" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATABASE_MIGRATOR_URL": ""}, "all three"),
        ({"DATABASE_SUPERUSER_URL": ""}, "all three"),
        ({"DATABASE_MIGRATOR_URL": "DATABASE_URL"}, "the same user twice"),
    ],
)
def test_what_is_missing_or_given_twice_is_named(
    installation: dict[str, str], changes: dict[str, str], message: str
) -> None:
    urls = installation | {name: installation.get(value, value) for name, value in changes.items()}

    refused = run(urls, "database_roles")

    assert refused.returncode == 1
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr


def test_migrate_needs_the_role_that_may_change_tables(installation: dict[str, str]) -> None:
    run(installation, "database_roles")

    refused = run({"DATABASE_URL": installation["DATABASE_URL"]}, "migrate")

    assert refused.returncode == 1
    assert "DATABASE_MIGRATOR_URL is not set" in refused.stderr
