"""Why a file can't be read: the parser's word for it is seldom what its owner needs to hear."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import ParseError

import defusedxml

from apps.content.wordpress import cleaning
from apps.kernel import imports

_PIECE = 1024 * 1024
_ARCHIVES = {b"PK\x03\x04": "a zip archive", b"BZh": "packed with bzip2", b"\xfd7zXZ\x00": "packed with xz"}


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn what a broken file makes the parser say into ImportRefused with the reason."""
    try:
        yield
    except (ParseError, cleaning.UnknownBytes) as error:
        raise imports.ImportRefused(f'"{path}" {_reason(path, error)}') from None
    except defusedxml.DefusedXmlException:
        raise imports.ImportRefused(
            f'"{path}" declares a document type or entities, which WordPress exports never do; nothing was imported.'
        ) from None
    except (EOFError, OSError, zlib.error) as error:
        raise imports.ImportRefused(f'"{path}" is damaged: {error}. Nothing was imported; fetch it again.') from None
    except (LookupError, UnicodeError) as error:
        raise imports.ImportRefused(f'"{path}" names an encoding that can\'t be read: {error}.') from None


def _reason(path: Path, error: ParseError | cleaning.UnknownBytes) -> str:
    """A look at the bytes: what they are instead of XML; else what the parser says."""
    try:
        with imports.Source(path) as source:
            start = source.stream.read(_PIECE)
            reason = _other_format(start)
            while source.stream.read(_PIECE):  # to see it unpacked
                pass
    except (EOFError, OSError, zlib.error) as damage:
        return f"is damaged: {damage}. Nothing was imported; fetch it again."
    if reason:
        return f"{reason}. Nothing was imported."
    if isinstance(error, cleaning.UnknownBytes):
        return f"says it is UTF-8, and is not: {error}. Save it as UTF-8. Nothing was imported."
    line, column = error.position
    return (
        f"is not well-formed XML at line {line}, column {column}: {str(error).split(':', maxsplit=1)[0]}. "
        "Nothing was imported; the file may be cut off, export the site again."
    )


def _other_format(start: bytes) -> str:
    for magic, name in _ARCHIVES.items():
        if start.startswith(magic):
            return f"is {name}; unpack it, and give the XML file in it"
    if cleaning.is_wide(start) and not cleaning.declared(start).startswith("utf-16"):
        return "is UTF-16 and does not say so in its first line; save it as UTF-8"
    return ""
