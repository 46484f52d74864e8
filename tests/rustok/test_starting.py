"""Processes that serve, started as they are in production: a wrong database role ends them before they begin."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.db import connection
from psycopg import sql

from apps.kernel.database import roles
from rustok import servers
from rustok.celery import app
from rustok.environment import CHECKOUT
from rustok.servers import processes
from tests import serving

# What PostgreSQL calls the powers that row policies do not hold, and what we call them.
POWERS = {"SUPERUSER": "a superuser", "BYPASSRLS": "BYPASSRLS", f"IN ROLE {roles.OWNER}": "the owner of tables"}
PASSWORD = "known-to-nobody"
UNREACHABLE = "postgresql://user:top-secret@127.0.0.1:1/shop"


pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def login(_superuser: psycopg.Connection[Any]) -> Iterator[Any]:
    """Makes a role with this power; returns how it logs in to the database of the tests."""
    made: list[str] = []

    def make(power: str) -> str:
        made.append(f"starting_{uuid.uuid4().hex[:8]}")
        _superuser.execute(f"CREATE ROLE {made[-1]} LOGIN PASSWORD '{PASSWORD}' {power}")
        return serving.database_url(connection.settings_dict["NAME"], user=made[-1], password=PASSWORD)

    yield make
    for name in made:
        _superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def refuses_to_start(command: list[str], power: str, **variables: str) -> None:
    ended = subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=120
    )

    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith('The database role "starting_')
    assert POWERS[power] in ended.stderr.partition(": row policies would not hold it")[0]
    assert PASSWORD not in ended.stderr


@pytest.mark.parametrize("power", POWERS)
def test_the_web_server_does_not_start_with_a_role_above_the_policies(login: Any, power: str) -> None:
    command = serving.command_of("web", port=serving.free_port())

    refuses_to_start(command, power, RUSTOK_PROCESS="web", DATABASE_URL=login(power))


@pytest.mark.parametrize("program", ["worker", "beat"])
def test_neither_do_worker_and_beat(login: Any, program: str) -> None:
    command = serving.command_of(program)

    refuses_to_start(command, "BYPASSRLS", RUSTOK_PROCESS=program, DATABASE_URL=login("BYPASSRLS"))


def test_nor_does_any_other_server_that_loads_the_application(login: Any) -> None:
    command = [sys.executable, "-c", "import rustok.wsgi"]

    refuses_to_start(command, "SUPERUSER", DATABASE_URL=login("SUPERUSER"))


def test_with_the_role_of_the_application_all_of_them_come_up(tmp_path: Path) -> None:
    url, port = serving.database_url(connection.settings_dict["NAME"]), serving.free_port()
    facts = servers.connection_facts()
    web, worker, beat = (tmp_path / name for name in ("web", "worker", "beat"))
    with (
        redis.Redis.from_url(facts.valkey_url_of(facts.valkey_database + 2)) as broker,
        serving.running(serving.command_of("beat"), beat, RUSTOK_PROCESS="beat", DATABASE_URL=url),
    ):
        assert processes.wait_until(lambda: broker.llen("rustok") > 0, timeout_seconds=180), beat.read_text()
    with (
        serving.running(serving.command_of("worker"), worker, RUSTOK_PROCESS="worker", DATABASE_URL=url),
        serving.running(
            serving.command_of("web", port=port, web_workers=1), web, RUSTOK_PROCESS="web", DATABASE_URL=url
        ),
    ):
        is_ready = processes.wait_until(lambda: serving.status_of(port, "/health/ready") == 200, timeout_seconds=180)
        assert is_ready, web.read_text()
        answers = processes.wait_until(lambda: bool(app.control.ping(timeout=0.5)), timeout_seconds=180)
        assert answers, worker.read_text()


def test_a_database_that_does_not_answer_is_not_taken_for_a_wrong_role(tmp_path: Path) -> None:
    port, log = serving.free_port(), tmp_path / "web"
    command = serving.command_of("web", port=port, web_workers=1)
    with serving.running(command, log, RUSTOK_PROCESS="web", DATABASE_URL=UNREACHABLE) as web:
        is_up = processes.wait_until(lambda: serving.status_of(port, "/health/live") == 200, timeout_seconds=180)
        assert is_up, log.read_text()
        assert serving.status_of(port, "/health/ready") == 503
        assert web.poll() is None

    assert "row policies" not in log.read_text()
