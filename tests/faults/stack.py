"""The whole product as `make dev` runs it, in a data directory of its own, for those who kill parts of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from rustok.testing import limits

CHECKOUT = Path(__file__).parents[2]


class Stack:
    """`manage.py dev` in a data directory of its own, with the commands and addresses a user has."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        # Everything that names the servers of the test run itself must not leak into this installation.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RUSTOK_", "DJANGO_"))}
        inherited = {key: value for key, value in inherited.items() if key not in {"DATABASE_URL", "VALKEY_URL"}}
        self.environment = inherited | {
            "RUSTOK_DATA_DIR": str(data_dir),
            "RUSTOK_LIMITS": limits.OUT_OF_REACH,
            "COVERAGE_CORE": "",
            "PYTHONUNBUFFERED": "1",
        }
        self.environment |= variables
        self.output = (data_dir.parent / "dev.log").open("w")
        self.process = self.start("dev", stdout=self.output, stderr=subprocess.STDOUT)
        self.data_dir = data_dir
        self.url = self._wait_until_ready()

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
        return subprocess.Popen(command, env=self.environment, **options)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=180)

    def count_products(self, tenant: str) -> int:
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.url}/api/v1/store/products?limit=1&count=exact", headers={"X-Tenant": tenant}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return int(json.load(answer)["count"])

    def ask(self, path: str, body: Any, token: str = "", tenant: str = "") -> Any:
        """The JSON answer of the API to a POST of this body, to a GET without one."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"X-Tenant": tenant} if tenant else {}
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", sent, headers)  # noqa: S310 - our own loopback address
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def pids_of(self, *words: str) -> list[int]:
        """Processes of this installation whose command line has all the words."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            line = " ".join(process.info["cmdline"] or [])
            environment = process.info["environ"] or {}
            ours = str(self.data_dir) in line or environment.get("RUSTOK_DATA_DIR") == str(self.data_dir)
            if ours and all(word in line for word in words):
                found.append(process.pid)
        return found

    def server_pid(self, name: str) -> int:
        status = json.loads(self.run("services", "status", "--json").stdout)
        return int(status[name]["pid"])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=90)
        self.output.close()

    def _wait_until_ready(self) -> str:
        def ready() -> str | None:
            told = json.loads((self.data_dir / "dev.lock").read_text() or "{}")
            with urllib.request.urlopen(f"{told['url']}/health/ready", timeout=5) as answer:  # noqa: S310
                return str(told["url"]) if answer.status == 200 else None

        return eventually(ready, seconds=120)


def eventually[Found](look: Callable[[], Found | None], *, seconds: float = 60) -> Found:
    """What `look` finds, asked again until it finds something; connection errors count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = look()
        except (OSError, urllib.error.URLError, json.JSONDecodeError, KeyError):
            found = None
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError("it did not come about in time")
        time.sleep(0.1)


@contextmanager
def own_stack(**variables: str) -> Iterator[Stack]:
    """A running stack with these in its environment; its processes and files are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="rk-"))
    folder.chmod(0o755)
    running = Stack(folder / "data", **variables)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
