"""Every command of docs/tutorial/ten-minutes.md, typed in front of a whole `make dev`: answers are as the page says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rustok import servers
from rustok.environment import CHECKOUT, Environment, Profile
from rustok.servers import processes
from tests.rustok.test_walkthrough import Shell
from tests.serving import Dev

PAGE = CHECKOUT / "docs" / "tutorial" / "ten-minutes.md"
# What is typed, and what is answered to it where the page says so.
STEP = re.compile(r"^```sh\n(?P<typed>.+?)^```$(?:\n\n^```text\n(?P<told>.+?)^```$)?", re.MULTILINE | re.DOTALL)
STEPS = [(step["typed"], step["told"]) for step in STEP.finditer(PAGE.read_text("utf-8"))]
# A reader comes a moment later than a test, and the worker has been there.
READS = ('curl -s "$SHOP/api/v1/store/', ".venv/bin/python manage.py events_")


def says(printed: str, told: str) -> bool:
    """Whether all of `told` is in what was printed, in its order; … stands for anything."""
    pieces = (re.escape(piece.strip()) for piece in told.split("…"))
    return re.search(".*?".join(pieces), printed, re.DOTALL) is not None


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("tutorial")
    dev = Dev(folder / "data", folder / "output")
    yield dev
    dev.stop()
    servers.remove(Environment(profile=Profile.TEST, data_dir=dev.data_dir, database_url=None, valkey_url=None))


@pytest.fixture
def shell(dev: Dev, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    shell.run(f"cd {CHECKOUT}; export RUSTOK_DATA_DIR={dev.data_dir}")
    yield shell
    shell.end()


def test_every_command_of_the_tutorial_answers_as_it_says(dev: Dev, shell: Shell) -> None:
    port = str(dev.wait_until_ready())
    (start, started), *steps = STEPS

    recipe = subprocess.run(["make", "-n", "dev"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert start == "make dev\n"
    assert "manage.py dev" in recipe
    assert says(dev.output, started.replace("5150", port)), dev.output
    for typed, told in steps:
        printed: list[str] = []

        def is_as_told(typed: str = typed, told: str | None = told, printed: list[str] = printed) -> bool:
            printed[:] = [shell.run(typed.replace("5150", port))[0]]
            return says(printed[0], told or "")

        patience = 30 if typed.startswith(READS) else 0
        assert processes.wait_until(is_as_told, timeout_seconds=patience, interval_seconds=0.3), (typed, printed)
    assert shell.value("TOKEN").startswith("eyJ")


def test_no_block_of_the_page_is_left_out() -> None:
    told = [told for _typed, told in STEPS if told]

    assert len(STEPS) + len(told) == PAGE.read_text("utf-8").count("```") // 2
    assert len(told) >= 12


@pytest.mark.parametrize("printed", ["a", "b …", "a then c", "b then a"])
def test_an_answer_that_differs_is_seen(printed: str) -> None:
    assert says("1 a, 2 b", "a…b\n")
    assert not says(printed, "a…b\n")
