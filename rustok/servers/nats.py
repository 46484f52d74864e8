"""The embedded NATS server with JetStream: started, asked, stopped. It runs only where the bus is NATS."""

import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from rustok.servers import files, processes
from rustok.servers.errors import ServersError
from rustok.servers.places import Places

NAME = "nats"
START_TIMEOUT_SECONDS = 60.0  # streams are checked first
STOP_SIGNALS = [(signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)]
# It knows no Unix sockets: loopback, a port that is free, and a token only the owner of the data directory can read.
CONFIGURATION = """\
host: "127.0.0.1"
port: -1
ports_file_dir: {folder}
authorization {{ token: {token} }}
max_payload: 8MB
jetstream {{ store_dir: {folder} }}
"""


@dataclass(frozen=True)
class Nats:
    """One embedded server."""

    places: Places
    say: Callable[[str], None]

    name = NAME

    @property
    def log(self) -> Path:
        return self.places.logs / "nats.log"

    @property
    def socket(self) -> Path:
        """Where it is found: the file that has its address, which changes with every start."""
        return self.places.nats_address

    def find(self) -> psutil.Process | None:
        """The running server, recognised by what was written down."""
        return processes.recall(self.places.pid_file(NAME))

    def problem(self) -> str | None:
        """Why it cannot be used just now; None when it answers."""
        try:
            address = urlsplit(self.places.nats_address.read_text().strip())
            with socket.create_connection((address.hostname or "", address.port or 0), timeout=2) as client:
                greeting = client.recv(4096)
        except OSError as error:
            return str(error)
        is_ready = greeting.startswith(b"INFO ") and b'"jetstream":true' in greeting
        return None if is_ready else "it does not greet as a NATS server with JetStream"

    def start(self) -> psutil.Process:
        """Start it and wait until it answers. Raises ServersError with the end of the log."""
        self._end_leftovers()
        files.make_private(self.places.nats_data, owner=os.geteuid())
        processes.trim(self.log)

        process = self._launch()
        if not self._becomes_ready(process) and "Error recovering" in processes.last_lines(self.log):
            self._set_broken_data_aside()
            process = self._launch()
            self._becomes_ready(process)
        if self.problem() is not None:
            raise ServersError(f"NATS did not start. The end of {self.log}:\n{processes.last_lines(self.log)}")
        return process

    def stop(self) -> bool:
        """Stop it, gently first. Whether it was running."""
        process = self.find()
        if process is not None:
            processes.stop(process, signals=STOP_SIGNALS)
        self._end_leftovers()
        self.places.pid_file(NAME).unlink(missing_ok=True)
        return process is not None

    # --- the steps of start -------------------------------------------------------------------------------

    def _end_leftovers(self) -> None:
        """End what still works in the data directory, and forget the address of an unclean stop."""
        for process in list(processes.working_in(self.places.nats_data, name="nats-server")):
            processes.stop(process, signals=STOP_SIGNALS)
        self.places.nats_address.unlink(missing_ok=True)
        for ports in self.places.nats_data.glob("*.ports"):
            ports.unlink()

    def _launch(self) -> psutil.Process:
        folder = self.places.nats_data
        token = secrets.token_urlsafe(32)
        configuration = folder / "nats.conf"
        text = CONFIGURATION.format(folder=json.dumps(str(folder)), token=json.dumps(token))
        files.write_private(configuration, text)
        command = [str(_binary()), "--config", str(configuration)]
        process = processes.launch(command, cwd=folder, log=self.log, options={})
        processes.remember(process, self.places.pid_file(NAME))
        self._write_address(process, token)
        return process

    def _write_address(self, process: psutil.Process, token: str) -> None:
        """Once the server has told its port."""
        ports = self.places.nats_data / f"nats-server_{process.pid}.ports"
        processes.wait_until(
            lambda: ports.exists() or not processes.is_alive(process), timeout_seconds=START_TIMEOUT_SECONDS
        )
        if ports.exists():
            port = urlsplit(json.loads(ports.read_text())["nats"][0]).port
            files.write_private(self.places.nats_address, f"nats://{token}@127.0.0.1:{port}\n")

    def _becomes_ready(self, process: psutil.Process) -> bool:
        return processes.wait_until(
            lambda: self.problem() is None or not processes.is_alive(process), timeout_seconds=START_TIMEOUT_SECONDS
        ) and processes.is_alive(process)

    def _set_broken_data_aside(self) -> None:
        """Begin empty: what JetStream holds is transport, and PostgreSQL brings back what readers still need."""
        broken = self.places.nats_data / "jetstream"
        aside = broken.with_name(f"jetstream.broken-{time.time_ns()}")
        broken.rename(aside)
        self.say(f"NATS could not read its streams: they are kept as {aside}, and it begins empty.")


def _binary() -> Path:
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if found is None:
        raise ServersError("The NATS program is not in this environment. Run `make env`, or set NATS_URL.")
    return Path(found)
