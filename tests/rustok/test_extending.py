"""Four pages of docs/how-to, add-a-kind, -an-event, -a-projection and -a-language: followed to the letter in a copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from babel.messages import pofile

from rustok.environment import CHECKOUT
from tests.rustok.test_tutorial import says

BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

KINDS, TABLES = "apps/content/kinds.py", "apps/readmodels/models.py"
PROJECTION = "apps/readmodels/projections/collection_sizes.py"
RECIPES, SIZES = "tests/content/test_recipes.py", "tests/readmodels/test_collection_sizes.py"
EVENTS, REVIEWING, REVIEWS = "apps/content/events.py", "apps/content/services/reviewing.py", "apps/content/reviews.py"
REVIEWS_TEST = "tests/content/test_reviews.py"
MADE = (KINDS, TABLES, PROJECTION, RECIPES, SIZES, EVENTS, REVIEWING, REVIEWS, REVIEWS_TEST)


def blocks(page: str, language: str) -> list[str]:
    text = (CHECKOUT / "docs" / "how-to" / page).read_text("utf-8")
    return [block["text"] for block in BLOCK.finditer(text) if block["language"] == language]


@dataclass(frozen=True, slots=True)
class Copy:
    """The files of the checkout in a folder of their own, with its environment, and servers and data elsewhere."""

    root: Path
    data: str

    def append(self, file: str, text: str) -> None:
        target = self.root / file
        target.write_text(f"{target.read_text('utf-8').rstrip()}\n\n\n{text}", "utf-8")

    def change(self, file: str, diff: str) -> None:
        old, new = (line[1:] for line in diff.strip().splitlines())
        text = (self.root / file).read_text("utf-8")
        assert text.count(old) == 1, old
        (self.root / file).write_text(text.replace(old, new), "utf-8")

    def write(self, file: str, text: str) -> None:
        assert not (self.root / file).exists(), file
        (self.root / file).write_text(text, "utf-8")

    def run(self, typed: str) -> subprocess.CompletedProcess[str]:
        ours = ("RUSTOK_", "PYTEST", "DJANGO_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return subprocess.run(
            ["bash", "-eu", "-c", typed],
            cwd=self.root,
            env=inherited | {"RUSTOK_DATA_DIR": self.data},
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, typed: str) -> str:
        done = self.run(typed)
        assert done.returncode == 0, f"{typed}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    root = tmp_path_factory.mktemp("extending") / "tree"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (CHECKOUT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, root / name)
    (root / ".venv").symlink_to(CHECKOUT / ".venv")
    with tempfile.TemporaryDirectory(prefix="rustok-") as data:  # short, for the addresses of sockets
        copy = Copy(root, data)
        yield copy
        copy.run(".venv/bin/python manage.py services stop")


def test_a_kind_an_event_and_a_projection_work_as_their_pages_make_them(copy: Copy) -> None:
    kind, kind_test = blocks("add-a-kind.md", "python")
    copy.append(KINDS, kind)
    copy.write(RECIPES, kind_test)
    event, use_case, effect, event_test = blocks("add-an-event.md", "python")
    copy.append(EVENTS, event)
    copy.write(REVIEWING, use_case)
    copy.write(REVIEWS, effect)
    copy.change("apps/content/apps.py", *blocks("add-an-event.md", "diff"))
    copy.write(REVIEWS_TEST, event_test)
    tables, projection, projection_test = blocks("add-a-projection.md", "python")
    copy.append(TABLES, tables)
    copy.write(PROJECTION, projection)
    copy.write(SIZES, projection_test)
    (kind_commands,) = blocks("add-a-kind.md", "sh")
    (event_commands,) = blocks("add-an-event.md", "sh")
    (commands,) = blocks("add-a-projection.md", "sh")
    # One run of pytest for all: what takes time is to make a database.
    *steps, tested = commands.splitlines()
    *event_steps, event_tested = event_commands.splitlines()

    for step in dict.fromkeys([*event_steps, *steps]):
        copy.succeed(step)
    printed = copy.succeed(f"{tested} {kind_commands.split()[-1]} {event_tested.split()[-1]}")

    assert "4 passed" in printed
    reference = (copy.root / "docs" / "reference" / "events.md").read_text("utf-8")
    heard = reference.partition("## commerce.collection.created\n")[2].partition("\n## ")[0]
    assert "projection collection_sizes" in heard
    assert "effect review_notice" in reference.partition("## content.node.reviewed\n")[2].partition("\n## ")[0]
    copy.succeed(".venv/bin/python manage.py events_schema check")
    copy.succeed(".venv/bin/lint-imports")
    copy.succeed(".venv/bin/python manage.py makemigrations --check")
    copy.succeed(f".venv/bin/python -m ruff check {' '.join(MADE)}")
    copy.succeed(f".venv/bin/python -m ruff format --check {' '.join(MADE)}")


def test_a_language_is_whole_or_not_there(copy: Copy) -> None:
    (line,) = blocks("add-a-language.md", "python")
    collect, compile_and_check = blocks("add-a-language.md", "sh")
    collected, compiled = blocks("add-a-language.md", "text")
    settings = copy.root / "rustok" / "settings.py"
    before, start, after = settings.read_text("utf-8").partition("LANGUAGES = [\n")
    assert start
    settings.write_text(before + start + line + after, "utf-8")

    assert says(copy.succeed(collect), collected)
    unfinished = copy.run(compile_and_check)
    catalogue = copy.root / "rustok" / "locale" / "it" / "LC_MESSAGES" / "django.po"
    with catalogue.open("rb") as stored:
        sentences = pofile.read_po(stored)
    for sentence in sentences:
        sentence.string = f"(it) {sentence.id}" if sentence.id else sentence.string
    with catalogue.open("wb") as written:
        pofile.write_po(written, sentences)

    assert unfinished.returncode == 1
    assert "it: not translated: " in unfinished.stderr
    # Of the other languages the suite asks elsewhere.
    finished = copy.run(compile_and_check)
    assert says(finished.stdout, compiled)
    assert "it: " not in finished.stderr
