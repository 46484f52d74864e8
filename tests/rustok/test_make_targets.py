"""The page of the reference about `make`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from rustok import make_targets
from rustok.environment import CHECKOUT


def test_the_page_has_every_target_that_make_explains() -> None:
    told = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^  ([a-z][a-z-]*) ", told, re.MULTILINE)

    page = make_targets.render()

    assert len(targets) > 20
    assert [name for name in targets if f"| `make {name}` | " not in page] == []


def test_headings_of_the_makefile_are_headings_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Makefile").write_text(
        "A := b## none\n##@ development\ndev: env ## run | stop\nhidden: env\n##@ testing\ntest: ## try\n"
    )
    monkeypatch.setattr(make_targets, "CHECKOUT", tmp_path)

    page = make_targets.render()

    assert (
        "\n## Development\n\n| target | what it does |\n|---|---|\n| `make dev` | run \\| stop |\n\n## Testing\n"
        in page
    )
    assert "hidden" not in page
