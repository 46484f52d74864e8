"""The plugin of pytest: real PostgreSQL and Valkey for every test run, thrown away afterwards, and the fixtures.

`pytest_plugins = ["rustok.testing.plugin"]` in the conftest.py above all tests has it, or `-p rustok.testing.plugin`.

Each run has servers of its own below the data directory, so that two runs in one checkout do not meet; each parallel
worker has its own database and its own Valkey numbers on them. With DATABASE_URL and VALKEY_URL those are used.

With --reuse-db servers and databases stay for the next run, which then starts much sooner and only applies migrations
it has not seen; --create-db makes the databases anew. One such run at a time in a checkout.
"""

import contextvars
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rustok.environment import CHECKOUT
from rustok.testing import limits

# Before anything imports Django, and for the parallel workers too: they inherit the environment.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
KEPT = "kept"
ABANDONED = re.compile(r"\d+-\d+")
if not WORKER:
    _root = Path(os.environ.get("RUSTOK_DATA_DIR") or CHECKOUT / ".rustok").absolute() / "test"
    _own = psutil.Process()
    _name = KEPT if "--reuse-db" in sys.argv else f"{_own.pid}-{_own.create_time():.0f}"
    os.environ["RUSTOK_DATA_DIR"] = str(_root / _name)
    # What follows throws data away. Settings that are loaded already have somebody else's in them.
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        raise pytest.UsageError("DJANGO_SETTINGS_MODULE is set here; the tests set it themselves: unset it.")
os.environ["RUSTOK_PROFILE"] = "test"
os.environ["RUSTOK_LOG_LEVEL"] = os.environ.get("RUSTOK_LOG_LEVEL") or "WARNING"
# Bus, cache and broker take one number each.
os.environ["RUSTOK_VALKEY_DATABASE"] = str(3 * (int(WORKER.removeprefix("gw") or -1) + 1))
os.environ["DJANGO_SETTINGS_MODULE"] = "rustok.settings"
# All tests ask from one address, hundreds of times a minute; those of the limits set their own.
os.environ["RUSTOK_LIMITS"] = limits.OUT_OF_REACH

import django  # noqa: E402 - after the environment is set
import psycopg  # noqa: E402 - after the environment is set
import redis  # noqa: E402 - after the environment is set
from django.conf import settings  # noqa: E402 - after the environment is set
from django.db import connection  # noqa: E402 - after the environment is set
from django.test import TransactionTestCase  # noqa: E402 - after the environment is set
from psycopg import sql  # noqa: E402 - after the environment is set

from apps.kernel import cache, isolation  # noqa: E402 - after the environment is set
from rustok import environment, servers  # noqa: E402 - after the environment is set
from rustok.servers.nats import Nats  # noqa: E402 - after the environment is set
from rustok.servers.places import Places  # noqa: E402 - after the environment is set

django.setup()

from rustok.testing.recording import Mails, RecordingBus, recorded_bus  # noqa: E402 - after the environment is set

# What migrations and the declaration of consumers put in, and no test changes.
KEPT_TABLES = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "consumers_consumer",
    "consumers_generation",
    "consumers_checkpoint",
}
BEGIN_UNGUARDED = "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL session_replication_role = replica;"
RESTART_COUNTERS = """
    SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false)
    FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL AND sequencename <> ALL ({kept});
    UPDATE consumers_generation SET state = 'retired' WHERE state <> 'live';
    UPDATE consumers_generation SET problem = '', source = 'log';
    DELETE FROM consumers_checkpoint c USING consumers_generation g
        WHERE g.projection = c.consumer AND g.number = c.generation AND g.state = 'retired';
    DELETE FROM consumers_checkpoint WHERE shard > 0;
    UPDATE consumers_checkpoint SET position = 0, lane_low = 0, lane_high = 255, next_lane = NULL;
    UPDATE consumers_consumer SET status = 'active', reason = '', effect_floor = 0;
"""
Superuser = psycopg.Connection[tuple[Any, ...]]


# Whoever starts the tests in the background may have had Ctrl-C ignored; tests press it all the same.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the servers, before the parallel workers are."""
    if WORKER or session.config.option.collectonly:
        return
    _remove_abandoned_runs()
    servers.ensure_started(say=lambda message: None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """The parallel workers must not inherit this: pytest-django would load the settings before the lines above have
    given a worker its own Valkey numbers, and the workers would empty each other's."""
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    data_dir = environment.current().data_dir
    logging.getLogger("apps.kernel.cache.listening").disabled = True  # its server goes on purpose
    if not WORKER and data_dir.name != KEPT and data_dir.exists():
        _throw_away(data_dir)


def _remove_abandoned_runs() -> None:
    """A killed run could not clean up after itself. Its directory carries pid and start time of its process."""
    runs = environment.current().data_dir.parent
    for folder in runs.iterdir() if runs.exists() else ():
        if not ABANDONED.fullmatch(folder.name):
            continue
        pid, _, started = folder.name.partition("-")
        try:
            is_running = f"{psutil.Process(int(pid)).create_time():.0f}" == started
        except psutil.NoSuchProcess:
            is_running = False
        if not is_running:
            _throw_away(folder)


def _throw_away(data_dir: Path) -> None:
    servers.remove(environment.Environment(profile=environment.Profile.TEST, data_dir=data_dir))


@pytest.fixture
def committed_db(_emptied_at_once: None, transactional_db: None) -> None:
    """A database in which transactions really commit, emptied afterwards, with the Valkey databases of this worker.

    The rows of KEPT_TABLES stay; consumers are active, with one live generation each, in one shard at position 0.
    Threads must close their own connections: one that is left inside a transaction on a row makes the emptying fail
    after five seconds.
    """


@pytest.fixture
def _emptied_at_once(monkeypatch: pytest.MonkeyPatch, _superuser: Superuser) -> None:
    """Our own emptying instead of Django's flush, which is slow and takes what must stay."""

    def empty(test_case: TransactionTestCase) -> None:
        empty_database(_superuser)
        empty_valkey()
        cache.forget_process()  # the rows went without telling it

    monkeypatch.setattr(TransactionTestCase, "_fixture_teardown", empty)


@pytest.fixture(scope="session")
def _superuser(django_db_setup: None) -> Iterator[Superuser]:
    """A connection past all policies."""
    facts = servers.connection_facts().superuser
    if facts is None:
        raise pytest.UsageError("Set DATABASE_SUPERUSER_URL as well: the tests empty tables past all policies.")
    with facts.connect(database=connection.settings_dict["NAME"]) as superuser:
        yield superuser


@pytest.fixture
def over_all_tenants(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work for all tenants, in threads too: for tests of what tasks and commands call, which say so themselves."""
    start = threading.Thread.start

    def start_in_this_context(thread: threading.Thread) -> None:
        here, run = contextvars.copy_context(), thread.run
        thread.run = lambda: here.run(run)  # type: ignore[method-assign]
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_in_this_context)
    with isolation.all_tenants(reason="test"):
        yield


@pytest.fixture
def media_root(settings: Any, tmp_path: Path) -> Path:
    """A place for files of the test's own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def recording_bus(committed_db: None) -> Iterator[RecordingBus]:
    """The bus of the test, which keeps what is published."""
    with recorded_bus() as recording:
        yield recording


@pytest.fixture
def mails() -> Mails:
    """The mails the test sends; pytest-django has emptied the box before it."""
    return Mails()


@pytest.fixture(scope="session")
def nats() -> Nats:
    """The NATS server of this run, started by whoever needs it first and removed with the others."""
    settings_of_run = environment.current().model_copy(update={"events_transport": "nats"})
    servers.ensure_started(settings_of_run, say=lambda message: None)
    return Nats(Places(settings_of_run.data_dir), say=lambda message: None)


@pytest.fixture
def nats_url(nats: Nats) -> str:
    return settings.NATS_URL


def empty_database(superuser: Superuser) -> None:
    """Delete all rows in one round trip.

    As superuser in the role of a replica no trigger, foreign key or row policy is asked, so the order is free. Some
    80 mostly empty tables take 15 ms; TRUNCATE, which makes every file and index anew, takes 100.
    """
    tables = superuser.execute(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
          AND relname <> ALL (%s)
        """,
        [sorted(KEPT_TABLES)],
    ).fetchall()
    deletes = [sql.SQL("DELETE FROM {};").format(sql.Identifier(table)) for (table,) in tables]
    counters = sql.SQL(RESTART_COUNTERS).format(kept=sql.Literal([f"{table}_id_seq" for table in sorted(KEPT_TABLES)]))
    superuser.execute(sql.Composed([sql.SQL(BEGIN_UNGUARDED), *deletes, counters, sql.SQL("COMMIT")]))


def empty_valkey() -> None:
    first = environment.current().valkey_database or 0
    with redis.Redis.from_url(settings.VALKEY_URL) as client:
        for number in range(first, first + 3):
            client.execute_command("SELECT", number)
            client.flushdb()
