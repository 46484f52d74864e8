"""Exports made to hurt are refused with the reason, before anything is written and in little memory."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from apps.content.wordpress import mapping, menus, reading, terms
from apps.kernel import imports
from tests.content import wxr

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
DECLARED = "declares a document type or entities"


def with_type(declared: str, inside: str = "") -> str:
    return f'<?xml version="1.0"?><!DOCTYPE rss {declared}><rss><channel><title>{inside}</title></channel></rss>'


HOSTILE = {
    "billion laughs": (with_type(f'[<!ENTITY l0 "ha">{LAUGHS}]', "&l11;"), DECLARED),
    "quadratic blow-up": (with_type(f'[<!ENTITY a "{"x" * 100_000}">]', "&a;" * 10_000), DECLARED),
    "parameter entities": (with_type("[<!ENTITY % a 'x'> %a;]"), DECLARED),
    "a file of ours": (with_type('[<!ENTITY a SYSTEM "file:///etc/passwd">]', "&a;"), DECLARED),
    "an address inside": (with_type('[<!ENTITY a SYSTEM "http://169.254.169.254/">]', "&a;"), DECLARED),
    "a type elsewhere": (with_type('SYSTEM "http://127.0.0.1:9/x.dtd"'), DECLARED),
    "a public type": (with_type('PUBLIC "-//x" "http://127.0.0.1:9/x.dtd"'), DECLARED),
    "values by default": (with_type('[<!ATTLIST rss a CDATA "x">]'), DECLARED),
    "an unknown entity": ("<rss><channel>&nbsp;</channel></rss>", "not well-formed XML"),
    "no XML": ("GIF89a", "not well-formed XML"),
    "nothing in it": (" ", "not well-formed XML"),
    "a page": ("<html><body>Log in</body></html>", "not a WordPress export: it has <html>"),
    "a NUL": ("<rss><channel>\0</channel></rss>", "not well-formed XML"),
    "a NUL spelled": ("<rss><channel>&#0;</channel></rss>", "not well-formed XML"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_export_is_refused(tmp_path: Path, case: str, packed: bool) -> None:
    text, reason = HOSTILE[case]
    path = tmp_path / "site.xml"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())

    tracemalloc.start()
    try:
        with pytest.raises(imports.ImportRefused, match=reason):
            reading.survey(path)
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()


def test_a_small_file_that_unpacks_to_much_does_not_fill_memory(tmp_path: Path) -> None:
    """One item of 256 MiB in 260 kB; what is read of it ends at the limit for an item."""
    head, _, end = wxr.write(tmp_path / "site.xml", wxr.item(1, content="HERE")).read_text().partition("HERE")
    path = tmp_path / "bomb.xml.gz"
    with gzip.open(path, "wb", compresslevel=6) as bomb:
        bomb.write(head.encode())
        for _ in range(256):
            bomb.write(b"x" * 2**20)
        bomb.write(end.encode())
    assert path.stat().st_size < 300_000

    tracemalloc.start()
    try:
        with pytest.raises(imports.ImportRefused, match="larger than"):
            reading.survey(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * reading.MAXIMUM_ITEM_BYTES
    finally:
        tracemalloc.stop()


def test_long_terms_do_not_fill_memory(tmp_path: Path) -> None:
    long = wxr.tag("SLUG", "NAME").replace("SLUG", "s" * 200_000).replace("NAME", "n" * 200_000)
    path = wxr.write(tmp_path / "site.xml", *(long for _ in range(100)))

    tracemalloc.start()
    try:
        site = reading.survey(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert len(site.terms) == 100
    assert {len(term.name) for term in site.terms} == {2000}


def test_a_head_too_large_for_memory_refuses_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAXIMUM_HEAD_BYTES", 2**20)
    path = wxr.write(tmp_path / "site.xml", *(wxr.tag(f"tag-{number}", f"Tag {number}") for number in range(3000)))

    with pytest.raises(imports.ImportRefused, match=r"declares [\d,]+ terms and 1 authors, more than 1 MiB of them"):
        reading.survey(path)


def test_long_keys_do_not_fill_memory(tmp_path: Path) -> None:
    path = wxr.write(
        tmp_path / "site.xml",
        *(wxr.item(None).replace("</item>", f"<guid>{n}{'g' * 200_000}</guid></item>") for n in range(100)),
    )

    tracemalloc.start()
    try:
        assert reading.survey(path).item_count == 100
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_items_of_menus_are_held_without_what_menus_have_no_use_for(tmp_path: Path) -> None:
    path = wxr.write(
        tmp_path / "site.xml",
        wxr.item(1, "x" * 20_000, type="nav_menu_item", content="long", meta=[("_menu_item_url", "/"), ("other", "x")]),
    )

    [item] = map(menus.slim, reading.items(path))
    assert (len(item.title), item.content, item.meta) == (10_000, "", [("_menu_item_url", "/")])


def test_long_lines_of_parents_take_no_longer_than_the_file(tmp_path: Path) -> None:
    count = 5000  # one by one these would take minutes
    numbers = range(1, count)
    path = wxr.write(
        tmp_path / "site.xml",
        *(wxr.category(f"c-{number}", "C", parent=f"c-{number + 1}") for number in numbers),
        wxr.item(1, comments="".join(wxr.comment(number, parent=number + 1) for number in numbers)),
    )
    site, [item] = reading.survey(path), list(reading.items(path))
    mapper = mapping.Mapper(site, "site")

    declared = terms.declared(site.terms).terms
    comments = list(mapper.comments(item))

    assert [term.slug for _, term in declared] == [f"c-{number}" for number in reversed(numbers)]
    assert [comment.slug for comment in comments] == [f"comment-{number}" for number in reversed(numbers)]
