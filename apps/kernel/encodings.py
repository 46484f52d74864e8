"""Which encoding a text file is in, when nobody says: told by its mark, by its zeros, or by what its bytes can be."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import BadGzipFile
from typing import Annotated

from pydantic import AfterValidator

from apps.kernel import validation, wording
from apps.kernel.imports import ImportRefused, Source

PIECE = 64 * 1024
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
}
WESTERN = "windows-1252"
# Python calls them encodings of text, and they are ways to escape it: what is spelled in them may be no character.
_ESCAPES = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "utf_7"})
# Western languages seldom have two such letters in a row; Cyrillic, Greek and the like have little else.
_FEW = 20


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec's name; `is_guess` where the file could be in another one."""

    name: str
    is_guess: bool = False


def _check_named(name: str) -> str:
    if name and _find(name) is None:
        raise wording.refusal(
            "no_encoding", "this is no encoding of text; name one such as utf-8, windows-1252 or windows-1251"
        )
    return name


# Empty where the bytes are to tell.
Named = Annotated[validation.ShortText, AfterValidator(_check_named)]


def detect(source: Source, *, named: str = "") -> Encoding:
    """Look through the whole file. Raises ImportRefused for one that can't be read in the encoding that is `named`, or
    in none that can be told.
    """
    pieces = _pieces(source)
    start = next(pieces, b"")
    if other := next((what for mark, what in _NO_TEXT.items() if start.startswith(mark)), ""):
        raise ImportRefused(f'"{source.path}" is {other}, and no text: save it as CSV and import that.')
    if named:
        return _check(source, start, pieces, _known(source, named))
    if mark := next((name for mark, name in _MARKS if start.startswith(mark)), ""):
        return _check(source, start, pieces, mark)
    if wide := _wide(start):
        return _check(source, start, pieces, wide)
    return _narrow(source, start, pieces)


def _pieces(source: Source) -> Iterator[bytes]:
    try:
        while piece := source.stream.read(PIECE):
            yield piece
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise ImportRefused(f'"{source.path}" is damaged: {error}. Fetch the file again.') from None


def _known(source: Source, name: str) -> str:
    if (found := _find(name)) is None:
        raise ImportRefused(
            f'There is no encoding "{name}". Name one such as utf-8, windows-1252 or windows-1251 for "{source.path}".'
        )
    return found


def _find(name: str) -> str | None:
    """The codec's name, where it makes text of bytes; others, such as bz2, unpack a little to a lot."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    is_text = codec._is_text_encoding and codec.name.replace("-", "_") not in _ESCAPES
    return codec.name if is_text else None


def _wide(start: bytes) -> str:
    """UTF-16 without a mark: ASCII has a zero in each pair of bytes."""
    head = start[:400]
    if len(head) < 4:
        return ""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > len(head) // 3 and not even:
        return "utf-16-le"
    return "utf-16-be" if even > len(head) // 3 and not odd else ""


def _check(source: Source, start: bytes, pieces: Iterator[bytes], name: str) -> Encoding:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        decoder.decode(start)
        for piece in pieces:
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise ImportRefused(
            f'"{source.path}" can\'t be read as {name}: {error}. Save the file as UTF-8 and import it again.'
        ) from None
    return Encoding(name)


def _narrow(source: Source, start: bytes, pieces: Iterator[bytes]) -> Encoding:
    """UTF-8 where it can be; else what Western spreadsheets save, if the bytes are like that."""
    decoder, is_utf8, at, wrong = codecs.getincrementaldecoder("utf-8")(), True, 0, (0, 0)
    high = pairs = 0
    undefined = None
    piece: bytes | None = start
    while piece:
        if is_utf8:
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:
                is_utf8, wrong = False, (at - pending + error.start, error.object[error.start])
        if not piece.isascii():
            own, own_pairs = _count_high(piece)
            high, pairs = high + own, pairs + own_pairs
            if undefined is None and (bad := next((sign for sign in piece if sign in _NOT_WESTERN), None)):
                undefined = bad
        at += len(piece)
        piece = next(pieces, None)
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8, wrong = False, (at, start[-1] if start else 0)
    if is_utf8:
        return Encoding("utf-8")
    if undefined is None and (high <= _FEW or pairs * 2 < high):
        return Encoding(WESTERN, is_guess=True)
    raise ImportRefused(
        f'"{source.path}" is not UTF-8: byte {wrong[0]:,} is 0x{wrong[1]:02x}, and it is not {WESTERN} either. '
        "Save the file as UTF-8 and import it again, or name its encoding with --encoding."
    )


_NOT_WESTERN = frozenset(b"\x81\x8d\x8f\x90\x9d")
_HIGH = bytes(1 if sign >= 0x80 else 0 for sign in range(256))


def _count_high(piece: bytes) -> tuple[int, int]:
    """How many bytes are not ASCII, and how many of them follow another one."""
    flags = piece.translate(_HIGH)
    runs = [len(run) for run in flags.split(b"\x00") if run]
    return sum(runs), sum(run - 1 for run in runs)
