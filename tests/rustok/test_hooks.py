"""A commit that lint or format would refuse is refused before it is one; a good one is let through."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rustok.environment import CHECKOUT
from tests.rustok.copying import GIT, a_copy_of_the_tree, without_settings


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_copy_of_the_tree(tmp_path_factory.mktemp("hooked")) as tree:
        (tree / ".venv").symlink_to(CHECKOUT / ".venv")
        subprocess.run(
            [".venv/bin/pre-commit", "install"], cwd=tree, env=without_settings(), check=True, capture_output=True
        )
        yield tree


@pytest.mark.parametrize(
    ("text", "refused_by"),
    [
        ("x = ( 1 )\n", "format"),
        ("import os\n", "lint"),
        ("from rustok import settings\n\nPROFILE = settings.ENVIRONMENT.profile\n", "imports point down the floors"),
        ("PROFILE = 1\n", None),
    ],
)
def test_a_commit_is_let_through_only_when_it_is_good(hooked: Path, text: str, refused_by: str | None) -> None:
    (hooked / "apps/kernel/hooked.py").write_text(text)
    for step in (["add", "apps/kernel/hooked.py"], ["commit", "-m", "kernel: Try the hooks."]):
        ended = subprocess.run(
            [*GIT, *step], cwd=hooked, env=without_settings(), capture_output=True, text=True, check=False
        )

    said = ended.stdout + ended.stderr
    assert (ended.returncode == 0) == (refused_by is None), said
    failed = [line.partition("...")[0] for line in said.splitlines() if line.endswith("Failed")]
    assert failed == ([refused_by] if refused_by else [])
