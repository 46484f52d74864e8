"""kill -9 of a process loses nothing and does nothing twice: the whole stack as `make dev` runs it, and real kills."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rustok.management.commands import seed_demo
from tests.faults.stack import Stack, eventually, own_stack

PRODUCTS = 150
JOB = 600
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


def test_killing_the_workers_during_a_job_does_each_operation_once(stack: Stack) -> None:
    token = stack.ask("auth/token", {"email": seed_demo.ADMIN_EMAIL, "password": seed_demo.ADMIN_PASSWORD})
    before = stack.count_products("demo-shop")
    operations = [{"op": "create", "data": bowl(number)} for number in range(JOB)]
    job = stack.ask("admin/products/bulk", {"operations": operations}, token["access_token"], "demo-shop")

    def seen() -> dict[str, Any]:
        return stack.ask(f"admin/jobs/{job['id']}", None, token["access_token"], "demo-shop")

    for done in (1, JOB // 3):
        eventually(lambda done=done: seen()["done"] >= done)  # type: ignore[misc]
        for pid in stack.pids_of("celery", "worker"):
            os.kill(pid, signal.SIGKILL)
        assert seen()["done"] < JOB, "it was done before anybody was killed"
    ended = eventually(lambda: (found := seen())["finished_at"] and found, seconds=180)

    assert (ended["status"], ended["done"], ended["failed"]) == ("succeeded", JOB, 0)
    assert stack.run("events_run", "--once").returncode == 0
    assert stack.count_products("demo-shop") == before + JOB
    assert stack.run("events_verify").returncode == 0


def bowl(number: int) -> dict[str, Any]:
    variant = {"sku": f"BOWL-{number}", "prices": [{"currency": "EUR", "amount": "9.00"}]}
    return {
        "status": "published",
        "translations": [{"locale": "en", "title": f"Bowl {number}"}],
        "variants": [variant],
    }


def imported(stack: Stack, export: Path, tenant: str) -> subprocess.CompletedProcess[str] | None:
    """The second import; tried again while Postgres recovers from its kill."""
    finished = stack.run("import_shopify", str(export), "--tenant", tenant, "--quiet")
    return finished if finished.returncode == 0 else None
