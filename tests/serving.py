"""Processes of the product, started as in production and on the servers of the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from rustok import environment, servers, supervision
from rustok.environment import CHECKOUT


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
