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
