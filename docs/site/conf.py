"""How Sphinx makes a site of the pages in `docs/`: `make docs`.

Why Sphinx: docs/decisions/0115-sphinx-makes-the-site.md.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "RusToK for Python"
html_title = project
extensions = ["myst_parser"]
exclude_patterns = ["site"]
templates_path = ["templates"]
nitpicky = True
smartquotes = False
# Answers in the pages are shortened with …, which no lexer of JSON takes.
suppress_warnings = ["misc.highlighting_failure"]

myst_heading_anchors = 4

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = False

LINK = re.compile(r"^- \[[^\]]+\]\((\S+)\.md\)", re.MULTILINE)
# The pages are sorted by what they link to, so that they read the same on GitHub: an index is a list, and its links are
# the navigation. A page that no index names is an orphan, and Sphinx says so.
TREE = "\n```{{toctree}}\n:hidden:\n\n{}\n```\n"


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    if Path(page).name == "index" and (linked := LINK.findall(source[0])):
        source[0] += TREE.format("\n".join(linked))


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_navigation)
