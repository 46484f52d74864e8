"""A run of the tests throws away its own data, and nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rustok.environment import CHECKOUT


def test_settings_that_were_loaded_before_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "neighbour").mkdir()
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("RUSTOK_", "PYTEST"))}
    variables |= {"DJANGO_SETTINGS_MODULE": "rustok.settings", "RUSTOK_DATA_DIR": str(tmp_path / "data")}

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/kernel/test_text.py"],
        cwd=CHECKOUT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 4
    assert "unset it" in run.stderr
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["data", "neighbour"]
