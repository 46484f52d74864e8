"""The short form of `make rebuild-proof`: 2,000 events, killed before a fold is marked and inside the swap."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.faults.stack import CHECKOUT


def test_a_rebuild_under_reads_is_killed_and_ends_with_equal_documents(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.rebuild_proof", "--events", "2000"]
    command += ["--kill-at", "rebuild.before_mark", "rebuild.before_swap_commit"]

    finished = subprocess.run(
        [*command, "--json", str(tmp_path / "report.json")],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert finished.returncode == 0, finished.stdout + finished.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["killed_at"] == ["rebuild.before_mark", "rebuild.before_swap_commit"]
    assert report["documents"] == 400
    assert 0 < report["reads_of_the_new_generation"] < report["reads"]
    assert (report["failed_reads"], report["mixed_reads"], report["mails"]) == (0, 0, 0)
    assert report["documents_equal"]
