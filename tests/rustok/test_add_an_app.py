"""The app of docs/how-to/add-an-app.md, made by its words only in a copy of the tree, and checked there."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rustok import scaffold
from rustok.environment import CHECKOUT
from tests.rustok.copying import a_copy_of_the_tree, without_settings

GUIDE = (CHECKOUT / "docs/how-to/add-an-app.md").read_text("utf-8")
FILES = dict(re.findall(r"^`((?:apps|tests)/\S+)`\n\n```python\n(.+?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
# The file, the line that goes, and those that come.
CHANGES = re.findall(r"`((?:apps|tests)/\S+\.py)`[^`]+\n\n```diff\n-(.+)\n((?:\+.+\n)+)```$", GUIDE, re.MULTILINE)
COMMANDS = """\
make db-new APP=vouchers
.venv/bin/python manage.py events_schema export
make messages docs-reference docs-api examples clients
make check
"""
# Of all that `make check` runs, what looks at every app there is; the rest would not notice this one.
NOTICING = (
    "tests/vouchers",
    "tests/architecture/test_floors.py",
    "tests/architecture/test_catalogue.py",
    "tests/architecture/test_source.py",
    "tests/events/test_registry.py",
    "tests/events/test_schema_lock.py",
    "tests/contracts/test_examples.py",
    "tests/sweep/test_inventory.py",
)
BIN = CHECKOUT / ".venv/bin"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the tree with the app in it."""
    with a_copy_of_the_tree(tmp_path_factory.mktemp("house")) as tree:
        scaffold.make_app(name="vouchers", floor="commerce", checkout=tree)
        for name, text in FILES.items():
            (tree / name).write_text(text)
        for name, before, after in CHANGES:
            text = (tree / name).read_text()
            assert text.count(f"{before}\n") == 1
            (tree / name).write_text(text.replace(f"{before}\n", re.sub(r"^\+", "", after, flags=re.MULTILINE)))
        put_on_record(tree)
        yield tree


def put_on_record(tree: Path) -> None:
    """What COMMANDS do before they check."""
    for command in (
        ["makemigrations", "vouchers"],
        ["events_schema", "export"],
        ["messages"],
        ["docs_reference"],
        ["openapi", "export"],
    ):
        run(tree, BIN / "python", "manage.py", *command)
    run(
        tree,
        BIN / "python",
        "-m",
        "pytest",
        "-q",
        "tests/contracts/test_examples.py",
        "-k",
        "answered",
        "--write-examples",
    )
    run(tree, BIN / "python", "manage.py", "openapi", "export")
    run(tree, BIN / "python", "clients/generate.py", "--only", "python")


def run(tree: Path, *command: str | Path) -> str:
    ended = subprocess.run(
        list(map(str, command)),
        cwd=tree,
        env=without_settings() | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout[-3000:]}{ended.stderr[-3000:]}"
    return ended.stdout


def test_it_takes_less_than_120_lines() -> None:
    """Its test among them; empty lines and what the scaffold has written are not counted."""
    assert (len(FILES), len(CHANGES)) == (6, 2)
    written = [*FILES.values(), *(after for _, _, after in CHANGES)]
    assert sum(bool(line.strip()) for text in written for line in text.splitlines()) < 120


def test_the_guide_names_what_puts_it_on_record() -> None:
    assert COMMANDS in GUIDE


def test_it_passes_the_checks_that_need_no_server(tree: Path) -> None:
    run(tree, BIN / "ruff", "format", "--no-cache", "--check", "apps/vouchers", "tests/vouchers", "rustok")
    run(tree, BIN / "ruff", "check", "--no-cache", "apps/vouchers", "tests/vouchers", "rustok")
    assert "3 kept, 0 broken" in run(tree, BIN / "lint-imports", "--no-cache")
    run(tree, BIN / "python", "manage.py", "events_schema", "check")
    run(tree, BIN / "python", "manage.py", "docs_reference", "--check")
    run(tree, BIN / "python", "manage.py", "openapi", "check")
    run(tree, BIN / "python", "manage.py", "messages", "--check")
    run(tree, BIN / "python", "manage.py", "makemigrations", "--check", "--dry-run")
    run(tree, BIN / "python", "clients/generate.py", "--check", "--only", "python")


def test_its_operation_is_in_the_document(tree: Path) -> None:
    document = json.loads((tree / "rustok/openapi/openapi.json").read_text())

    operation = document["paths"]["/api/v1/admin/vouchers"]["post"]
    assert operation["operationId"] == "voucher_create"
    assert {"201", "401", "403", "409", "422"} <= operation["responses"].keys()


def test_its_types_hold(tree: Path) -> None:
    run(tree, BIN / "python", "-m", "mypy", "--cache-dir", str(CHECKOUT / ".mypy_cache/add-an-app"), "apps/vouchers")


def test_it_works_and_no_test_of_the_suite_says_no_to_it(tree: Path) -> None:
    said = run(tree, BIN / "python", "-m", "pytest", "-q", *NOTICING)

    assert re.search(r"^\d+ passed", said, re.MULTILINE), said


@pytest.mark.parametrize(
    ("name", "floor", "said"),
    [
        ("Vouchers", "commerce", "no name of an app"),
        ("class", "commerce", "no name of an app"),
        ("tenants", "commerce", "is there already"),
        ("vouchers", "nowhere", "names an app that is there"),
    ],
)
def test_the_scaffold_says_no_before_it_writes(name: str, floor: str, said: str) -> None:
    with pytest.raises(scaffold.CannotMakeApp, match=said):
        scaffold.make_app(name=name, floor=floor, checkout=CHECKOUT)

    assert not (CHECKOUT / "apps/vouchers").exists()
