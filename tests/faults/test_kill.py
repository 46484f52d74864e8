"""kill -9 of any one process during an import loses nothing: the whole stack as `make dev` runs it, and real kills."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.stack import Stack, eventually, own_stack

PRODUCTS = 150
COLUMNS = [
    *("Handle", "Title", "Body (HTML)", "Vendor", "Tags", "Published", "Status", "Image Src"),
    *("Option1 Name", "Option1 Value", "Variant SKU", "Variant Price"),
    *("Variant Inventory Tracker", "Variant Inventory Qty", "Variant Inventory Policy"),
]


@pytest.fixture
def stack() -> Iterator[Stack]:
    with own_stack() as running:
        yield running


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
