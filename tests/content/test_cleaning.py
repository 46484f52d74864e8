"""Exports that are not quite XML are read all the same, and the summary says what was done to them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.content.wordpress import cleaning, importing, reading
from apps.kernel import imports
from tests.content import wxr

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'


def cleaned(content: bytes, size: int = 1 << 16) -> tuple[bytes, cleaning.Cleaned]:
    stream = cleaning.Cleaned(io.BytesIO(content))
    return b"".join(iter(lambda: stream.read(size), b"")), stream


@given(st.text(), st.integers(2, 9))
def test_what_is_right_stays_as_it_is_however_it_comes_in_pieces(words: str, size: int) -> None:
    content = HEAD + "".join(sign for sign in words if sign >= " " or sign in "\t\n\r").encode()

    read, stream = cleaned(content, size)

    assert read == content
    assert (stream.dropped, stream.reread) == (0, 0)


@given(st.binary(), st.integers(2, 9))
def test_whatever_comes_is_text_without_forbidden_signs_or_refused(content: bytes, size: int) -> None:
    try:
        read, stream = cleaned(HEAD + content, size)
    except cleaning.UnknownBytes:
        return

    text = read.decode()
    assert not [sign for sign in text if sign < " " and sign not in "\t\n\r"]
    assert stream.dropped == sum(byte < 0x20 and byte not in b"\t\n\r" for byte in content)
    assert cleaned(HEAD + content)[0] == read


def broken_site(path: Path, *parts: str) -> bytes:
    return wxr.write(path, *parts).read_bytes()


def test_blanks_before_the_first_line_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "site.xml"
    path.write_bytes(b"\xef\xbb\xbf\r\n\n " + broken_site(path, wxr.item(1)))

    assert reading.survey(path).item_count == 1


def test_signs_xml_forbids_are_left_out_and_bytes_of_windows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "site.xml"
    path.write_bytes(
        broken_site(path, wxr.item(1, title="Caf# \u2013 d\u00e9j\u00e0 ~vu"))
        .replace(b"#", b"\xe9")
        .replace(b"~", b"\x0b")
    )

    site = reading.survey(path)

    assert [item.title for item in reading.items(path)] == ["Café – déjà vu"]
    said = importing.Importer(path, site, "en").remarks()
    assert [line.split(",")[0] for line in said] == [
        "1 control characters that XML has no place for were left out.",
        "1 bytes are not UTF-8",
    ]


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.xml"
    path.write_bytes(broken_site(path, wxr.item(1, title="#")).replace(b"#", b"\x81 "))

    with pytest.raises(imports.ImportRefused, match="a byte 0x81 is neither UTF-8 nor Windows-1252"):
        reading.survey(path)


def test_another_encoding_that_is_named_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "site.xml"
    text = broken_site(path, wxr.item(1, title="Привет")).decode().replace("UTF-8", "windows-1251")
    path.write_bytes(text.encode("cp1251"))

    assert [item.title for item in reading.items(path)] == ["Привет"]
