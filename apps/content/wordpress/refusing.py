"""Why a file can't be read: the parser's word for it is seldom what its owner needs to hear."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import ParseError

import defusedxml

from apps.kernel import imports

_PIECE = 1024 * 1024
_ARCHIVES = {b"PK\x03\x04": "a zip archive", b"BZh": "packed with bzip2", b"\xfd7zXZ\x00": "packed with xz"}
_DECLARATION = re.compile(rb"""<\?xml[^>]*?\sencoding=["']([A-Za-z0-9._-]+)["']""")


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn what a broken file makes the parser say into ImportRefused with the reason."""
    try:
        yield
    except (ParseError, UnicodeDecodeError) as error:
        raise imports.ImportRefused(f'"{path}" {_reason(path, error)}') from None
    except defusedxml.DefusedXmlException:
        raise imports.ImportRefused(
            f'"{path}" declares a document type or entities, which WordPress exports never do; nothing was imported.'
        ) from None
    except (EOFError, OSError, zlib.error) as error:
        raise imports.ImportRefused(f'"{path}" is damaged: {error}. Nothing was imported; fetch it again.') from None
    except (LookupError, UnicodeError) as error:
        raise imports.ImportRefused(f'"{path}" names an encoding that can\'t be read: {error}.') from None


def _reason(path: Path, error: ParseError | UnicodeDecodeError) -> str:
    """A look at the bytes: what they are instead of XML, or where they are not text; else what the parser says."""
    try:
        with imports.Source(path) as source:
            start = source.stream.read(_PIECE)
            reason = _other_format(start) or _wrong_bytes(source, start)
    except (EOFError, OSError, zlib.error) as damage:
        return f"is damaged: {damage}. Nothing was imported; fetch it again."
    if reason:
        return f"{reason}. Nothing was imported."
    if isinstance(error, UnicodeDecodeError):
        return f"can't be read: {error}. Nothing was imported; save it as UTF-8."
    line, column = error.position
    return (
        f"is not well-formed XML at line {line}, column {column}: {str(error).split(':', maxsplit=1)[0]}. "
        "Nothing was imported; the file may be cut off, export the site again."
    )


def _other_format(start: bytes) -> str:
    for magic, name in _ARCHIVES.items():
        if start.startswith(magic):
            return f"is {name}; unpack it, and give the XML file in it"
    # Text that begins in ASCII has a zero in its first pair of bytes.
    has_mark = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    is_utf16 = has_mark or start[:2].count(0) == 1
    if is_utf16 and not _declared(start).startswith("utf-16"):
        return "is UTF-16 and does not say so in its first line; save it as UTF-8"
    return ""


def _declared(start: bytes) -> str:
    """The encoding that the first line names, in whatever encoding the line is; without one it is UTF-8."""
    found = _DECLARATION.search(start[:400].replace(b"\x00", b""))
    return found[1].decode().lower() if found else "utf-8"


def _wrong_bytes(source: imports.Source, start: bytes) -> str:
    """The first byte that is not UTF-8, where that is what the file says it is. Reads on, also to see it unpacked."""
    is_utf8 = _declared(start) in {"utf-8", "utf8"}
    decoder = codecs.getincrementaldecoder("utf-8")("strict" if is_utf8 else "replace")
    piece, offset = start, 0
    while piece:
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(piece)
        except UnicodeDecodeError as error:
            at = offset - pending + error.start
            return f"is not UTF-8: byte {at:,} is 0x{error.object[error.start]:02x}; save it as UTF-8"
        offset += len(piece)
        piece = source.stream.read(_PIECE)
    return ""
