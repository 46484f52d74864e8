import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from rustok import health

PATHS = ["/health/ready", "/health/"]


@pytest.mark.parametrize("path", PATHS)
def test_ready_when_database_migrations_and_valkey_are(committed_db, client: Client, path):
    answer = client.get(path)

    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "ok"
    assert set(body["checks"]) == {"database", "migrations", "events", "valkey"}
    assert all(check["status"] == "ok" and check["latency_ms"] >= 0 for check in body["checks"].values())


def test_browsers_ask_for_an_icon_once_a_month(client: Client):
    answer = client.get("/favicon.ico", headers={"host": "no-tenant.test"})

    assert answer.status_code == 204
    assert answer["Cache-Control"] == "public, max-age=2592000"


def test_live_asks_nobody(client: Client, settings):
    # No fixture of the database: pytest-django fails any query.
    settings.VALKEY_URL = "unix:///nowhere.sock"

    assert client.get("/health/live").json() == {"status": "ok"}


def test_answers_are_not_cached_and_only_read(client: Client):
    assert "no-store" in client.get("/health/live")["Cache-Control"]
    assert client.post("/health/live").status_code == 405


def test_not_ready_without_valkey(committed_db, client: Client, settings):
    settings.VALKEY_URL = "unix:///nowhere.sock"

    answer = client.get("/health/ready")

    assert answer.status_code == 503
    body = answer.json()
    assert body["status"] == "unavailable"
    assert body["checks"]["valkey"]["status"] == "failed"
    assert body["checks"]["database"]["status"] == "ok"
    assert "nowhere" not in answer.content.decode()


def test_not_ready_without_the_database(client: Client, monkeypatch, committed_db):
    # Threads make connections of their own from these settings.
    monkeypatch.setitem(connections.settings["default"], "PORT", "1")

    answer = client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["checks"]["database"]["problem"] == "OperationalError, see the log"


def test_not_ready_while_a_migration_is_missing(committed_db, client: Client, monkeypatch):
    on_disk = health._migrations_on_disk() | {("commerce", f"900{n}_later") for n in range(5)}
    monkeypatch.setattr(health, "_migrations_on_disk", lambda: on_disk)

    check = client.get("/health/ready").json()["checks"]["migrations"]

    assert check["status"] == "failed"
    assert check["problem"].startswith("not applied: commerce.9000_later, commerce.9001_later")
    assert check["problem"].endswith("and 2 more; run manage.py migrate")


def test_a_check_that_hangs_does_not_hang_the_answer(committed_db, client: Client, monkeypatch):
    slow: dict[str, Callable[[], Any]] = health.CHECKS | {"database": lambda: time.sleep(0.5)}
    monkeypatch.setattr(health, "CHECKS", slow)
    monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", 0.1)

    began = time.perf_counter()
    answer = client.get("/health/ready")

    assert time.perf_counter() - began < 0.45
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"]["problem"] == "no answer in 0.1 s"


def test_metrics_answer(committed_db, client: Client):
    answer = client.get("/metrics")

    assert answer.status_code == 200
    assert "django_http_requests_before_middlewares_total" in answer.content.decode()
