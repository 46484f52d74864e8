"""A new app: its rooms and tests from the templates beside this file, and its line in each list of apps.

What is written is what a person would write; nothing looks for apps by itself when the product starts.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from apps.kernel import errors

TEMPLATES = Path(__file__).parent
SUFFIX = ".tpl"
NAME = re.compile(r"[a-z][a-z_]{1,39}")


class CannotMakeApp(errors.DomainError):
    """The app cannot be made here; nothing was written."""

    code = "cannot_make_app"


def make_app(*, name: str, floor: str, checkout: Path) -> list[Path]:
    """The app `name` on the floor of the app `floor`, and the files that were written.

    Raises CannotMakeApp, before anything is written, for a name that is none or taken, and an unknown floor.
    """
    _check_name(name, checkout)
    written = _filled(name, checkout) | {
        checkout / file: _with_line(checkout / file, wanted, line)
        for file, wanted, line in (
            (".importlinter", rf"^(    (?:\w+ \| )*{floor}(?: \| \w+)*)$", rf"\1 | {name}"),
            ("rustok/settings.py", rf'^(    "apps\.{floor}",)$', rf'\1\n    "apps.{name}",'),
            (
                "rustok/urls.py",
                r'^(    path\("api/v1/auth/", include\("apps\.accounts\.api\.auth"\)\),)$',
                rf'    path("api/v1/admin/", include("apps.{name}.api")),\n\1',
            ),
        )
    }
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(written)


def _check_name(name: str, checkout: Path) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise CannotMakeApp(f'"{name}" is no name of an app: take lower-case letters and _, such as shipping.')
    taken = [path for path in (checkout / "apps" / name, checkout / "tests" / name) if path.exists()]
    if taken:
        raise CannotMakeApp(f"{taken[0].relative_to(checkout)} is there already: take another name.")


def _filled(name: str, checkout: Path) -> dict[Path, str]:
    words = {"name": name, "title": "".join(part.title() for part in name.split("_"))}
    places = {"app": checkout / "apps" / name, "tests": checkout / "tests" / name}
    return {
        place / str(template.relative_to(TEMPLATES / kind)).removesuffix(SUFFIX): Template(
            template.read_text()
        ).substitute(words)
        for kind, place in places.items()
        for template in sorted((TEMPLATES / kind).rglob(f"*{SUFFIX}"))
    }


def _with_line(path: Path, wanted: str, line: str) -> str:
    """The file's text with the line put in at the only place for it."""
    text, count = re.subn(wanted, line, path.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise CannotMakeApp(f"{path.name} has no place for the app: --floor names an app that is there.")
    return text
