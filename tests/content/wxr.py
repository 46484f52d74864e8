"""Writes small WordPress exports for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

HEAD = """<?xml version="1.0" encoding="UTF-8" ?>
<rss version="2.0" xmlns:excerpt="{scheme}://wordpress.org/export/{version}/excerpt/"
 xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:wp="{scheme}://wordpress.org/export/{version}/">
<channel><title>The site</title><link>https://site.test</link><language>{language}</language>
<wp:wxr_version>{version}</wp:wxr_version>
<wp:base_site_url>https://network.test/</wp:base_site_url><wp:base_blog_url>https://site.test/</wp:base_blog_url>
"""
AUTHOR = (
    "<wp:author><wp:author_login>ann</wp:author_login><wp:author_email>ann@private.test</wp:author_email>"
    "<wp:author_display_name>Ann Author</wp:author_display_name></wp:author>\n"
)


def element(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"


def category(slug: str, name: str, parent: str = "") -> str:
    return (
        "<wp:category>"
        + element("wp:category_nicename", slug)
        + element("wp:category_parent", parent)
        + element("wp:cat_name", name)
        + "</wp:category>\n"
    )


def tag(slug: str, name: str) -> str:
    return "<wp:tag>" + element("wp:tag_slug", slug) + element("wp:tag_name", name) + "</wp:tag>\n"


def term(taxonomy: str, slug: str, name: str, parent: str = "") -> str:
    return (
        "<wp:term>"
        + element("wp:term_taxonomy", taxonomy)
        + element("wp:term_slug", slug)
        + element("wp:term_parent", parent)
        + element("wp:term_name", name)
        + "</wp:term>\n"
    )


def item(
    post_id: int | None,
    title: str = "A post",
    *,
    type: str = "post",
    status: str = "publish",
    name: str = "",
    content: str = "<p>Text</p>",
    excerpt: str = "",
    parent: int = 0,
    date: str = "2020-01-02 03:04:05",
    terms: Sequence[tuple[str, str, str]] = (),
    meta: Sequence[tuple[str, str]] = (),
    comments: str = "",
    **more: Any,
) -> str:
    """`terms` are (taxonomy, slug, name); `more` are further wp: elements by their local name."""
    parts = [
        element("title", title),
        element("link", f"https://site.test/{name or post_id}/"),
        element("dc:creator", "ann"),
        f"<content:encoded><![CDATA[{content}]]></content:encoded>",
        f"<excerpt:encoded><![CDATA[{excerpt}]]></excerpt:encoded>",
        element("wp:post_date_gmt", date),
        element("wp:post_name", name),
        element("wp:status", status),
        element("wp:post_parent", parent),
        element("wp:post_type", type),
        *(element(f"wp:{key}", value) for key, value in more.items()),
        *(
            f'<category domain="{taxonomy}" nicename="{slug}">{escape(text)}</category>'
            for taxonomy, slug, text in terms
        ),
        *(
            "<wp:postmeta>" + element("wp:meta_key", key) + element("wp:meta_value", value) + "</wp:postmeta>"
            for key, value in meta
        ),
        comments,
    ]
    if post_id is not None:
        parts.append(element("wp:post_id", post_id))
    return f"<item>{''.join(parts)}</item>\n"


def comment(comment_id: int, author: str = "Bob", *, parent: int = 0, approved: str = "1", type: str = "") -> str:
    return (
        "<wp:comment>"
        + element("wp:comment_id", comment_id)
        + element("wp:comment_author", author)
        + element("wp:comment_author_email", "bob@private.test")
        + element("wp:comment_author_url", "https://bob.test/")
        + element("wp:comment_author_IP", "198.51.100.7")
        + element("wp:comment_date_gmt", "2021-01-01 00:00:00")
        + element("wp:comment_content", f"<p>Comment {comment_id}</p>")
        + element("wp:comment_approved", approved)
        + element("wp:comment_type", type)
        + element("wp:comment_parent", parent)
        + "</wp:comment>"
    )


def write(path: Path, *parts: str, version: str = "1.2", scheme: str = "http", language: str = "en-US") -> Path:
    """A whole file of these parts."""
    head = HEAD.format(version=version, scheme=scheme, language=language)
    path.write_text(f"{head}{AUTHOR}{''.join(parts)}</channel></rss>\n", encoding="utf-8")
    return path


def small_site(path: Path) -> Path:
    """A bit of everything a site has, in an order that makes children come before their parents."""
    return write(
        path,
        category("local", "Local &amp; near", parent="news"),
        category("news", "News"),
        tag("red", "Red"),
        term("genre", "jazz", "Jazz"),
        term("nav_menu", "main", "Main menu"),
        item(11, "Team", type="page", name="team", parent=10),
        item(10, "About", type="page", name="about", menu_order=3, meta=[("_wp_page_template", "wide.php")]),
        item(
            20,
            "Hello",
            name="hello",
            content='<!-- wp:paragraph -->\n<p>Hi [gallery ids="1"]</p>\n<!-- /wp:paragraph --><script>x()</script>',
            excerpt="<b>Short</b>",
            is_sticky=1,
            terms=[
                ("category", "local", "Local"),
                ("post_tag", "red", "Red"),
                ("post_tag", "blue", "Blue"),
                ("genre", "jazz", "Jazz"),
                ("post_format", "post-format-aside", "Aside"),
            ],
            meta=[
                ("mood", "calm"),
                ("mood", "glad"),
                ("_edit_lock", "1:1"),
                ("sizes", 'a:1:{s:1:"a";i:1;}'),
                ("contact", "carl@private.test"),
                ("billing_email", "x"),
                ("huge", "x" * 10_001),
                ("_thumbnail_id", "30"),
            ],
            comments=comment(2, "Bob", parent=1)
            + comment(1, "Eve@private.test")
            + comment(3, approved="spam")
            + comment(4, approved="0")
            + comment(5, "Other site", type="pingback")
            + comment(6, parent=99),
        ),
        item(21, "Secret", name="secret", post_password="hush"),
        item(22, "Soon", name="soon", status="future", date="2099-01-01 00:00:00"),
        item(23, "Binned", name="binned__trashed", status="trash"),
        item(24, "", name="no-title", status="draft", date="0000-00-00 00:00:00"),
        item(25, "Привет", name="%d0%bf%d1%80%d0%b8%d0%b2%d0%b5%d1%82"),
        item(26, "Twin", name="hello"),
        item(
            30,
            "photo",
            type="attachment",
            status="inherit",
            name="photo",
            content="",
            parent=20,
            attachment_url="https://site.test/files/photo.jpg?x=1",
            meta=[
                ("_wp_attached_file", "2020/photo.jpg"),
                ("_wp_attachment_image_alt", "A photo"),
                ("_wp_attachment_metadata", 'a:2:{s:5:"width";i:640;s:6:"height";i:480;}'),
            ],
        ),
        item(40, "Work", type="portfolio", name="work"),
        item(41, "css", type="custom_css", name="css", content="a > b { color: red }"),
        item(50, "", type="nav_menu_item", terms=[("nav_menu", "main", "Main menu")]),
        item(50, "Again", type="nav_menu_item"),
        item(60, "Orphan", name="orphan", type="page", parent=999),
    )
