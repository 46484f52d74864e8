"""Answers too long to be held at once: written part by part, in constant memory, and never cached."""

from __future__ import annotations

import contextvars
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import StreamingHttpResponse

from apps.kernel import text


@dataclass(frozen=True, slots=True)
class Format:
    """How documents become lines; `name` is also what the file's name ends with."""

    name: str
    content_type: str
    head: bytes
    line: Callable[[Mapping[str, Any]], bytes]

    def lines(self, documents: Iterable[Mapping[str, Any]]) -> bytes:
        return b"".join(map(self.line, documents))


def csv_of(columns: Sequence[str]) -> Format:
    """CSV (RFC 4180) of these members: no cell is taken for a formula, what is no text or number is JSON."""

    def line(document: Mapping[str, Any]) -> bytes:
        return _csv_line([document[name] for name in columns])

    return Format("csv", "text/csv; charset=utf-8", _csv_line(columns), line)


def _csv_line(cells: Iterable[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([text.to_cell(_cell(cell)) for cell in cells])
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return orjson.dumps(value).decode() if isinstance(value, bool | dict | list) else str(value)


def _json_line(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


NDJSON = Format("ndjson", "application/x-ndjson", b"", _json_line)


def respond(parts: Iterator[bytes], format: Format, *, name: str) -> StreamingHttpResponse:
    """The parts as a file of this name, made one by one as the client takes them."""
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{format.name}"',
        "Cache-Control": "no-store",
    }
    return StreamingHttpResponse(_in_this_context(parts), content_type=format.content_type, headers=headers)


def _in_this_context(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts, each made with the tenant, the rights and the names of now: the request ends before the first is.

    What a part holds on to, such as a transaction, is let go when the client goes away.
    """
    here, end = contextvars.copy_context(), object()

    def in_context() -> Iterator[bytes]:
        try:
            while (part := here.run(next, parts, end)) is not end:
                yield part  # type: ignore[misc]
        finally:
            here.run(getattr(parts, "close", lambda: None))

    return in_context()
