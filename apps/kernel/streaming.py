"""Answers too long to be held at once: written part by part, in constant memory, and never cached."""

from __future__ import annotations

import contextvars
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import orjson
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse

from apps.kernel import problems, text

log = structlog.get_logger(__name__)

PAGE = 200
# The database ends it, also where nobody takes the next part, and lets go of what it keeps for the snapshot.
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL transaction_timeout = '{}s'"

type Document = Mapping[str, Any]


class Failure(TypedDict):
    """The last line of an answer that could not be brought to its end."""

    problem: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """How documents become lines; `name` is also what the file's name ends with, `failure` the line for a problem."""

    name: str
    content_type: str
    head: bytes
    line: Callable[[Document], bytes]
    failure: Callable[[Document], bytes]

    def lines(self, documents: Iterable[Any]) -> bytes:
        return b"".join(map(self.line, documents))


def csv_of(columns: Sequence[str]) -> Format:
    """CSV (RFC 4180) of these members: no cell is taken for a formula; lists, objects and booleans are JSON."""

    def line(document: Document) -> bytes:
        return _csv_line([document[name] for name in columns])

    return Format("csv", "text/csv; charset=utf-8", _csv_line(columns), line, _csv_failure)


def _csv_line(cells: Iterable[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([text.to_cell(_cell(cell)) for cell in cells])
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return orjson.dumps(value).decode() if isinstance(value, bool | dict | list) else str(value)


def _csv_failure(problem: Document) -> bytes:
    return _csv_line(["problem", problem["code"], problem["detail"]])


def _json_line(document: Document) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


NDJSON = Format(
    "ndjson", "application/x-ndjson", b"", _json_line, lambda problem: _json_line(Failure(problem=dict(problem)))
)


def respond(parts: Iterator[bytes], format: Format, *, name: str) -> StreamingHttpResponse:
    """The parts as a file of this name, made one by one as the client takes them.

    What fails on the way is told in a last line: the status is long sent, and a server may end the answer as if it
    were whole.
    """
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{format.name}"',
        "Cache-Control": "no-store",
    }
    told = _in_this_context(_telling(parts, format))
    return StreamingHttpResponse(told, content_type=format.content_type, headers=headers)


@contextmanager
def snapshot() -> Iterator[None]:
    """One state of the database, to read only; within a transaction, that one.

    Raises OperationalError when it takes longer than `EXPORT_SECONDS`.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(SNAPSHOT.format(settings.EXPORT_SECONDS))
        yield


def pages[Row: Model](rows: QuerySet[Row, Row]) -> Iterator[list[Row]]:
    """All rows in the order of their ids, a page at a time: what is read is what is asked for."""
    rows = rows.order_by("id")
    page = list(rows[:PAGE])
    while page:
        yield page
        page = list(rows.filter(id__gt=page[-1].pk)[:PAGE]) if len(page) == PAGE else []


def _telling(parts: Iterator[bytes], format: Format) -> Iterator[bytes]:
    try:
        yield format.head
        yield from parts
    except Exception:
        log.exception("kernel.stream_failed", format=format.name)
        yield format.failure(problems.document(problems.by_status(500)))


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
            here.run(parts.close)  # type: ignore[attr-defined]

    return in_context()
