"""Every target explains itself and works: the cheap ones are run in a copy of the tree, the dear ones begun."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rustok.environment import CHECKOUT
from tests.rustok.copying import a_copy_of_the_tree, without_settings

CATEGORIES = [
    "Development", "Testing", "Quality", "Database", "Build", "Security", "Documentation", "Benchmarking",
]  # fmt: skip
# What each cheap target says when it has worked. They are run in this order, in one copy, on servers of its own.
CHEAP = {
    "help": "  dev ",
    "env": "",
    "services": "postgres  running",
    "services-status": "valkey    running",
    "db-migrate": "Applying",
    "db-status": "[X] 0001_initial",
    "db-check": "No changes detected",
    "db-new APP=commerce": "No changes detected in app 'commerce'",
    "db-seed": "",
    "doctor": "ok  migrations",
    "shell </dev/null": "",
    "db-shell </dev/null": "",
    "tree": "django v",
    "fmt-check": "already formatted",
    "fmt-fix": "left unchanged",
    "lint-fix": "All checks passed",
    "format": "left unchanged",
    "lint": "Imports point down the floors KEPT",
    "floors": "KEPT",
    "unused": "All checks passed",
    "secrets": "No secret found",
    "messages": "",
    "docs-reference": "Wrote docs/reference/settings.md",
    "docs-api": "",
    "build-static": "static files",
    "build-release": ".tar.gz",
    "hooks": "pre-commit installed",
    "new-app NAME=parcels": "apps/parcels/api.py",
    "db-reset YES=1": "Applying",
    "services-stop": "Stopped valkey and postgres",
    "clean-all YES=1": "rm -rf .rustok",
}
# Measurements, whole test runs and what asks the network: make can start each, and their programs answer to --help.
DEAR = {
    "dev", "test", "test-fast", "test-integration", "test-coverage", "test-core", "test-content", "test-commerce",
    "test-app", "test-failed", "soak", "rebuild-proof", "import-proof", "fuzz-api", "check", "ci", "types",
    "build-server", "build-clients", "clients", "clients-check", "clean", "audit", "audit-all", "outdated",
    "update-deps", "docs", "docs-serve", "screenshots",
    "pre-commit", "pre-push", "docs-all", "examples", "bench", "bench-events", "bench-isolation",
    "bench-edge", "benchmark", "time-build", "time-tests",
}  # fmt: skip
NAMED = {"test-app": "APP=tenants"}
ENV = without_settings()


def make(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """`make line` in the folder, a shell's redirections included."""
    return subprocess.run(
        ["bash", "-c", f"make {line}"], cwd=folder, env=ENV, capture_output=True, text=True, check=False
    )


def targets() -> dict[str, str]:
    return dict(re.findall(r"^([a-z][a-z-]*):.*## (.*)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))


def test_the_help_lists_every_target_in_eight_categories_within_100_columns() -> None:
    said = make(CHECKOUT, "help").stdout

    assert re.findall(r"^(\w+)$", said, re.MULTILINE) == CATEGORIES
    assert re.findall(r"^  ([a-z-]+)  ", said, re.MULTILINE) == list(targets())
    assert max(map(len, said.splitlines())) <= 100
    assert len(targets()) >= 40


def test_every_target_is_tried_and_is_no_file() -> None:
    cheap = {line.split()[0] for line in CHEAP}

    assert cheap | DEAR == targets().keys()
    assert not cheap & DEAR
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert phony == targets().keys()


@pytest.fixture(scope="module")
def copied_tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with a_copy_of_the_tree(tmp_path_factory.mktemp("tree")) as tree:
        shutil.copytree(CHECKOUT / ".rustok/tool", tree / ".rustok/tool", symlinks=True)
        yield tree


def test_every_cheap_target_works(copied_tree: Path) -> None:
    for line, expected in CHEAP.items():
        ended = make(copied_tree, line)
        assert ended.returncode == 0, f"make {line}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
        assert expected in ended.stdout + ended.stderr, f"make {line}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    assert not (copied_tree / ".rustok").exists()
    assert not (copied_tree / ".venv").exists()


@pytest.mark.parametrize("target", sorted(DEAR))
def test_every_dear_target_starts(target: str) -> None:
    ended = make(CHECKOUT, f"--dry-run {target} {NAMED.get(target, '')}")

    assert ended.returncode == 0, ended.stderr
    for program in re.findall(r"^\S*python (?:-W ignore )?-m (tests\.[\w.]+)", ended.stdout, re.MULTILINE):
        helped = subprocess.run(
            [CHECKOUT / ".venv/bin/python", "-m", program, "--help"],
            cwd=CHECKOUT,
            env=ENV,
            capture_output=True,
            check=False,
        )
        assert helped.returncode == 0, helped.stderr
    for file in re.findall(r"(?:python|--file) ((?:tests|clients|deploy)/\S+)", ended.stdout):
        assert (CHECKOUT / file).exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("db-reset", "Say: make db-reset YES=1"),
        ("clean-all", "Say: make clean-all YES=1"),
        ("db-new", "Say APP=…, for example: make db-new APP=commerce"),
        ("new-app", "Say NAME=…, for example: make new-app NAME=shipping"),
        ("test-app", "Say APP=…, for example: make test-app APP=tenants"),
    ],
)
def test_what_needs_a_word_says_which(line: str, said: str) -> None:
    ended = make(CHECKOUT, line)

    assert ended.returncode == 2
    assert said in ended.stderr
