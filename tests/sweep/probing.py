"""Requests that name another tenant's things, each beside the same one that names what nobody has.

Both must be answered alike; nothing of the other tenant may be in the answer, in a log, a mail, or a row written here;
and its own rows must be what they were. Every request is taken back, so that each finds the same rows.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import logging
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from django.core import mail
from django.db import transaction
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import resolve
from django.utils import timezone

from apps.accounts.services import mailed
from apps.kernel import isolation
from apps.kernel.limits import headers
from tests import factories
from tests.sweep import canaries, inputs, mirrored, rows

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
# Where files lie, and what hashes of them are.
DRAWN = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{32})\b")
SECRET = re.compile(r"\b(?:rt[a-z]_[\w-]{20,}|eyJ[\w-]+\.[\w-]+\.[\w-]+)")
# They differ from request to request, or with the length and the words of what was sent. What is left of a limit is
# not another tenant's.
OTHER_HEADERS = ("X-Correlation-Id", "Content-Length", "ETag", "Expires", "Set-Cookie", *headers.DESCRIPTIONS)


# What these addresses can't be asked without, and which of a tenant's things it is.
ASKED_FOR = {"store/search": ("q", "title"), "store/redirects": ("path", "old_path")}


@dataclass(frozen=True)
class Request:
    """`sent` are the names of things in it."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    sent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def whole(self) -> str:
        return f"{self.headers} {self.text}"


@dataclass(frozen=True)
class Probe:
    """Something that can be asked: with the other tenant's name of it, and with nobody's. `where` is an operation."""

    where: str
    what: str
    foreign: Request
    nobodys: Request

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Lines(logging.Handler):
    """Everything that is logged, as text."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self.texts.append(f"{record.getMessage()} {trace}")


@dataclass
class Sweep:
    """A sweep from `here` for what is `other`'s; `problems` are one sentence each."""

    here: mirrored.Side
    other: mirrored.Side
    canaries: canaries.Canaries
    known: frozenset[uuid.UUID]
    watch: rows.Watch
    lines: Lines = field(default_factory=Lines)
    problems: list[str] = field(default_factory=list)
    pairs: int = 0
    _addresses: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self, probes: Iterable[Probe]) -> None:
        """Ask all. The rows are looked at after what may write, and once for each place where nothing should."""
        before, _ = self.watch.look()
        looked_at: set[str] = set()
        for probe in probes:
            self.pairs += 1
            nobodys = self.ask(probe.nobodys)
            with taken_back():
                self.lines.texts.clear()
                mail.outbox.clear()
                foreign = self._send(probe.foreign)
                if probe.foreign.method != "GET" and foreign.status < 300:
                    self._send_mails()
                self._judge(probe, foreign, nobodys)
                self._listen(probe)
                may_write = probe.foreign.method != "GET" or probe.where not in looked_at
                if may_write and foreign.status < 500:  # else the transaction may be lost, and that is a problem itself
                    self._look(probe, before)
                looked_at.add(probe.where)

    def ask(self, request: Request, *, is_kept: bool = False) -> Answer:
        """The answer; what it wrote is taken back, unless it is to be kept."""
        with nullcontext() if is_kept else taken_back():
            return self._send(request)

    def _send(self, request: Request) -> Answer:
        number = next(self._addresses)  # nobody counted requests of this client yet
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        client = Client(REMOTE_ADDR=address, raise_request_exception=False)
        query = f"?{urlencode(request.query)}" if request.query else ""
        with isolation.to_nobody():
            body, media_type = encoded(request.body)
            response: Any = client.generic(
                request.method, request.path + query, body, content_type=media_type, headers=request.headers
            )
            content = b"".join(response.streaming_content) if response.streaming else response.content
            return Answer(response.status_code, dict(response.headers), content.decode())

    def _judge(self, probe: Probe, foreign: Answer, nobodys: Answer) -> None:
        seen = self.canaries.found_in(foreign.whole, allowed=probe.foreign.sent)
        if seen:
            self.problems.append(f"{probe} is answered {foreign.status} with {', '.join(seen[:3])}")
        if foreign.status >= 500 or nobodys.status >= 500:
            self.problems.append(f"{probe} fails with {foreign.status} and {nobodys.status}: {foreign.text[:200]}")
        expected, found = self._as_if_foreign(nobodys, probe), self._plain(foreign.text)
        if (foreign.status, found) != (nobodys.status, expected):
            self.problems.append(
                f"{probe} is answered {foreign.status} {_difference(found, expected)}; what nobody has is answered "
                f"{nobodys.status} {_difference(expected, found)}"
            )
        if self._headers(foreign, probe) != self._headers(nobodys, probe):
            self.problems.append(f"{probe} is told apart by headers: {foreign.headers} {nobodys.headers}")

    def _look(self, probe: Probe, before: dict[str, str | None]) -> None:
        """At the rows the request left behind."""
        after, written = self.watch.look()
        if changed := [name for name, checksum in before.items() if after[name] != checksum]:
            self.problems.append(f"{probe} changes rows in {', '.join(changed)}")
        self._search(probe, "a row here", written)

    def _listen(self, probe: Probe) -> None:
        """To what was said on the way."""
        mails = (f"{message.to} {message.subject} {message.body}" for message in mail.outbox)
        self._search(probe, "a log", " ".join(self.lines.texts))
        self._search(probe, "a mail", " ".join(mails))

    def _search(self, probe: Probe, place: str, text: str) -> None:
        if seen := self.canaries.found_in(text, allowed=probe.foreign.sent):
            self.problems.append(f"{probe} leaves {', '.join(seen[:3])} in {place}")

    def _as_if_foreign(self, nobodys: Answer, probe: Probe) -> str:
        """What the answer about nobody's would be, had the other tenant's been sent."""
        text = nobodys.text
        for unknown, name in zip(probe.nobodys.sent, probe.foreign.sent, strict=True):
            for spelled in (str, quote):
                text = text.replace(spelled(unknown), spelled(name))
        return self._plain(canaries.untwin(text, self.canaries.mark, self.canaries.ids))

    def _headers(self, answer: Answer, probe: Probe) -> dict[str, str]:
        text = {name: value for name, value in answer.headers.items() if name not in OTHER_HEADERS}
        return {name: self._as_if_foreign(Answer(0, {}, value), probe) for name, value in sorted(text.items())}

    def _plain(self, text: str) -> str:
        """Without what is new in every answer."""
        text = MOMENT.sub("<moment>", SECRET.sub("<secret>", DRAWN.sub("<drawn>", text)))
        text = canaries.UUID.sub(lambda found: found[0] if uuid.UUID(found[0]) in self.known else "<new>", text)
        return canaries.TYPE_ID.sub(
            lambda found: found[0] if canaries.ids_in(found[0])[0] in self.known else "<new>", text
        )

    def _send_mails(self) -> None:
        with isolation.to_nobody():
            for table in mailed.TABLES:
                mailed.send_due(table=table, now=timezone.now())


class taken_back(transaction.Atomic):  # noqa: N801 - read as what the block is
    """A block whose writes are undone at its end."""

    def __init__(self) -> None:
        super().__init__(using=None, savepoint=True, durable=False)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is None:
            transaction.set_rollback(True)
        super().__exit__(exc_type, exc_value, traceback)


def _difference(text: str, other: str) -> str:
    """Some of a text from where it differs."""
    start = next((i for i, (one, two) in enumerate(zip(text, other, strict=False)) if one != two), 0)
    return text[max(0, start - 60) : start + 240]


class Asking:
    """Builds requests of operations with names of one tenant's things, from its own people on its own host."""

    def __init__(self, side: mirrored.Side) -> None:
        self.side = side

    def own(self, operation: inputs.Operation, wanted: inputs.Input | None = None) -> Request:
        """A request about one's own things, with everything that is needed and the input wanted."""
        is_body = wanted is not None and wanted.place == "body"
        body = operation.sample_body(
            lambda name: self._new if name in inputs.NEW else self._fill(operation, name),
            wanted.path if wanted is not None and is_body else (),
        )
        values = {
            name: inputs.IN_ADDRESSES.get(name) or self._fill(operation, name)
            for place, name in operation.parameters
            if place == "path"
        }
        request = Request(operation.method, operation.path.format(**values), {}, body, self.headers(operation))
        request.query.update(_everything_in_full(request))
        if operation.area in ASKED_FOR:
            name, kind = ASKED_FOR[operation.area]
            request.query[name] = self.side.names[kind]
        if wanted is None or is_body:
            return request
        return replace(self.put(operation, request, wanted, self._fill(operation, wanted.name)), sent=())

    def headers(self, operation: inputs.Operation) -> dict[str, str]:
        bearer = {"store/account": "customer", "admin": "staff", "auth": "staff"}
        who = next((name for start, name in bearer.items() if operation.area.startswith(start)), None)
        known = {"Authorization": f"Bearer {self.side.bearers[who]}"} if who else {}
        return {"Host": self.side.host} | known | factories.write_headers(operation.method)

    @staticmethod
    def put(operation: inputs.Operation, request: Request, where: inputs.Input, value: str) -> Request:
        """The request with this value for the input."""
        changed, path = copy.deepcopy(request), request.path
        match where.place:
            case "path":
                path = _replaced(operation.path, path, where.name, value)
            case "query":
                changed.query[where.name] = value
            case "header":
                changed.headers[where.name] = value
            case _:
                _set(changed.body, where.path, value)
        return replace(changed, path=path, sent=(*request.sent, value))

    @property
    def _new(self) -> str:
        return f"{self.side.words.mark}x000"

    def _fill(self, operation: inputs.Operation, name: str) -> str:
        if name in inputs.SAMPLES:
            return inputs.SAMPLES[name]
        if (of_people := inputs.OF_PEOPLE.get(f"{operation.name}.{name}")) is not None:
            return self.side.names[of_people]
        if operation.area.startswith("admin/modules") and name == "slug":
            return "search"
        return self.side.names[operation.kind_of(name)]


def _everything_in_full(request: Request) -> dict[str, str]:
    """What a list is asked, so that it shows the things its documents name as well."""
    listing = getattr(getattr(resolve(request.path).func, "cls", None), "listing", None)
    expansions = listing.expansions if listing is not None and request.method == "GET" else {}
    return {"expand": ",".join(expansions)} if expansions else {}


def answer_first(other: mirrored.Side, *, writes_of: mirrored.Side) -> None:
    """Have the tenant remember every write of the other's staff, under a key of its own: people work for several."""
    actor, key = f"user:{writes_of.staff.pk}", other.names["idempotency_key"]
    writes = [Asking(writes_of).own(operation) for operation in inputs.operations() if operation.takes_key]
    with factories.at_work(other.tenant):
        for method, path in {(write.method, write.path) for write in writes}:
            mirrored.remember(other.words, actor=actor, method=method, path=path, key=key)


def _replaced(template: str, path: str, name: str, value: str) -> str:
    parts = zip(template.split("/"), path.split("/"), strict=True)
    return "/".join(quote(value, safe="") if part == f"{{{name}}}" else filled for part, filled in parts)


def _set(body: Any, path: inputs.Path, value: str) -> None:
    for part in path[:-1]:
        body = body[part]
    body[path[-1]] = value


def encoded(body: Any) -> tuple[bytes | str, str]:
    """A body and its media type: JSON, or a form where there is a file in it, whose text is a document."""
    if not isinstance(body, dict) or "file" not in body:
        return "" if body is None else json.dumps(body), "application/json"
    file = io.BytesIO(body["file"].encode())
    file.name, file.content_type = "list.pdf", "application/pdf"  # type: ignore[attr-defined]
    return encode_multipart(BOUNDARY, {**body, "file": file}), MULTIPART_CONTENT
