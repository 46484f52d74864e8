"""Processes of the product, started as in production and on the servers of the tests."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil

from rustok import environment, servers, supervision
from rustok.environment import CHECKOUT
from rustok.servers import processes

MANAGE = [sys.executable, str(CHECKOUT / "manage.py")]


def database_url(name: str, *, user: str | None = None, password: str = "") -> str:
    """How to log in to a database of the tests: as the application, or as this user."""
    facts = servers.connection_facts().database
    login, options = (user, {}) if user is not None else (facts.user, facts.options)
    secret = quote(password if user is not None else facts.password)
    return f"postgresql://{login}:{secret}@/{name}?{urlencode({'host': facts.host, 'port': facts.port, **options})}"


def command_of(program: str, *, port: int = 0, **settings: object) -> list[str]:
    """How `make dev` starts the program, with these settings."""
    chosen = environment.current().model_copy(update=settings)
    everything = {known.name: known for known in supervision.programs(chosen, port=port)}
    return [sys.executable, "-m", *everything[program].command]


@contextmanager
def running(command: Sequence[str], log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which writes to the file; it has ended after the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=os.environ | variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def status_of(port: int, path: str) -> int:
    """The status of the answer; 0 while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class Dev:
    """One running `manage.py dev`, its output in a file."""

    def __init__(self, data_dir: Path, output: Path, **variables: str) -> None:
        self._output = output
        self.data_dir = data_dir
        self.variables = os.environ | {"RUSTOK_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"} | variables
        with output.open("w") as stream:
            self.process = subprocess.Popen([*MANAGE, "dev"], env=self.variables, stdout=stream, stderr=stream)

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_until_ready(self) -> int:
        """The port it answers on."""
        found: list[str] = []

        def is_ready() -> bool:
            found[:] = re.findall(r"RusToK is ready: http://localhost:(\d+)", self.output)
            return bool(found) or self.process.poll() is not None

        assert processes.wait_until(is_ready, timeout_seconds=120, interval_seconds=0.1), self.output
        assert found, self.output
        return int(found[0])

    def child(self, *words: str) -> psutil.Process:
        """The supervised process with these words in its command line."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            # It may end while we look, and so is not the one.
            with contextlib.suppress(*processes.GONE):
                command = process.cmdline()
                if all(word in command for word in words):
                    return process
        raise AssertionError(f"{words} does not run:\n{self.output}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)
