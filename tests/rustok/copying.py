"""A copy of this tree, to be worked on as if it were the reader's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rustok import environment, servers
from rustok.environment import CHECKOUT

OURS = ("RUSTOK_", "PYTEST_", "DJANGO_", "MAKE", "MFLAGS", "ARGS", "DATABASE_", "VALKEY_", "COV_")
GIT = ["git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.test"]


def without_settings() -> dict[str, str]:
    """The environment without what the tests have set for themselves."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


@contextmanager
def a_copy_of_the_tree(folder: Path) -> Iterator[Path]:
    """The files of this tree as a repository with one commit; servers that were started in it go with it."""
    tree = folder / "rustok"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (CHECKOUT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, tree / name)
    for step in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all: Begin."]):
        subprocess.run([*GIT, *step], cwd=tree, env=without_settings(), check=True, capture_output=True)
    try:
        yield tree
    finally:
        if (tree / ".rustok").exists():
            servers.remove(environment.Environment(profile=environment.Profile.DEVELOPMENT, data_dir=tree / ".rustok"))
