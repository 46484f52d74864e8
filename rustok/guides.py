"""The pages of `docs/`, served as they are: for readers that follow a link, and for language models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import conditional_page, require_safe

from rustok.environment import CHECKOUT

ADDRESS = "/docs/"
CACHED = "public, max-age=3600"


@dataclass(frozen=True, slots=True)
class Guide:
    """A page: `summary` is its first paragraph in one line."""

    name: str
    text: str

    @property
    def title(self) -> str:
        return self.text.partition("\n")[0].removeprefix("# ")

    @property
    def summary(self) -> str:
        return " ".join(self.text.split("\n\n")[1].split())


def get(name: str) -> Guide:
    """The page of this name, as `how-to/call-the-api.md`. Raises KeyError."""
    return _all()[name]


def all_guides() -> dict[str, Guide]:
    """Every page by its name."""
    return dict(_all())


@cache
def _all() -> dict[str, Guide]:
    """Read once: only what is in the folder has an address, whatever a path says."""
    folder = CHECKOUT / "docs"
    found = ((page.relative_to(folder).as_posix(), page.read_text("utf-8")) for page in folder.rglob("*.md"))
    return {name: Guide(name, text) for name, text in found}


@require_safe
@conditional_page
def page(request: HttpRequest, name: str) -> HttpResponse:
    """One page, as Markdown."""
    try:
        text = get(name).text
    except KeyError:
        raise Http404 from None
    return HttpResponse(text, content_type="text/markdown; charset=utf-8", headers={"Cache-Control": CACHED})
