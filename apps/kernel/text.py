"""Slugs from titles in any script, safe HTML, and plain text for search."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import nh3
from markdown_it import MarkdownIt
from slugify import slugify

from apps.kernel import errors, wording

MAXIMUM_SLUG_LENGTH = 255
MAXIMUM_DEPTH = 256
_CLOSED_BY_HTML = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"),
    *("p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "colgroup"),
}
_OPENING_OR_CLOSING = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)")
_NOT_IN_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
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


# What a spreadsheet takes for the beginning of a formula.
_STARTS_OF_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "＝", "＋", "－", "＠")


def storable(text: str) -> str:
    """The text without what the database can't store: NUL, and halves of characters."""
    plain = text.replace("\x00", "")
    return plain if plain.isascii() else plain.encode(errors="ignore").decode()


def to_cell(text: str) -> str:
    """The text for a CSV cell; one that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS_OF_FORMULAS) else text


def to_slug(text: str) -> str:
    """A slug of a-z, 0-9 and single hyphens from text in any script; empty when nothing can be spelled."""
    return slugify(text, max_length=MAXIMUM_SLUG_LENGTH, word_boundary=True)


def clean_html(markup: str) -> str:
    """The markup without scripts, event handlers, forms, styles or foreign protocols; HTML comments are kept.

    Raises ValidationFailed for elements nested deeper than MAXIMUM_DEPTH.

    Comments carry the block structure of WordPress bodies; they are inert in a browser.
    """
    if "<" not in markup and "&" not in markup:
        return markup
    if _depth(markup) > MAXIMUM_DEPTH:
        # The sanitiser's time grows with the square of the depth: one such body would hold up everyone.
        raise errors.ValidationFailed.for_field(
            "/body",
            "nested_too_deep",
            wording.say(
                "the HTML is nested deeper than {maximum_depth} elements; close what you open.",
                maximum_depth=MAXIMUM_DEPTH,
            ),
        )
    return nh3.clean(markup, tags=_TAGS, attributes=_ATTRIBUTES, strip_comments=False, link_rel="noopener noreferrer")


def markdown_to_html(source: str) -> str:
    """Safe HTML for a CommonMark source; the escaped source where its HTML is nested too deep."""
    return safe_html(str(_markdown.render(source)), otherwise=source)


def safe_html(markup: str, *, otherwise: str | None = None) -> str:
    """Stored markup as it may be shown, whoever stored it; escaped (or `otherwise` is) where it is nested too deep."""
    try:
        return clean_html(markup)
    except errors.ValidationFailed:
        return f"<pre>{html.escape(markup if otherwise is None else otherwise)}</pre>"


def map_block_html(value: Any, change: Callable[[str], str]) -> Any:
    """Blocks with the HTML under keys named `html` changed; other text is for the frontend to escape."""
    if isinstance(value, dict):
        return {
            key: change(item) if key == "html" and isinstance(item, str) else map_block_html(item, change)
            for key, item in value.items()
        }
    return [map_block_html(item, change) for item in value] if isinstance(value, list) else value


def for_xml(words: str) -> str:
    """The text without the characters that no XML document may hold (XML 1.0, 2.2)."""
    return _NOT_IN_XML.sub("", words)


def to_plain_text(markup: str, *, maximum_length: int = 100_000) -> str:
    """The words of an HTML fragment on one line, for search and excerpts. Linear in the length of the markup."""
    return to_one_line(html.unescape(_without_tags(markup)))[:maximum_length]


def to_one_line(text: str) -> str:
    """The words of plain text with single spaces between them, in the composed form of Unicode as names are kept."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())


def _without_tags(markup: str) -> str:
    """Every tag and comment becomes a space; one that is never closed ends the text, as it does in a browser."""
    words, here = [], 0
    while (opening := markup.find("<", here)) >= 0:
        words.append(markup[here:opening])
        end = "-->" if markup.startswith("<!--", opening) else ">"
        closing = markup.find(end, opening + 1)
        if closing < 0:
            return " ".join(words)
        here = closing + len(end)
    return " ".join([*words, markup[here:]])


def _depth(markup: str) -> int:
    """How deep elements are nested at most, by their tags; those HTML closes by itself are not counted."""
    depth = deepest = 0
    for closing, name in _OPENING_OR_CLOSING.findall(markup):
        if name.lower() in _CLOSED_BY_HTML:
            continue
        depth = max(depth - 1, 0) if closing else depth + 1
        deepest = max(deepest, depth)
    return deepest


def search_language(locale: str) -> str:
    """The Postgres text search configuration for a locale; `simple` (no stemming) where there is none."""
    return _SEARCH_LANGUAGES.get(locale[:2], "simple")
