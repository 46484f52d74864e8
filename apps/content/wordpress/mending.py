"""Bytes as a parser of XML takes them, of files that are nearly XML: old sites have control characters in their texts,
bytes of another encoding, and blank lines before the declaration."""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO, Protocol

_FORBIDDEN = bytes(sign for sign in range(32) if sign not in b"\t\n\r")
# As Python escapes them.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
# A declaration is ASCII in every encoding that is mended; of others, UTF-16 above all, nothing is touched.
_HEAD = 200


class Counts(Protocol):
    """What was mended."""

    left_out: int
    taken_as_western: int


class Mending:
    """A stream that is mended as it is read."""

    def __init__(self, stream: BinaryIO, counts: Counts) -> None:
        self._stream, self._counts = stream, counts
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_begun = False

    def read(self, size: int = -1, /) -> bytes:
        """Nothing at the end only, however little is left of a piece. Raises UnicodeDecodeError."""
        while piece := self._stream.read(size):
            if mended := self._mend(piece):
                return mended
        return self._decode(b"", is_last=True)

    def _mend(self, piece: bytes) -> bytes:
        if not self._is_begun:
            piece = self._begin(piece)
        if self._decoder is None:
            return piece
        clean = piece.translate(None, _FORBIDDEN)
        self._counts.left_out += len(piece) - len(clean)
        if clean.isascii() and not self._decoder.getstate()[0]:
            return clean
        return self._decode(clean, is_last=False)

    def _begin(self, piece: bytes) -> bytes:
        self._is_begun = True
        start = piece.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n")
        head = start[:_HEAD].lower()
        is_ascii_based = b"\x00" not in head and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        is_utf8 = b"encoding" not in head.partition(b"?>")[0] or b"utf-8" in head or b"utf8" in head
        if not is_ascii_based or not is_utf8 or not start.startswith(b"<"):
            return piece
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
        return start

    def _decode(self, piece: bytes, *, is_last: bool) -> bytes:
        """What is UTF-8 as it is, each other byte as Windows-1252 has it. Raises UnicodeDecodeError."""
        if self._decoder is None:
            return piece
        text, count = _NOT_UTF8.subn(_western, self._decoder.decode(piece, final=is_last))
        self._counts.taken_as_western += count
        return text.encode()


def _western(match: re.Match[str]) -> str:
    return bytes([ord(match[0]) - 0xDC00]).decode("windows-1252")
