"""`make docs`: all pages, nothing inline, nothing from elsewhere, and no to what is broken."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rustok import guide_indexes, guides
from rustok.environment import CHECKOUT

DOCS = CHECKOUT / "docs"
SPHINX = [CHECKOUT / ".rustok" / "docs" / "bin" / "python", "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q"]


class Resources(HTMLParser):
    """What a page loads, and what of it our Content-Security-Policy would not let it do."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.refused: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.refused += [f"{tag} {name}" for name in found if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and not found.get("src")):
            self.refused.append(tag)
        if tag in {"script", "img"} or (tag == "link" and found.get("rel") == "stylesheet"):
            self.loaded.append(found.get("src") or found.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    made = subprocess.run(
        ["make", "docs", f"DOCS_SITE={folder}"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def test_every_page_of_docs_is_a_page_of_the_site(site: Path) -> None:
    for name in guides.all_guides():
        assert (site / name).with_suffix(".html").is_file(), name


def test_the_site_stands_alone_under_the_policy_of_the_product(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    for page in pages:
        resources = Resources()
        resources.feed(page.read_text("utf-8"))
        assert resources.refused == [], page
        for address in resources.loaded:
            assert (page.parent / address.partition("?")[0]).is_file(), f"{page}: {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text("utf-8")), style
    assert len(pages) > 80


@pytest.mark.parametrize(
    ("page", "text", "said"),
    [
        ("how-to/first.md", "# First\n\n[Gone](gone.md)\n", "gone.md"),
        ("how-to/first.md", "# First\n\n[There](../glossary.md#nowhere)\n", "nowhere"),
        ("how-to/first.md", "# First\n\n![Picture](../images/none.webp)\n", "none.webp"),
        ("how-to/orphan.md", "# Orphan\n\nNobody leads here.\n", "isn't included in any toctree"),
    ],
)
def test_what_is_broken_ends_it(site: Path, tmp_path: Path, page: str, text: str, said: str) -> None:
    shutil.copytree(DOCS / "site", tmp_path / "site")
    pages = {
        "index.md": "# All\n\n- [How-to](how-to/index.md)\n- [Glossary](glossary.md)\n",
        "how-to/index.md": "# How-to\n\n- [First](first.md)\n",
        "how-to/first.md": "# First\n\n[Word](../glossary.md#word)\n",
        "glossary.md": "# Glossary\n\n## Word\n\nYes.\n",
    }
    (tmp_path / "how-to").mkdir()

    def build(pages: dict[str, str]) -> subprocess.CompletedProcess[str]:
        for name, content in pages.items():
            (tmp_path / name).write_text(content)
        arguments = [*SPHINX, "-c", tmp_path / "site", tmp_path, tmp_path / "made"]
        return subprocess.run(arguments, capture_output=True, text=True, check=False)

    whole, broken = build(pages), build(pages | {page: text})

    assert (whole.returncode, whole.stderr) == (0, "")
    assert broken.returncode == 1
    assert said in broken.stderr


def test_topics_name_pages_that_are_there_or_to_come_and_each_once() -> None:
    for shelf in guide_indexes.SHELVES:
        named = [name for names in shelf.topics.values() for name in names]
        assert len(named) == len(set(named)), shelf.folder


def test_a_page_that_no_topic_names_is_listed_all_the_same() -> None:
    made = guide_indexes.render(generated={"how-to/new.md": "# Do something new\n\nNew.\n"})

    assert "\n## More\n\n- [Do something new](new.md)\n" in made["how-to/index.md"]
    assert made["how-to/index.md"].count("(roles.md)") == 1
