"""Our own supervisor of the embedded PostgreSQL and Valkey, and of NATS where the bus is NATS.

Every command may call `ensure_started`: the servers are started by whoever comes first, outlive the command, and
are found by all others. `DATABASE_URL`, `VALKEY_URL` and `NATS_URL` each replace one of them.

    places      where everything is           files      private files and folders
    processes   start, recognise and stop     run_as     PostgreSQL under root
    postgres, valkey, nats   the servers
"""

import contextlib
import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import ProgrammingError, conninfo
from pydantic import SecretStr

from apps.kernel.database import roles
from rustok import environment as environments
from rustok.environment import Environment, EnvironmentInvalid, Profile
from rustok.servers import files, processes, run_as
from rustok.servers.errors import ServersError
from rustok.servers.nats import Nats
from rustok.servers.places import Places
from rustok.servers.postgres import DATABASE, PORT, SUPERUSER, Postgres
from rustok.servers.valkey import Valkey

__all__ = [
    "ConnectionFacts",
    "DatabaseFacts",
    "ServersError",
    "connection_facts",
    "ensure_started",
    "find_watcher",
    "remove",
    "status",
    "stop",
    "watch",
]

LOCK_TIMEOUT_SECONDS = 180.0
ANSWER_TIMEOUT_SECONDS = 10.0
WATCH_INTERVAL_SECONDS = 0.25

Server = Postgres | Valkey | Nats


@dataclass(frozen=True)
class DatabaseFacts:
    """How to connect to PostgreSQL. `options` are further libpq parameters."""

    host: str
    port: str
    name: str
    user: str
    password: str
    options: dict[str, str]

    def connect(self, *, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """An autocommitting connection, past Django. Raises psycopg.OperationalError."""
        parts = {"host": self.host, "port": self.port, "user": self.user, "password": self.password} | self.options
        return psycopg.connect(conninfo.make_conninfo(dbname=database or self.name, **parts), autocommit=True)


@dataclass(frozen=True)
class ConnectionFacts:
    """Where the servers are, whether they run or not."""

    database: DatabaseFacts
    migrator: DatabaseFacts | None
    superuser: DatabaseFacts | None
    valkey_url: str
    valkey_database: int
    nats_url: str

    def valkey_url_of(self, database: int) -> str:
        """The URL of another database of the same Valkey, in redis-py's form."""
        scheme, host, path, query, _ = urlsplit(self.valkey_url)
        if scheme == "unix":
            return f"unix://{path}?{urlencode({**dict(parse_qsl(query)), 'db': database})}"
        return urlunsplit((scheme, host, f"/{database}", query, ""))

    @property
    def celery_broker_url(self) -> str:
        """The broker of Celery, two databases further, in kombu's form."""
        url = self.valkey_url_of(self.valkey_database + 2)
        scheme, _, path, query, _ = urlsplit(url)
        if scheme != "unix":
            return url
        options = dict(parse_qsl(query))
        options["virtual_host"] = options.pop("db")
        return f"redis+socket://{path}?{urlencode(options)}"


def connection_facts(environment: Environment | None = None) -> ConnectionFacts:
    """The facts of this environment, without starting or asking anything. Raises EnvironmentInvalid."""
    environment = environment or environments.current()
    places = Places(environment.data_dir)

    if environment.database_url is not None:
        database = _facts_of_url(environment.database_url, "DATABASE_URL")
        migrator, superuser = (
            _facts_of_url(url, environments.variable_of(name)) if (url := getattr(environment, name)) else None
            for name in ("database_migrator_url", "database_superuser_url")
        )
    else:
        # The password stays in libpq's password file: it need not exist yet, and is read at each connect.
        options = {"passfile": str(places.passwords)}
        database, migrator, superuser = (
            DatabaseFacts(str(places.postgres_sockets), str(PORT), DATABASE, user, "", options)
            for user in (roles.APP, roles.MIGRATOR, SUPERUSER)
        )

    url = f"unix://{quote(str(places.valkey_socket))}"
    if environment.valkey_url is not None:
        url = environment.valkey_url.get_secret_value()
    number = environment.valkey_database
    if number is None:
        number = _database_in(url)
    # Its port is known only when it runs: like the password above, the address is read at each connect.
    nats_url = f"file://{quote(str(places.nats_address))}"
    if environment.nats_url is not None:
        nats_url = environment.nats_url.get_secret_value()
    facts = ConnectionFacts(database, migrator, superuser, url, number, nats_url)
    return replace(facts, valkey_url=facts.valkey_url_of(number))


def ensure_started(
    environment: Environment | None = None, *, say: Callable[[str], None] | None = None
) -> ConnectionFacts:
    """Make sure the embedded servers run and answer, and heal what an unclean stop has left.

    Safe to call at any time and from many processes at once; one of them does the work. Raises ServersError.
    """
    environment = environment or environments.current()
    embedded = _embedded(environment, say)
    if embedded:
        with _exclusive(environment):
            for server in embedded:
                _ensure(server)
    return connection_facts(environment)


def stop(environment: Environment | None = None) -> list[str]:
    """Stop the embedded servers of this data directory. The names of those that were running."""
    environment = environment or environments.current()
    if not environment.data_dir.exists():
        return []
    with _exclusive(environment):
        # All of them: one that is not needed any more may still run.
        return [server.name for server in reversed(_all(environment)) if server.stop()]


def remove(environment: Environment) -> None:
    """Stop the embedded servers and delete their data directory for good."""
    stop(environment)
    places = Places(environment.data_dir)
    for folder in (
        places.postgres_sockets,
        places.valkey_sockets,
        run_as.data_of(places),
        run_as.COPIES_ROOT / places.key,
        environment.data_dir,
    ):
        shutil.rmtree(folder, ignore_errors=True)


def status(environment: Environment | None = None) -> dict[str, dict[str, object]]:
    """Per server: `state` is running, stopped, unreachable or external; for running ones also pid and place."""
    environment = environment or environments.current()
    report: dict[str, dict[str, object]] = {}
    if environment.database_url is not None:
        report["postgres"] = {"state": "external", "set_by": "DATABASE_URL"}
    if environment.valkey_url is not None:
        report["valkey"] = {"state": "external", "set_by": "VALKEY_URL"}
    if environment.nats_url is not None:
        report["nats"] = {"state": "external", "set_by": "NATS_URL"}
    for server in _embedded(environment):
        process = server.find()
        problem = server.problem() if process else None
        state = "stopped" if process is None else "unreachable" if problem else "running"
        report[server.name] = {
            "state": state,
            "pid": process.pid if process else None,
            "problem": problem,
            "socket": str(server.socket),
            "log": str(server.log),
        }
    return dict(sorted(report.items()))


def watch(environment: Environment | None = None, *, say: Callable[[str], None]) -> None:
    """Keep the embedded servers running until SIGTERM or SIGINT, then stop them."""
    environment = environment or environments.current()
    asked_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_end.set())

    files.claim(environment.data_dir)
    remembered = Places(environment.data_dir).pid_file("watch")
    processes.remember(psutil.Process(), remembered)
    embedded = _embedded(environment, say)
    while not asked_to_end.wait(WATCH_INTERVAL_SECONDS):
        missing = [server for server in embedded if server.find() is None or not server.socket.exists()]
        if missing:
            say(f"Starting {' and '.join(server.name for server in missing)} …")
            try:
                ensure_started(environment, say=say)
            except ServersError as error:
                say(f"{error}\nTrying again.")
                asked_to_end.wait(1)
    stop(environment)
    remembered.unlink(missing_ok=True)


def find_watcher(environment: Environment | None = None) -> psutil.Process | None:
    """The process that watches the servers of this data directory, if one does."""
    environment = environment or environments.current()
    return processes.recall(Places(environment.data_dir).pid_file("watch"))


def _embedded(environment: Environment, say: Callable[[str], None] | None = None) -> list[Server]:
    """The servers this environment needs and brings along."""
    is_needed = {
        "postgres": environment.database_url is None,
        "valkey": environment.valkey_url is None,
        "nats": environment.nats_url is None and environment.events_transport == "nats",
    }
    return [server for server in _all(environment, say) if is_needed[server.name]]


def _all(environment: Environment, say: Callable[[str], None] | None = None) -> list[Server]:
    say = say or (lambda message: print(message, file=sys.stderr))
    places = Places(environment.data_dir)
    durable = environment.profile is not Profile.TEST
    return [Postgres(places, durable=durable, say=say), Valkey(places, say=say), Nats(places, say=say)]


def _ensure(server: Server) -> None:
    if server.find() is not None:
        if processes.wait_until(lambda: server.problem() is None, timeout_seconds=ANSWER_TIMEOUT_SECONDS):
            return
        server.say(f"{server.name} runs but does not answer ({server.problem()}): restarting it.")
        server.stop()
    server.places.logs.mkdir(exist_ok=True)
    server.start()


@contextlib.contextmanager
def _exclusive(environment: Environment) -> Iterator[None]:
    """Hold the data directory alone: two starts at once would be two servers on one directory."""
    files.claim(environment.data_dir)
    descriptor = os.open(Places(environment.data_dir).lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServersError(
                        f"Another process has been starting or stopping the servers of {environment.data_dir} "
                        f"for {LOCK_TIMEOUT_SECONDS:.0f} s. See the logs there, end that process and try again."
                    ) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _facts_of_url(url: SecretStr, variable: str) -> DatabaseFacts:
    try:
        parts = {name: str(value) for name, value in conninfo.conninfo_to_dict(url.get_secret_value()).items()}
    except ProgrammingError as error:
        # libpq's message names the mistake without repeating the password.
        raise EnvironmentInvalid([f"{variable}: {str(error).strip()}. Correct or unset it."]) from None
    taken = {name: parts.pop(name, "") for name in ("host", "port", "dbname", "user", "password")}
    if not taken["dbname"]:
        raise EnvironmentInvalid([f"{variable} names no database: end it with /name."])
    return DatabaseFacts(taken["host"], taken["port"], taken["dbname"], taken["user"], taken["password"], parts)


def _database_in(url: str) -> int:
    scheme, _, path, query, _ = urlsplit(url)
    text = dict(parse_qsl(query)).get("db", "") or ("" if scheme == "unix" else path.strip("/"))
    if text and not text.isdecimal():
        raise EnvironmentInvalid([f"VALKEY_URL: {text!r} is not a database number. Correct or unset it."])
    return int(text or 0)
