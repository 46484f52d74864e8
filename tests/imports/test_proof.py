"""The short form of `make import-proof`: a small shop and a small site, killed at random rows and resumed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

from rustok.environment import CHECKOUT
from tests.content import wxr

HEADER = ["Handle", "Title", "Option1 Name", "Option1 Value", "Variant SKU", "Variant Price", "Variant Inventory Qty"]
GOODS = 60


def test_killed_and_resumed_an_import_ends_as_one_that_was_not(tmp_path: Path) -> None:
    shop, site = tmp_path / "shop.csv", wxr.small_site(tmp_path / "site.xml")
    with shop.open("w", encoding="utf-8", newline="") as file:
        rows = [
            [f"good-{number}", f"Good {number}" if not row else "", "Size", size, f"G-{number}-{size}", "9.90", row]
            for number in range(GOODS)
            for row, size in enumerate(("S", "M"))
        ]
        csv.writer(file).writerows([HEADER, *rows, ["bad", "Bad", "Size", "S", "BAD", "nine", "1"]])
    command = [sys.executable, "-m", "tests.imports.proof", f"import_shopify={shop}", f"import_wordpress={site}"]

    finished = subprocess.run(
        [*command, "--seed", "7", "--json", str(tmp_path / "report.json")],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["files"].keys() == {"shop.csv", "site.xml"}
    assert report["files"]["shop.csv"].startswith(f"{2 * GOODS + 1} rows")
    assert report["kills"] >= 4
