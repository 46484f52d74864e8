"""The embedded PostgreSQL: made, started, prepared, asked, stopped."""

import re
import secrets
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from apps.kernel.database import roles
from rustok.servers import files, processes, run_as
from rustok.servers.errors import ServersError
from rustok.servers.places import Places

NAME = "postgres"
DATABASE = "rustok"
SUPERUSER = "postgres"
PORT = 5432  # only the name of the socket file: the server listens on no network address
NOT_READY = re.compile(r"starting up|shutting down|not yet accepting|recovery")
START_TIMEOUT_SECONDS = 120.0  # recovery after an unclean stop may take this long
STOP_SIGNALS = [
    (signal.SIGINT, 20.0),  # fast: roll back, write a checkpoint
    (signal.SIGQUIT, 5.0),  # immediate: recovery at the next start
    (signal.SIGKILL, 5.0),
]
# Arguments rather than a file, so that an upgrade of this code reaches data directories made before it.
OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "shared_preload_libraries": "pg_stat_statements",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%a ",
}
# Tests throw their data away: what survives a killed server, but not a power cut, is enough.
UNSAFE_OPTIONS = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Postgres:
    """One embedded server. `durable=False` trades crash safety for speed."""

    places: Places
    durable: bool
    say: Callable[[str], None]

    name = NAME

    @property
    def log(self) -> Path:
        return self.places.logs / "postgres.log"

    @property
    def socket(self) -> Path:
        return self.places.postgres_sockets / f".s.PGSQL.{PORT}"

    def find(self) -> psutil.Process | None:
        """The running server, recognised by what was written down."""
        return processes.recall(self.places.pid_file(NAME))

    def problem(self) -> str | None:
        """Why it cannot be reached just now; None when it answers, be it with a refusal."""
        try:
            self._connect(timeout_seconds=2).close()
        except psycopg.OperationalError as error:
            message = str(error).strip()
            return message if "FATAL:" not in message or NOT_READY.search(message) else None
        return None

    def start(self) -> psutil.Process:
        """Start it and wait until it answers. Raises ServersError with the end of the log."""
        way = run_as.choose(self.places)
        self._end_leftovers(way.data)
        if not way.data.exists():
            self._initialise(way)
        self._check_version(way.data)
        way.own(way.data)
        way.data.chmod(0o700)
        files.make_private(self.places.postgres_sockets, owner=way.owner())
        processes.trim(self.log)

        process = self._launch(way)
        try:
            self._prepare()
        except psycopg.Error as error:
            raise ServersError(f"PostgreSQL runs, but refuses the login of {self.places.passwords}: {error}") from error
        return process

    def stop(self) -> bool:
        """Stop it, gently first. Whether it was running."""
        process = self.find()
        if process is not None:
            processes.stop(process, signals=STOP_SIGNALS)
        self._end_leftovers(run_as.data_of(self.places))
        self.places.pid_file(NAME).unlink(missing_ok=True)
        files.remove_if_empty(self.places.postgres_sockets)
        return process is not None

    # --- the steps of start -------------------------------------------------------------------------------

    def _end_leftovers(self, data: Path) -> None:
        """End what still works in the data directory, and remove the traces of an unclean stop.

        After this no server uses the directory, so its pid file and sockets are certainly stale: PostgreSQL alone
        would trust them when the pid has been given to another process since.
        """
        leftovers = list(processes.working_in(data, name="postgres"))
        for process in leftovers:
            processes.stop(process, signals=STOP_SIGNALS)
        for stale in (data / "postmaster.pid", self.socket, self.socket.with_name(f"{self.socket.name}.lock")):
            stale.unlink(missing_ok=True)

    def _initialise(self, way: run_as.RunAs) -> None:
        self.say("Creating the PostgreSQL data directory …")
        # Made beside its place and renamed when complete: a killed first start leaves nothing half-made.
        partial = way.data.with_name(f"{way.data.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700, parents=True)
        password = secrets.token_urlsafe(24)
        password_file = partial.with_name("initdb.password")
        files.write_private(password_file, password + "\n")
        try:
            way.own(partial)
            way.own(password_file)
            made = way.run(
                "initdb",
                f"--pgdata={partial}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
                *([] if self.durable else ["--no-sync"]),
                timeout_seconds=300,
            )
        finally:
            password_file.unlink(missing_ok=True)
        if made.returncode != 0:
            raise ServersError(f"PostgreSQL's initdb failed in {partial}:\n{made.stderr.strip()}")
        files.write_private(self.places.passwords, f"*:*:*:{SUPERUSER}:{password}\n")
        partial.rename(way.data)

    def _check_version(self, data: Path) -> None:
        found = (data / "PG_VERSION").read_text().strip()
        if found != "18":
            raise ServersError(
                f"The data in {data} were written by PostgreSQL {found}, this is 18. "
                "Move them away, or dump them with their own version and restore."
            )
        if not self.places.passwords.exists():
            raise ServersError(
                f"{self.places.passwords} is gone, and without it nobody can log in to the data in {data}. "
                "Restore the file, or move the data away to begin anew."
            )

    def _launch(self, way: run_as.RunAs) -> psutil.Process:
        options = OPTIONS | {"unix_socket_directories": str(self.places.postgres_sockets), "port": str(PORT)}
        if not self.durable:
            options |= UNSAFE_OPTIONS
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        process = processes.launch(
            way.command("postgres", "-D", str(way.data), *arguments),
            cwd=Path("/"),
            log=self.log,
            options=way.popen_options(),
        )
        processes.remember(process, self.places.pid_file(NAME))
        self._wait_until_ready(process)
        return process

    def _wait_until_ready(self, process: psutil.Process) -> None:
        began = time.monotonic()
        told = False
        while (problem := self.problem()) is not None:
            waited = time.monotonic() - began
            if not processes.is_alive(process):
                raise ServersError(
                    f"PostgreSQL did not start. The end of {self.log}:\n{processes.last_lines(self.log)}"
                )
            if waited > START_TIMEOUT_SECONDS:
                raise ServersError(f"PostgreSQL is running but did not answer in {waited:.0f} s: {problem}")
            if waited > 3 and not told:
                self.say("PostgreSQL is recovering from an unclean stop …")
                told = True
            time.sleep(0.02)

    def _prepare(self) -> None:
        """Roles, database and extension, each only if it is missing: a killed first start is completed here."""
        migrator, app = ((name, self._password(name)) for name in (roles.MIGRATOR, roles.APP))
        with self._connect() as connection:
            roles.ensure(connection, migrator=migrator, app=app, may_create_databases=True)
            roles.ensure_database(connection, name=DATABASE)
        with self._connect(database=DATABASE) as connection:
            roles.own(connection)
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def _password(self, user: str) -> str:
        """The password of the file; one that is missing is made and written down."""
        known = self.places.passwords.read_text()
        found = re.search(rf"^\*:\*:\*:{user}:(.*)$", known, re.MULTILINE)
        if found is not None:
            return found[1]
        password = secrets.token_urlsafe(24)
        files.write_private(self.places.passwords, f"{known}*:*:*:{user}:{password}\n")
        return password

    def _connect(
        self, *, database: str = "postgres", timeout_seconds: int = 10
    ) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self.places.postgres_sockets),
            port=PORT,
            dbname=database,
            user=SUPERUSER,
            passfile=str(self.places.passwords),
            connect_timeout=timeout_seconds,
            autocommit=True,
        )
