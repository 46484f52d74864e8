"""The bytes of an export as an XML parser takes them: plugins put in what XML has no place for, and other encodings."""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

_DECLARATION = re.compile(rb"""<\?xml[^>]*?\sencoding=["']([A-Za-z0-9._-]+)["']""")
# https://www.w3.org/TR/xml/#charsets: no control characters but these three.
_FORBIDDEN = bytes(sign for sign in range(0x20) if sign not in b"\t\n\r")


class UnknownBytes(ValueError):
    """A byte is neither UTF-8, as the file says it is, nor Windows-1252, as files are that say so wrongly."""


def declared(start: bytes) -> str:
    """The encoding that the first line names, in whatever encoding the line is; without one it is UTF-8."""
    found = _DECLARATION.search(start[:400].replace(b"\x00", b""))
    return found[1].decode().lower() if found else "utf-8"


def is_wide(start: bytes) -> bool:
    """Whether it is UTF-16: marked so, or text that begins in ASCII, with a zero in its first pair of bytes."""
    return start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or start[:2].count(0) == 1


class Cleaned:
    """A stream without blanks before its first sign and without characters that XML forbids. Where it says it is UTF-8,
    bytes that are not are read as Windows-1252. `dropped` and `reread` count bytes. UTF-16 stays as it is."""

    def __init__(self, stream: BinaryIO) -> None:
        self.dropped = self.reread = 0
        self._stream = stream
        self._has_begun = self._is_wide = self._is_utf8 = False
        self._pending = b""

    def read(self, size: int = -1, /) -> bytes:
        """Nothing at the end only. Raises UnknownBytes."""
        while piece := self._stream.read(size):
            if cleaned := self._clean(piece):
                return cleaned
        rest, self._pending = self._pending, b""
        return self._decoded(rest, is_last=True)

    def _clean(self, piece: bytes) -> bytes:
        if not self._has_begun:
            piece = self._begin(piece)
        if self._is_wide:
            return piece
        allowed = piece.translate(None, delete=_FORBIDDEN)
        self.dropped += len(piece) - len(allowed)
        return self._decoded(allowed, is_last=False) if self._is_utf8 else allowed

    def _begin(self, piece: bytes) -> bytes:
        self._is_wide = is_wide(piece)
        begun = piece if self._is_wide else piece.removeprefix(codecs.BOM_UTF8).lstrip()
        self._has_begun = bool(begun)
        self._is_utf8 = declared(begun) in {"utf-8", "utf8"}
        return begun

    def _decoded(self, piece: bytes, *, is_last: bool) -> bytes:
        """The piece in UTF-8. What may be the beginning of a character waits for the next piece."""
        left, done = memoryview(self._pending + piece), []
        while True:
            try:
                used = codecs.utf_8_decode(left, "strict", is_last)[1]
            except UnicodeDecodeError as error:
                done += [left[: error.start], self._from_windows(bytes(left[error.start : error.end]))]
                left = left[error.end :]
            else:
                self._pending = bytes(left[used:])
                return b"".join([*done, left[:used]])

    def _from_windows(self, wrong: bytes) -> bytes:
        self.reread += len(wrong)
        try:
            return wrong.decode("cp1252").encode()
        except UnicodeDecodeError as error:
            raise UnknownBytes(f"a byte 0x{wrong[error.start]:02x} is neither UTF-8 nor Windows-1252") from None
