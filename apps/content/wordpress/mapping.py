"""What the objects of a WordPress site become here. Pure: no database, no clock; what differs is noted."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

import orjson
from pydantic_core import PydanticCustomError

from apps.content import kinds, models
from apps.content.wordpress import paragraphs, reading
from apps.kernel import paths, text, validation

MENU_TYPE, MENU_TAXONOMY, TAG_TAXONOMY = "nav_menu_item", "nav_menu", "post_tag"
MAXIMUM_META_LENGTH = 10_000
MAXIMUM_META_BYTES = 60_000
_NO_DATE = "no date of publication in the years 1900 to 2199; the time of the import stands for it"
_KINDS = {"page": kinds.PAGE, "post": kinds.POST, "attachment": kinds.ATTACHMENT}
_LABELS = {"page": "pages", "post": "posts", "attachment": "attachments"}
_NOT_HTML = {"custom_css", "wp_global_styles", "oembed_cache", "customize_changeset"}
# WordPress shows these to nobody as they are: parts of themes, styles, and forms with the addresses their mail goes to.
_INTERNAL_TYPES = {
    "custom_css", "customize_changeset", "elementor_library", "oembed_cache", "user_request", "wp_block",
    "wp_font_face", "wp_font_family", "wp_global_styles", "wp_navigation", "wp_template", "wp_template_part",
    "wpcf7_contact_form", "wpforms", "acf-field", "acf-field-group", "shop_order", "shop_coupon",
}  # fmt: skip
# WordPress' own housekeeping, and what has a field of its own in the metadata.
_META_LEFT_OUT = {
    "_edit_lock", "_edit_last", "_pingme", "_encloseme", "_publicize_pending", "_wp_old_slug", "_wp_old_date",
    "_wp_attached_file", "_wp_attachment_metadata", "_wp_attachment_image_alt", "_wp_page_template", "_thumbnail_id",
    "_wp_trash_meta_status", "_wp_trash_meta_time", "_wp_desired_post_slug", "_oembed_time",
}  # fmt: skip
_ELEMENTS = {
    "title": "title", "slug": "wp:post_name", "excerpt": "excerpt:encoded", "body": "content:encoded",
    "bodies": "content:encoded", "author_name": "dc:creator", "metadata": "wp:postmeta", "kind": "wp:post_type",
    "published_at": "wp:post_date", "external_id": "wp:post_id", "parent_id": "wp:post_parent",
    "category_ids": "category", "tag_ids": "category",
}  # fmt: skip
_PERSONAL_KEY = re.compile(r"(^|_)(e?mail|ip|ip_address|password|pass)(_|$)", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_SERIALISED_SIZE = re.compile(r's:\d+:"(width|height)";(?:i:|s:\d+:")(\d{1,9})\b')
_MENU_ORDER = re.compile(r"-?[0-9]{1,9}")
# Files may have an @ in their names, as those for fine screens do; before the first slash it is somebody's password.
_ADDRESS = re.compile(r"https?://[^/?#@\\\s]+([/?#].*)?", re.DOTALL | re.IGNORECASE)
_NO_ADDRESS = "no address that begins with http:// or https://; left out"
_REMOVED = re.compile(r"<(applet|button|embed|form|iframe|input|link|object|script|select|style|textarea)\b", re.I)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was not taken as it stands: a row of the report."""

    row: int
    column: str
    value: str
    problem: str


@dataclass(frozen=True, slots=True)
class WantedTerm:
    """A term with the slug it has here; tags are the taxonomy post_tag."""

    taxonomy: str
    slug: str
    name: str
    parent: str = ""
    description: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.taxonomy, self.slug

    @property
    def is_tag(self) -> bool:
        return self.taxonomy == TAG_TAXONOMY


@dataclass(slots=True)
class WantedNode:
    """A node as the file wants it. `slug` is None when the file has none; ids are external ones."""

    row: int
    label: str
    external_id: str
    kind: str
    status: str
    published_at: datetime | None
    parent: str | None
    title: str
    slug: str | None
    excerpt: str
    format: str
    body: str
    author_name: str
    metadata: dict[str, Any]
    old_paths: list[str] = field(default_factory=list)
    terms: list[WantedTerm] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def is_spam(self) -> bool:
        return self.kind == kinds.COMMENT and self.metadata.get("status") == "spam"


class Mapper:
    """Maps the objects of one site. `kept_private` counts custom fields with personal data, which are left out."""

    def __init__(self, site: reading.Site, file_name: str) -> None:
        self.site = site
        self.prefix = f"wordpress:{site_name(site, file_name)}"
        self.kept_private = 0

    def external_id(self, key: str) -> str:
        """`wordpress:example.com/blog:42`; a digest where that is too long."""
        plain = f"{self.prefix}:{key}"
        return plain if len(plain) <= 255 else f"wordpress:sha256:{hashlib.sha256(plain.encode()).hexdigest()}"

    def node(self, item: reading.Item) -> WantedNode:
        notes: list[Note] = []
        status, published_at = _status(item, notes)
        title, slug = _title(item, notes), _slug(item, notes)
        excerpt = text.to_plain_text(item.excerpt)
        if len(excerpt) > 1000:
            notes.append(Note(item.number, "excerpt:encoded", excerpt, "longer than 1,000 characters; cut off"))
            excerpt = excerpt[:999] + "…"
        removed = sorted({tag.lower() for tag in _REMOVED.findall(item.content)})
        is_html = item.type not in _NOT_HTML
        if removed and is_html:
            shown = ", ".join(f"<{tag}>" for tag in removed)
            notes.append(Note(item.number, "content:encoded", shown, "not allowed in a body; left out"))
        return WantedNode(
            row=item.number,
            label=_LABELS.get(item.type, f"custom ({item.type})"),
            external_id=self.external_id(item.key),
            kind=_KINDS.get(item.type, kinds.CUSTOM),
            status=status,
            published_at=published_at,
            parent=self.external_id(item.parent) if item.parent not in {"", "0"} else None,
            title=title,
            slug=slug,
            excerpt=excerpt,
            format=models.Format.HTML if is_html else models.Format.PLAIN,
            body=paragraphs.as_shown(item.content) if is_html and item.type not in _INTERNAL_TYPES else item.content,
            author_name=_person(self.site.authors.get(item.creator, item.creator)),
            metadata=self._metadata(item, notes),
            old_paths=_old_paths(item),
            terms=_terms(item, notes),
            notes=notes,
        )

    def comments(self, item: reading.Item) -> Iterator[WantedNode]:
        placed: set[str] = set()
        by_id = {comment.comment_id: comment for comment in item.comments}
        for comment in parents_first(item.comments, by_id, lambda comment: comment.parent):
            notes: list[Note] = []
            parent = self.external_id(item.key)
            if comment.parent not in {"", "0"}:
                if comment.parent in placed:
                    parent = self.external_id(f"comment:{comment.parent}")
                else:
                    problem = "the comment it answers is not in the file, or answers it; placed below the post"
                    notes.append(Note(item.number, "wp:comment_parent", comment.parent, problem))
            placed.add(comment.comment_id)
            yield self._comment(item, comment, parent, notes)

    def _comment(self, item: reading.Item, comment: reading.Comment, parent: str, notes: list[Note]) -> WantedNode:
        author = _person(text.to_plain_text(comment.author))
        date = moment(comment.date_gmt) or moment(comment.date)
        status = {"1": models.Status.PUBLISHED, "spam": models.Status.ARCHIVED, "trash": models.Status.ARCHIVED,
                  "post-trashed": models.Status.ARCHIVED}.get(comment.approved, models.Status.DRAFT)  # fmt: skip
        if date is None and status == models.Status.PUBLISHED:
            notes.append(Note(item.number, "wp:comment_date", comment.date_gmt or comment.date, _NO_DATE))
        metadata: dict[str, Any] = {"author_name": author, "url": comment.url if _is_web(comment.url) else ""}
        if comment.type not in {"", "comment"}:
            metadata["comment_type"] = comment.type
        if status != models.Status.PUBLISHED:
            metadata |= {"status": comment.approved or "0", "date": date and validation.to_text(date)}
        key = (
            comment.comment_id
            or hashlib.sha256(f"{item.key}{comment.date}{comment.author}{comment.content}".encode()).hexdigest()
        )
        return WantedNode(
            row=item.number,
            label="comments",
            external_id=self.external_id(f"comment:{key}"),
            kind=kinds.COMMENT,
            status=status,
            published_at=date if status == models.Status.PUBLISHED else None,
            parent=parent,
            title=f"Comment by {author}"[:255] if author else "Comment",
            slug=text.to_slug(f"comment-{key}"),
            excerpt="",
            format=models.Format.HTML,
            body=paragraphs.as_shown(comment.content),
            author_name=author,
            metadata={name: value for name, value in metadata.items() if value},
            notes=notes,
        )

    def _metadata(self, item: reading.Item, notes: list[Note]) -> dict[str, Any]:
        meta = dict(item.meta)
        date = moment(item.date_gmt) or moment(item.date)
        template, thumbnail = meta.get("_wp_page_template", ""), meta.get("_thumbnail_id", "")
        found: dict[str, Any] = {
            "link": _link(item, notes),
            "slug": item.name,
            "post_type": item.type if item.type not in _KINDS else "",
            "sticky": item.is_sticky,
            "menu_order": menu_order(item),
            "template": template if template != "default" else "",
            "featured_image": self.external_id(thumbnail) if thumbnail.isdigit() and thumbnail != "0" else "",
            "has_password": item.has_password,
        }
        if item.status not in {"publish", "inherit"}:
            found |= {"status": item.status, "date": date and validation.to_text(date)}
        if item.type == "attachment":
            found |= _file(item, meta, notes)
        found["meta"] = self._custom_fields(item, notes)
        return {name: value for name, value in found.items() if value}

    def _custom_fields(self, item: reading.Item, notes: list[Note]) -> dict[str, Any]:
        """Post meta worth keeping, as text (PHP-serialised values as they are); a list where a key repeats."""
        kept: dict[str, Any] = {}
        for key, value in item.meta:
            if not key or not value or key in _META_LEFT_OUT or key.startswith(("_oembed_", "_menu_item_")):
                continue
            if _PERSONAL_KEY.search(key) or _EMAIL.fullmatch(value):
                self.kept_private += 1
            elif len(value) > MAXIMUM_META_LENGTH:
                problem = (
                    f"a custom field of {len(value):,} characters is not kept; the limit is {MAXIMUM_META_LENGTH:,}"
                )
                notes.append(Note(item.number, f"wp:postmeta {key}", "", problem))
            elif key in kept:
                kept[key] = [*(kept[key] if isinstance(kept[key], list) else [kept[key]]), value]
            else:
                kept[key] = value
        while kept and len(orjson.dumps(kept)) > MAXIMUM_META_BYTES:
            largest = max(kept, key=lambda name: len(orjson.dumps(kept[name])))
            problem = f"custom fields together are over {MAXIMUM_META_BYTES:,} bytes; the largest is not kept"
            notes.append(Note(item.number, f"wp:postmeta {largest}", str(kept.pop(largest)), problem))
        return kept


def element_of(pointer: str) -> str:
    """The element of an item that a field of an input was made of."""
    parts = [part for part in pointer.split("/") if part in _ELEMENTS]
    return _ELEMENTS[parts[-1]] if parts else "item"


def site_name(site: reading.Site, file_name: str) -> str:
    """What tells this site from others: the blog's address without scheme, else the title, else the file's name."""
    address = site.base_blog_url or site.base_site_url or site.link
    if address:
        return re.sub(r"^\w+://", "", address).rstrip("/").lower()[:150]
    return text.to_slug(site.title)[:150] or file_name


def wanted_term(term: reading.Term) -> tuple[WantedTerm, list[Note]]:
    """A term of the head of the file."""
    slug, notes = _term_slug(0, term.element, term.slug)
    parent = _term_slug(0, term.element, term.parent)[0] if term.parent else ""
    name = _term_name(term.name, slug)
    description = text.to_plain_text(term.description, maximum_length=10_000)
    return WantedTerm(_taxonomy(term.taxonomy), slug, name, parent, description), notes


def menu_order(item: reading.Item) -> int:
    """The place among its siblings; 0 where the file has no such number."""
    return int(item.menu_order) if _MENU_ORDER.fullmatch(item.menu_order) else 0


def moment(value: str) -> datetime | None:
    """`2014-09-09 02:58:33` as UTC; None for zeros, blanks, nonsense and what is outside 1900 to 2199."""
    try:
        return validation.to_moment(datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC))
    except (ValueError, PydanticCustomError):
        return None


def _rss_moment(value: str) -> datetime | None:
    if "-0001" in value:  # how WordPress writes a zero date in RFC 822
        return None
    try:
        found = parsedate_to_datetime(value)
        return validation.to_moment(found if found.tzinfo else found.replace(tzinfo=UTC))
    except (ValueError, TypeError, IndexError, OverflowError, PydanticCustomError):
        return None


def _status(item: reading.Item, notes: list[Note]) -> tuple[str, datetime | None]:
    def note(problem: str) -> None:
        notes.append(Note(item.number, "wp:status", item.status, problem))

    date = moment(item.date_gmt) or moment(item.date) or _rss_moment(item.published)
    is_public = item.status == "publish" or (item.status == "inherit" and item.type == "attachment")
    if is_public and item.has_password:
        notes.append(Note(item.number, "wp:post_password", "", "protected by a password; taken as a draft"))
        return models.Status.DRAFT, None
    if is_public and item.type in _INTERNAL_TYPES:
        note(f"{item.type} is not shown to visitors; taken as a draft")
        return models.Status.DRAFT, None
    if is_public:
        if date is None:
            notes.append(Note(item.number, "wp:post_date", item.date_gmt or item.date, _NO_DATE))
        return models.Status.PUBLISHED, date
    if item.status == "trash":
        note("in the bin; taken as archived")
        return models.Status.ARCHIVED, None
    if item.status not in {"draft", "auto-draft"}:
        note("taken as a draft; the metadata keep the status and the date")
    return models.Status.DRAFT, None


def _title(item: reading.Item, notes: list[Note]) -> str:
    title = text.to_plain_text(item.title)
    if not validation.fits(validation.Title, title[:255]):
        spelled = re.sub(r"[-_]+", " ", unquote(item.name)).strip()
        title = spelled[:1].upper() + spelled[1:] if spelled else "(untitled)"
        notes.append(Note(item.number, "title", item.title, f'no title; taken as "{title[:100]}"'))
    if len(title) > 255:
        notes.append(Note(item.number, "title", title, "longer than 255 characters; cut off"))
        title = title[:254] + "…"
    return title


def _slug(item: reading.Item, notes: list[Note]) -> str | None:
    slug = text.to_slug(unquote(item.name))
    if item.name and slug != item.name:
        named = f'"{slug}"' if slug else "one made from the title"
        notes.append(Note(item.number, "wp:post_name", item.name, f"slugs are a-z, 0-9 and hyphens; taken as {named}"))
    return slug or None


def _terms(item: reading.Item, notes: list[Note]) -> list[WantedTerm]:
    # WXR 1.0 writes each term twice: as plain RSS without a taxonomy, and in full.
    has_full_terms = any(term.taxonomy for term in item.terms)
    found: dict[tuple[str, str], WantedTerm] = {}
    for term in item.terms:
        if term.taxonomy == MENU_TAXONOMY or (has_full_terms and not term.taxonomy):
            continue
        slug, _ = _term_slug(item.number, "category", term.slug)
        if not term.taxonomy:
            notes.append(Note(item.number, "category", term.name, "names no taxonomy; taken as a category"))
        name = _term_name(term.name, slug)
        wanted = WantedTerm(_taxonomy(term.taxonomy or "category"), slug, name)
        found.setdefault(wanted.key, wanted)
    return list(found.values())


def _term_slug(row: int, column: str, value: str) -> tuple[str, list[Note]]:
    """The slug here, always the same for the same value."""
    slug = text.to_slug(unquote(value)) or f"term-{hashlib.sha256(value.encode()).hexdigest()[:10]}"
    if slug == value:
        return slug, []
    return slug, [Note(row, column, value, f'slugs are a-z, 0-9 and hyphens; taken as "{slug}"')]


def _term_name(name: str, slug: str) -> str:
    plain = text.to_plain_text(name)[:255]
    return plain if validation.fits(validation.Title, plain) else slug


def _taxonomy(name: str) -> str:
    if name == "tag":  # the word of WXR 1.0
        return TAG_TAXONOMY
    return re.sub(r"[^a-z0-9_-]+", "_", name.lower()).strip("_-")[:64] or "category"


def _person(name: str) -> str:
    """A name to show; of an e-mail address only what is before the @."""
    shown = text.to_one_line(name).partition("@")[0].strip()[:255]
    return shown if validation.fits(validation.ShortText, shown) else ""


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://")) and "@" not in url


# What WordPress calls the number of a page in an address, which works whatever its permalinks look like.
_NUMBERED = {"page": "page_id", "attachment": "attachment_id"}


def _old_paths(item: reading.Item) -> list[str]:
    """Where the item was: its permalink, and the address by its number. Parts of themes were nowhere."""
    if item.type in _INTERNAL_TYPES:
        return []
    addresses = [item.link, f"/?{_NUMBERED.get(item.type, 'p')}={item.post_id}" if item.post_id.isdecimal() else ""]
    found = []
    for address in filter(None, addresses):
        with suppress(paths.NoPath):  # such as that of the front page: where it is says nothing
            found.append(paths.plain(address))
    return list(dict.fromkeys(found))


def _link(item: reading.Item, notes: list[Note]) -> str:
    if not item.link or item.link.startswith("/") or _ADDRESS.fullmatch(item.link):
        return item.link
    notes.append(Note(item.number, "link", item.link, _NO_ADDRESS))
    return ""


def _file(item: reading.Item, meta: dict[str, str], notes: list[Note]) -> dict[str, Any]:
    url = next((url for url in (item.attachment_url, item.guid) if _ADDRESS.fullmatch(url)), "")
    if not url and (wrong := item.attachment_url or item.guid):
        element = "wp:attachment_url" if item.attachment_url else "guid"
        notes.append(Note(item.number, element, wrong, _NO_ADDRESS))
    sizes = {
        name: int(size) for name, size in reversed(_SERIALISED_SIZE.findall(meta.get("_wp_attachment_metadata", "")))
    }
    return {
        "url": url,
        "mime_type": mimetypes.guess_type(url.partition("?")[0])[0] or "",
        "file": meta.get("_wp_attached_file", ""),
        "alt": meta.get("_wp_attachment_image_alt", ""),
        **sizes,
    }


def parents_first[Entry](
    entries: Iterable[Entry], by_id: Mapping[str, Entry], parent_of: Callable[[Entry], str]
) -> list[Entry]:
    """In this order, but each after the one it lies below; a circle stays as it is."""
    placed: dict[int, Entry] = {}
    for entry in entries:
        line: dict[int, Entry] = {}
        here: Entry | None = entry
        while here is not None and id(here) not in line and id(here) not in placed:
            line[id(here)] = here
            here = by_id.get(parent_of(here))
        placed |= reversed(line.items())
    return list(placed.values())
