"""A database of an older release becomes one of today: migrated, read models rebuilt, every promise kept, answering.

The dumps are made by `python -m tests.upgrades.dump`: docs/how-to/upgrade.md tells when.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest
from psycopg import sql

from apps.kernel import isolation
from apps.kernel.database import roles
from rustok import servers
from rustok.environment import CHECKOUT
from rustok.testing.plugin import Superuser, empty_valkey
from tests.architecture import catalogue
from tests.upgrades import dump

DUMPS = sorted(dump.HERE.glob("*.sql.gz"))
COUNTED = ("tenants_tenant", "commerce_product", "commerce_variant", "content_node", "outbox_log")


class Installation:
    """A database of its own on the servers of the tests, with what commands need to find it."""

    def __init__(self, database: str) -> None:
        self.database = database
        facts = servers.connection_facts()
        assert facts.migrator is not None
        assert facts.superuser is not None
        self.superuser, self.app = facts.superuser, facts.database.user
        # Not to be mixed up on the bus with what the tests have there.
        self.variables = os.environ | {
            "DATABASE_URL": self._url(facts.database),
            "DATABASE_MIGRATOR_URL": self._url(facts.migrator),
            "RUSTOK_EVENTS_TRANSPORT": "memory",
        }

    def _url(self, facts: servers.DatabaseFacts) -> str:
        place = urlencode({"host": facts.host, "port": facts.port, **facts.options})
        return f"postgresql://{facts.user}:{quote(facts.password)}@/{self.database}?{place}"

    def run(self, *arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, *arguments], cwd=CHECKOUT, env=self.variables, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{arguments}: {ended.stdout[-3000:]}{ended.stderr[-3000:]}"
        return ended.stdout

    def manage(self, *arguments: str) -> str:
        return self.run("manage.py", *arguments)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.superuser.connect(database=self.database) as connected:
            return connected.execute(query).fetchall()

    def counts(self) -> dict[str, int]:
        return {table: self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in COUNTED}


@pytest.fixture
def installation(request: pytest.FixtureRequest, _superuser: Superuser) -> Iterator[Installation]:
    """As it was on the day of the dump."""
    made = Installation(f"upgrade_{uuid.uuid4().hex[:8]}")
    name = {"name": sql.Identifier(made.database), "owner": sql.Identifier(roles.OWNER)}
    _superuser.execute(sql.SQL("CREATE DATABASE {name} OWNER {owner}").format(**name))
    try:
        restored = subprocess.run(
            [dump.program("psql"), "-q", "-v", "ON_ERROR_STOP=1", *dump.connection(made.superuser, made.database)],
            input=gzip.decompress(request.param.read_bytes()),
            env=dump.secrets(made.superuser),
            capture_output=True,
            check=False,
        )
        assert restored.returncode == 0, restored.stderr.decode()
        empty_valkey()
        yield made
    finally:
        empty_valkey()
        _superuser.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**name))


def test_there_is_a_release_to_upgrade_from_and_it_is_small() -> None:
    assert DUMPS
    assert all(file.stat().st_size <= dump.LARGEST_BYTES for file in DUMPS)


@pytest.mark.parametrize("installation", DUMPS, indirect=True, ids=lambda file: Path(file).name.split(".")[0])
def test_a_database_of_an_older_release_is_brought_to_today(installation: Installation) -> None:
    before = installation.counts()
    assert all(before.values()), before
    [(published,)] = installation.rows("SELECT count(*) FROM commerce_product WHERE status = 'published'")

    installation.manage("migrate", "-v", "0")
    installation.manage("events_reseal")  # the dump was taken in another cluster
    installation.manage("events_run", "--once")
    installation.manage("events_rebuild")
    verified = installation.manage("events_verify")
    examined = installation.manage("doctor", "--json")
    again = installation.manage("migrate", "-v", "1")
    told = json.loads(installation.run("-m", "tests.upgrades.asking").splitlines()[-1])

    assert "All promises hold." in verified
    assert {each["state"] for each in json.loads(examined)} == {"ok"}
    assert "No migrations to apply." in again
    with installation.superuser.connect(database=installation.database) as connected:
        assert catalogue.problems(connected.cursor(), app=installation.app) == []
    assert told["after"] == "After the upgrade"
    assert told["managed"] == before["commerce_product"]
    assert len(told["products"]) == published
    assert told["pages"]
    after = installation.counts()
    written = installation.rows(f"SELECT type FROM outbox_log ORDER BY id OFFSET {before['outbox_log']}")
    assert written[-2:] == [("commerce.product.created",), ("commerce.product.published",)]
    assert {table: after[table] - before[table] for table in COUNTED} == dict.fromkeys(COUNTED, 0) | {
        "commerce_product": 1, "commerce_variant": 1, "outbox_log": len(written),
    }  # fmt: skip


@pytest.mark.parametrize("installation", DUMPS[-1:], indirect=True, ids=["the-last"])
def test_the_application_still_sees_one_tenant_only(installation: Installation) -> None:
    """New tables of an old database are held by row policies as those of a new one are."""
    installation.manage("migrate", "-v", "0")
    parameters = psycopg.conninfo.conninfo_to_dict(installation.variables["DATABASE_URL"])
    with psycopg.connect(**parameters) as connected:
        assert connected.execute("SELECT count(*) FROM commerce_product").fetchone() == (0,)
        connected.execute("SELECT set_config('app.tenant_id', %s, false)", [isolation.ALL])
        assert connected.execute("SELECT count(*) > 0 FROM commerce_product").fetchone() == (True,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connected.execute("TRUNCATE media_asset")
