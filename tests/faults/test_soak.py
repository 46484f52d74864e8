"""The short form of `make soak`: real kills of the whole product, with a seed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.faults.stack import CHECKOUT


def test_killing_at_random_breaks_no_promise(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.soak", "--minutes", "0.4", "--seed", "7"]

    finished = subprocess.run(
        [*command, "--json", str(tmp_path / "report.json")],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip

    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-4000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["kept"] and report["broken"] == []
    assert sum(report["kills"].values()) > 3
    assert report["commits"] > 0
    assert report["reads"]["answered"] > 0
    assert (report["missing"], report["inversions"], report["duplicate_effects"]) == (0, 0, 0)
    assert report["positions_dense"]
