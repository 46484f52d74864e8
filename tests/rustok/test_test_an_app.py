"""The blocks of docs/how-to/test-an-app.md are one file of tests; here they run as those of somebody else's app."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rustok.environment import CHECKOUT
from rustok.testing import factories, plugin
from tests.rustok.copying import without_settings

GUIDE = (CHECKOUT / "docs/how-to/test-an-app.md").read_text("utf-8")
FILE = "\n\n".join(re.findall(r"^```python\n(.+?)^```$", GUIDE, re.MULTILINE | re.DOTALL))


def test_every_block_runs_in_a_suite_of_its_own(tmp_path: Path) -> None:
    line = 'pytest_plugins = ["rustok.testing.plugin"]\n'
    assert line in GUIDE
    (tmp_path / "conftest.py").write_text(line)
    (tmp_path / "test_of_the_guide.py").write_text(FILE)

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", str(CHECKOUT / "pyproject.toml"), str(tmp_path)],
        cwd=CHECKOUT,
        env=without_settings() | {"RUSTOK_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{FILE.count('def test_')} passed" in ended.stdout
    assert FILE.count("def test_") >= 6


def test_the_guide_names_what_there_is() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE))
    own = {"committed_db", "over_all_tenants", "media_root", "recording_bus", "mails"}

    assert listed == own | {"db"}
    assert all(hasattr(plugin, name) for name in own)
    assert all(hasattr(factories, name) for name in re.findall(r"\bmake_\w+", GUIDE) if name != "make_caller")
