"""Reading a WXR file: a first look at the whole of it, then its items one by one. Flat in memory."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NoReturn
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from apps.content.wordpress import mending
from apps.content.wordpress.refusing import refusing
from apps.kernel import imports

MAXIMUM_ITEM_BYTES = 32 * 1024 * 1024
MAXIMUM_ITEM_ELEMENTS = 500_000
# Of what the head of the file declares; a term takes some 700 bytes.
MAXIMUM_HEAD_BYTES = 256 * 1024 * 1024
# In characters, beyond what is kept of them here, so that cut they become the same.
_LONGEST_NAME, _LONGEST_TEXT = 2_000, 40_000
VERSIONS = ("1.0", "1.1", "1.2")
_SPACES = (
    (re.compile(r"https?://wordpress\.org/export/[\d.]+/excerpt/"), "excerpt"),
    (re.compile(r"https?://wordpress\.org/export/[\d.]+/"), "wp"),
    (re.compile(r"https?://purl\.org/rss/1\.0/modules/content/"), "content"),
    (re.compile(r"https?://purl\.org/dc/elements/1\.1/"), "dc"),
)


@dataclass(frozen=True, slots=True)
class Term:
    """A term as the head of the file declares it; `parent` is the slug of another one. `element` is wp:category…"""

    element: str
    taxonomy: str
    slug: str
    name: str
    parent: str
    description: str
    term_id: str = ""

    @property
    def size(self) -> int:
        """In memory, in bytes."""
        texts = (self.taxonomy, self.slug, self.name, self.parent, self.description, self.term_id)
        return sys.getsizeof(self) + sum(map(sys.getsizeof, texts))


@dataclass(frozen=True, slots=True)
class ItemTerm:
    """A term as an item names it; without a taxonomy when the file gives none."""

    taxonomy: str
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment without its author's e-mail and IP address: those are never read."""

    comment_id: str
    author: str
    url: str
    date: str
    date_gmt: str
    content: str
    approved: str
    type: str
    parent: str


@dataclass(frozen=True, slots=True)
class Item:
    """An item as the file has it; `number` counts from 1. A password is only known to be there."""

    number: int
    post_id: str
    guid: str
    type: str
    title: str
    name: str
    link: str
    creator: str
    content: str
    excerpt: str
    status: str
    date: str
    date_gmt: str
    published: str
    parent: str
    menu_order: str
    is_sticky: bool
    has_password: bool
    attachment_url: str
    terms: list[ItemTerm]
    meta: list[tuple[str, str]]
    comments: list[Comment]

    @property
    def key(self) -> str:
        """What names the item within its site: its id, else its guid, its link or its title."""
        return self.post_id or self.guid or self.link or f"title:{self.title}"


@dataclass(slots=True)
class Mended:
    """What of a file XML forbids and was read all the same: control characters that were left out, and bytes that are
    not UTF-8 and were taken as Windows-1252."""

    left_out: int = 0
    taken_as_western: int = 0


@dataclass(slots=True)
class Site:
    """What the first look finds. `repeated` are the keys of items and comments that occur more than once."""

    version: str = ""
    title: str = ""
    link: str = ""
    language: str = ""
    base_site_url: str = ""
    base_blog_url: str = ""
    authors: dict[str, str] = field(default_factory=dict)
    terms: list[Term] = field(default_factory=list)
    item_count: int = 0
    repeated: set[str] = field(default_factory=set)
    mended: Mended = field(default_factory=Mended)


def survey(path: Path) -> Site:
    """Read the whole file once: its head, and whether it is well-formed to the end. Raises ImportRefused."""
    site, seen, size = Site(), set[str](), 0
    with refusing(path):
        for element in _children_of_channel(path, site.mended):
            match _name(element.tag):
                case "item":
                    site.item_count += 1
                    for key in map(brief, _keys(element)):
                        (site.repeated if key in seen else seen).add(key)
                case "wp:author":
                    login, name = _author(element)
                    site.authors[login] = name
                    size += sys.getsizeof(login) + sys.getsizeof(name)
                case "wp:category" | "wp:tag" | "wp:term" as tag:
                    term = _term(tag, element)
                    site.terms.append(term)
                    size += term.size
                case "wp:wxr_version":
                    site.version = site.version or _text(element)
                case "title" | "link" | "language" as tag:
                    setattr(site, tag, getattr(site, tag) or _text(element))
                case "wp:base_site_url" | "wp:base_blog_url" as tag:
                    setattr(site, tag.removeprefix("wp:"), _text(element))
            if size > MAXIMUM_HEAD_BYTES:
                raise imports.ImportRefused(
                    f'"{path}" declares {len(site.terms):,} terms and {len(site.authors):,} authors, more than '
                    f"{MAXIMUM_HEAD_BYTES >> 20} MiB of them. Nothing was imported; export the site in parts."
                )
    if site.version not in VERSIONS:
        found = f'its wp:wxr_version is "{site.version}"' if site.version else "it has no wp:wxr_version"
        raise imports.ImportRefused(
            f'"{path}" can\'t be read as a WordPress export: {found}; known are {", ".join(VERSIONS)}. '
            "Export the site again with Tools > Export."
        )
    return site


def items(path: Path) -> Iterator[Item]:
    """The items of a file that `survey` has found well-formed."""
    number = 0
    with refusing(path):
        for element in _children_of_channel(path, Mended()):
            if element.tag == "item":
                number += 1
                yield _item(number, element)


class _Bounded:
    """Bytes for the parser, no more for one child of rss/channel than memory should hold."""

    def __init__(self, path: Path, stream: BinaryIO, mended: Mended) -> None:
        self._path, self._stream = path, mending.Mending(stream, mended)
        self._items = self._bytes = self._elements = 0

    def read(self, size: int = -1, /) -> bytes:
        """Raises ImportRefused beyond MAXIMUM_ITEM_BYTES since the last child ended."""
        piece = self._stream.read(size)
        self._bytes += len(piece)
        if self._bytes > MAXIMUM_ITEM_BYTES:
            self._refuse(f"{MAXIMUM_ITEM_BYTES:,} bytes")
        return piece

    def count_element(self) -> None:
        """Raises ImportRefused beyond MAXIMUM_ITEM_ELEMENTS since the last child ended."""
        self._elements += 1
        if self._elements > MAXIMUM_ITEM_ELEMENTS:
            self._refuse(f"{MAXIMUM_ITEM_ELEMENTS:,} elements")

    def end_child(self, child: Element) -> None:
        self._items += child.tag == "item"
        self._bytes = self._elements = 0

    def _refuse(self, limit: str) -> NoReturn:
        raise imports.ImportRefused(
            f'"{self._path}": item {self._items + 1:,}, with what stands before it, is larger than {limit}. '
            "Nothing was imported."
        )


def _children_of_channel(path: Path, mended: Mended) -> Iterator[Element]:
    """Each complete child of rss/channel; it is emptied before the next one is read. Raises ImportRefused."""
    with imports.Source(path) as source:
        bounded = _Bounded(path, source.stream, mended)
        open_elements: list[Element] = []
        # No document type: WordPress writes none, and it is where entity bombs live.
        for event, element in ElementTree.iterparse(bounded, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                bounded.count_element()
                open_elements.append(element)
                _check_place(path, open_elements)
                continue
            open_elements.pop()
            if len(open_elements) == 2:
                yield element
                bounded.end_child(element)
                open_elements[1].clear()


def _check_place(path: Path, open_elements: list[Element]) -> None:
    expected = ("rss", "channel")
    depth = len(open_elements) - 1
    if depth < 2 and open_elements[depth].tag != expected[depth]:
        raise imports.ImportRefused(
            f'"{path}" is XML but not a WordPress export: it has <{_name(open_elements[depth].tag)}> '
            f"where <{expected[depth]}> should be."
        )


@lru_cache(maxsize=256)
def _name(tag: str) -> str:
    """`{http://wordpress.org/export/1.2/}post_id` as `wp:post_id`."""
    if not tag.startswith("{"):
        return tag
    space, _, local = tag[1:].partition("}")
    for pattern, prefix in _SPACES:
        if pattern.fullmatch(space):
            return f"{prefix}:{local}"
    return tag


def _text(element: Element) -> str:
    return (element.text or "").strip()


def brief(key: str) -> str:
    """The key, or a digest of one that is longer than any site has."""
    return key if len(key) <= _LONGEST_NAME else hashlib.sha256(key.encode()).hexdigest()


def _fields(element: Element) -> dict[str, str]:
    """The text of each child, the first not blank one of each name."""
    found: dict[str, str] = {}
    for child in element:
        name = _name(child.tag)
        found[name] = found.get(name) or _text(child)
    return found


def _author(element: Element) -> tuple[str, str]:
    fields = _short_fields(element)
    first_and_last = f"{fields.get('wp:author_first_name', '')} {fields.get('wp:author_last_name', '')}".strip()
    login = fields.get("wp:author_login", "")
    return login, fields.get("wp:author_display_name") or first_and_last or login


def _short_fields(element: Element) -> dict[str, str]:
    """The same of an element of the head: nothing longer than is kept of it."""
    return {
        name: value[: _LONGEST_TEXT if name.endswith("_description") else _LONGEST_NAME]
        for name, value in _fields(element).items()
    }


def _term(tag: str, element: Element) -> Term:
    fields = _short_fields(element)
    term_id = fields.get("wp:term_id", "")
    match tag:
        case "wp:category":
            slug, name = fields.get("wp:category_nicename", ""), fields.get("wp:cat_name", "")
            parent, description = fields.get("wp:category_parent", ""), fields.get("wp:category_description", "")
            return Term(tag, "category", slug or name, name or slug, parent, description, term_id)
        case "wp:tag":
            slug, name = fields.get("wp:tag_slug", ""), fields.get("wp:tag_name", "")
            words = fields.get("wp:tag_description", "")
            return Term(tag, "post_tag", slug or name, name or slug, "", words, term_id)
    slug, name = fields.get("wp:term_slug", ""), fields.get("wp:term_name", "")
    parent, description = fields.get("wp:term_parent", ""), fields.get("wp:term_description", "")
    return Term(tag, fields.get("wp:term_taxonomy", ""), slug or name, name or slug, parent, description, term_id)


def _keys(element: Element) -> Iterator[str]:
    """The keys of an item and of its comments."""
    item = _item(0, element)
    yield item.key
    for comment in item.comments:
        yield f"comment:{comment.comment_id}"


def _item(number: int, element: Element) -> Item:
    fields = _fields(element)
    children = [(_name(child.tag), child) for child in element]
    post_id = fields.get("wp:post_id", "")
    return Item(
        number=number,
        post_id="" if post_id == "0" else post_id,
        guid=fields.get("guid", ""),
        type=fields.get("wp:post_type", "") or "post",
        title=fields.get("title", ""),
        name=fields.get("wp:post_name", ""),
        link=fields.get("link", ""),
        creator=fields.get("dc:creator", "") or fields.get("wp:author", ""),
        content=fields.get("content:encoded", ""),
        excerpt=fields.get("excerpt:encoded", ""),
        status=fields.get("wp:status", "") or "publish",
        date=fields.get("wp:post_date", ""),
        date_gmt=fields.get("wp:post_date_gmt", ""),
        published=fields.get("pubDate", ""),
        parent=fields.get("wp:post_parent", ""),
        menu_order=fields.get("wp:menu_order", ""),
        is_sticky=fields.get("wp:is_sticky", "") == "1",
        has_password=bool(fields.get("wp:post_password", "")),
        attachment_url=fields.get("wp:attachment_url", ""),
        terms=[
            ItemTerm(
                child.get("domain", ""),
                (child.get("nicename", "") or _text(child))[:_LONGEST_NAME],
                _text(child)[:_LONGEST_NAME],
            )
            for name, child in children
            if name == "category" and (_text(child) or child.get("nicename"))
        ],
        meta=[_meta(child) for name, child in children if name == "wp:postmeta"],
        comments=[_comment(child) for name, child in children if name == "wp:comment"],
    )


def _meta(element: Element) -> tuple[str, str]:
    fields = _fields(element)
    return fields.get("wp:meta_key", ""), fields.get("wp:meta_value", "")


def _comment(element: Element) -> Comment:
    fields = _fields(element)
    return Comment(
        comment_id=fields.get("wp:comment_id", ""),
        author=fields.get("wp:comment_author", ""),
        url=fields.get("wp:comment_author_url", ""),
        date=fields.get("wp:comment_date", ""),
        date_gmt=fields.get("wp:comment_date_gmt", ""),
        content=fields.get("wp:comment_content", ""),
        approved=fields.get("wp:comment_approved", ""),
        type=fields.get("wp:comment_type", ""),
        parent=fields.get("wp:comment_parent", ""),
    )
