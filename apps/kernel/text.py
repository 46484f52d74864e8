"""Slugs from titles in any script, safe HTML, and plain text for search."""

from __future__ import annotations

import html
import re

import nh3
from markdown_it import MarkdownIt
from slugify import slugify

MAXIMUM_SLUG_LENGTH = 255
_TAG = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)
_SPACE = re.compile(r"\s+")
_markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

_SEARCH_LANGUAGES = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian",
    "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian",
    "nb": "norwegian", "nn": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip

_ATTRIBUTES = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}
_ATTRIBUTES.setdefault("*", set()).update({"class", "id", "title", "lang", "dir"})
_ATTRIBUTES.setdefault("img", set()).update({"srcset", "sizes", "loading"})
_TAGS = nh3.ALLOWED_TAGS | {"figure", "figcaption", "video", "audio", "source", "section", "main", "picture"}
_ATTRIBUTES["video"] = {"src", "controls", "poster", "width", "height", "loop", "muted", "preload"}
_ATTRIBUTES["audio"] = {"src", "controls", "loop", "muted", "preload"}
_ATTRIBUTES["source"] = {"src", "srcset", "type", "media", "sizes"}


def to_slug(text: str) -> str:
    """A slug of a-z, 0-9 and single hyphens from text in any script; empty when nothing can be spelled."""
    return slugify(text, max_length=MAXIMUM_SLUG_LENGTH, word_boundary=True)


def clean_html(markup: str) -> str:
    """The markup without scripts, event handlers, forms, styles or foreign protocols; HTML comments are kept.

    Comments carry the block structure of WordPress bodies; they are inert in a browser.
    """
    if "<" not in markup and "&" not in markup:
        return markup
    return nh3.clean(markup, tags=_TAGS, attributes=_ATTRIBUTES, strip_comments=False, link_rel="noopener noreferrer")


def markdown_to_html(source: str) -> str:
    """Safe HTML for a CommonMark source."""
    return clean_html(str(_markdown.render(source)))


def to_plain_text(markup: str, *, maximum_length: int = 100_000) -> str:
    """The words of an HTML fragment on one line, for search and excerpts."""
    return _SPACE.sub(" ", html.unescape(_TAG.sub(" ", markup))).strip()[:maximum_length]


def search_language(locale: str) -> str:
    """The Postgres text search configuration for a locale; `simple` (no stemming) where there is none."""
    return _SEARCH_LANGUAGES.get(locale[:2], "simple")
