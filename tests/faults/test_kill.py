"""kill -9 of any one process during an import loses nothing: the whole stack as `make dev` runs it, and real kills."""

from __future__ import annotations

import csv
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

CHECKOUT = Path(__file__).parents[2]
PRODUCTS = 150
COLUMNS = [
    *("Handle", "Title", "Body (HTML)", "Vendor", "Tags", "Published", "Status", "Image Src"),
    *("Option1 Name", "Option1 Value", "Variant SKU", "Variant Price"),
    *("Variant Inventory Tracker", "Variant Inventory Qty", "Variant Inventory Policy"),
]


class Stack:
    """`manage.py dev` in a data directory of its own, with the commands and addresses a user has."""

    def __init__(self, data_dir: Path) -> None:
        # Everything that names the servers of the test run itself must not leak into this installation.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RUSTOK_", "DJANGO_"))}
        inherited = {key: value for key, value in inherited.items() if key not in {"DATABASE_URL", "VALKEY_URL"}}
        self.environment = inherited | {"RUSTOK_DATA_DIR": str(data_dir), "COVERAGE_CORE": "", "PYTHONUNBUFFERED": "1"}
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


@pytest.fixture
def stack() -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="rk-"))
    folder.chmod(0o755)
    running = Stack(folder / "data")
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for number in range(PRODUCTS):
            for size in "SML":
                row = {"Handle": f"shirt-{number}", "Option1 Value": size, "Variant SKU": f"S{number}{size}"}
                row |= {"Variant Price": "19.90", "Variant Inventory Tracker": "shopify", "Variant Inventory Qty": "3"}
                row |= {"Variant Inventory Policy": "deny"}
                if size == "S":
                    row |= {"Title": f"Shirt {number}", "Body (HTML)": "<p>Linen</p>", "Vendor": "V", "Tags": "a, b"}
                    row |= {"Published": "true", "Option1 Name": "Size", "Status": "active"}
                    row |= {"Image Src": f"https://images.example.com/{number}.jpg"}
                writer.writerow(row)
    return path


def test_killing_any_one_process_during_an_import_loses_nothing(stack: Stack, export: Path) -> None:
    runner = stack.start("events_run")
    victims: dict[str, Callable[[subprocess.Popen[bytes]], list[int]]] = {
        "web": lambda importer: stack.pids_of("granian"),
        "worker": lambda importer: stack.pids_of("celery", "worker"),
        "relay": lambda importer: [runner.pid],
        "valkey": lambda importer: [stack.server_pid("valkey")],
        "importer": lambda importer: [importer.pid],
        "postgres": lambda importer: [stack.server_pid("postgres")],
    }
    for name, find in victims.items():
        tenant = f"shop-{name}"
        assert stack.run("create_tenant", tenant).returncode == 0
        importer = stack.start("import_shopify", str(export), "--tenant", tenant, "--batch-size", "5", "--quiet")
        eventually(lambda tenant=tenant: stack.count_products(tenant))  # type: ignore[misc]

        pids = find(importer)
        assert pids, f"there is no process of {name}"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        importer.wait(timeout=120)
        if name in {"web", "worker", "relay", "valkey"}:
            assert importer.returncode == 0, f"killing {name} broke the import"
        again = eventually(lambda tenant=tenant: imported(stack, export, tenant))  # type: ignore[misc]
        assert again.returncode == 0, again.stderr
    runner.kill()
    runner.wait()
    drained = stack.run("events_run", "--once")
    verified = stack.run("events_verify")

    assert drained.returncode == 0, drained.stderr
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert {name: stack.count_products(f"shop-{name}") for name in victims} == dict.fromkeys(victims, PRODUCTS)


def imported(stack: Stack, export: Path, tenant: str) -> subprocess.CompletedProcess[str] | None:
    """The second import; tried again while Postgres recovers from its kill."""
    finished = stack.run("import_shopify", str(export), "--tenant", tenant, "--quiet")
    return finished if finished.returncode == 0 else None
