"""Addresses of pages on another site, as far as they tell one page from another: the path, and the query where that
names the page, such as `/?p=12`."""

from __future__ import annotations

import unicodedata
from urllib.parse import parse_qsl, unquote, urlsplit

LONGEST = 500
# What WordPress and others name a page by. All else in a query is of no page, such as a campaign.
_NAMING = ("p", "page_id", "attachment_id", "post_type", "cat", "tag", "author", "id", "product")


class NoPath(ValueError):
    """This is the address of no page."""


def plain(address: str) -> str:
    """The path of an address, or of a path, decoded and without a slash at its end; `/` itself is none.

    Raises NoPath where nothing is left that tells a page, or more than LONGEST characters.
    """
    try:
        parts = urlsplit(address.strip())
        path = unicodedata.normalize("NFC", unquote(parts.path, errors="strict")).rstrip("/")
    except ValueError:
        raise NoPath(address) from None
    named = sorted((name, value) for name, value in parse_qsl(parts.query) if name in _NAMING)
    query = "&".join(f"{name}={value}" for name, value in named)
    found = f"{path or '/'}?{query}" if query else path
    if not found.startswith("/") or found.startswith("//") or len(found) > LONGEST or not found.isprintable():
        raise NoPath(address)
    return found
