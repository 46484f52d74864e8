"""Bytes of exports that are not quite XML, mended as they are read."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from apps.content.wordpress import mending, reading

HEAD = b'<?xml version="1.0" encoding="UTF-8"?><!--' + b"-" * 200 + b"-->"


def mended(content: bytes, size: int = 1 << 16) -> tuple[bytes, reading.Mended]:
    counts = reading.Mended()
    stream = mending.Mending(io.BytesIO(content), counts)
    return b"".join(iter(lambda: stream.read(size), b"")), counts


@given(st.text(), st.integers(300, 309))
def test_what_is_right_stays_as_it_is_however_it_comes_in_pieces(words: str, size: int) -> None:
    content = HEAD + "".join(sign for sign in words if sign >= " " or sign in "\t\n\r").encode()

    assert mended(content, size) == (content, reading.Mended())


@given(st.binary(), st.integers(300, 309))
def test_whatever_comes_is_text_without_forbidden_signs_or_refused(content: bytes, size: int) -> None:
    try:
        read, counts = mended(HEAD + content, size)
    except UnicodeDecodeError:
        return

    text = read.decode()
    assert not [sign for sign in text if sign < " " and sign not in "\t\n\r"]
    assert counts.left_out == sum(byte < 0x20 and byte not in b"\t\n\r" for byte in content)
    assert mended(HEAD + content)[0] == read


def test_a_piece_of_which_nothing_is_left_is_not_the_end() -> None:
    assert mended(HEAD + b"\0" * 900 + b"<rss>", size=300)[0] == HEAD + b"<rss>"
