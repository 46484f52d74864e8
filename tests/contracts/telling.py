"""People who ask operations of the API by their ids, and what they sent and got."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.utils import timezone

from tests.contracts import watching

HOST = "shop.example.com"
ADDRESS = "203.0.113.7"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True)
class Declared:
    """An operation as the document has it."""

    id: str
    method: str
    path: str
    document: Mapping[str, Any]

    @property
    def needs_login(self) -> bool:
        return {} not in self.document["security"]

    def takes_header(self, name: str) -> bool:
        return any(each["in"] == "header" and each["name"] == name for each in self.document.get("parameters", ()))

    def needs_header(self, name: str) -> bool:
        found = (each for each in self.document.get("parameters", ()) if each["name"] == name)
        return any(each.get("required", False) for each in found)

    @property
    def takes_body(self) -> bool:
        return "requestBody" in self.document

    @property
    def takes_files(self) -> bool:
        return "multipart/form-data" in self.document.get("requestBody", {}).get("content", {})

    @property
    def success(self) -> int:
        """The status where all went well and there is something to tell."""
        return int(min(self.successes))

    @property
    def successes(self) -> list[str]:
        return [status for status in self.document["responses"] if status.startswith("2")]


@cache
def operations() -> dict[str, Declared]:
    """Every operation of the document, by its id."""
    return {
        operation["operationId"]: Declared(operation["operationId"], method.upper(), path, operation)
        for path, methods in watching.document()["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    }


@dataclass(frozen=True)
class Request:
    """A request of an operation; `parts` fill its path."""

    operation: Declared
    parts: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    token: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        filled = {name: quote(value, safe="") for name, value in self.parts.items()}
        query = f"?{urlencode(self.query)}" if self.query else ""
        return self.operation.path.format(**filled) + query

    def but(self, *, headers: Mapping[str, str] | None = None, **changes: Any) -> Request:
        """The same with these changes; headers come on top of those it has."""
        return replace(self, headers={**self.headers, **(headers or {})}, **changes)


@dataclass(frozen=True)
class Step:
    """A request that went well, and its answer at that moment: JSON, text, or None for an empty one."""

    request: Request
    answer: Any
    at: datetime


@dataclass
class Teller:
    """Carries out the steps of a story, one after the other, and keeps them; `last` is the response to the last one.

    `shown` has what examples show instead of secrets.
    """

    steps: list[Step] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)
    last: Any = None
    _client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def tell(self, request: Request) -> Any:
        """Sends a request that is to succeed; the answer as JSON or text. Raises AssertionError."""
        response = self.last = self.send(request)
        asked = f"{request.operation.id}: {request.operation.method} {request.path}"
        assert str(response.status_code) in request.operation.successes, (
            f"{asked} {response.status_code} {text_of(response)}"
        )
        answer = _read(response)
        self.steps.append(Step(request, answer, timezone.now()))
        return answer

    def send(self, request: Request, *, method: str = "", data: str | None = None, media: str = "") -> Any:
        """The response to a request, or to another method or body at its address."""
        body: Any = "" if request.body is None else json.dumps(request.body)
        if request.operation.takes_files and data is None:
            body, media = _form(request.body), MULTIPART_CONTENT
        known = {"Authorization": f"Bearer {request.token}"} if request.token else {}
        return self._client.generic(
            method or request.operation.method,
            request.path,
            body if data is None else data,
            content_type=media or "application/json",
            secure=True,
            headers={"Host": HOST, "User-Agent": BROWSER} | known | dict(request.headers),
            REMOTE_ADDR=ADDRESS,
        )

    def show_as(self, secret: str, shown: str) -> str:
        """The secret, for which examples have something else."""
        self.shown[secret] = shown
        return secret


@dataclass
class Person:
    """Somebody with a token, or without one."""

    teller: Teller
    token: str = ""

    def __call__(self, operation: str, body: Any = None, /, *, query: Any = None, **parts: str) -> Any:
        """The answer of an operation that is to succeed; edits replace whatever is there."""
        declared = operations()[operation]
        headers = {}
        if declared.takes_header("Idempotency-Key"):
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if declared.takes_header("If-Match"):
            headers["If-Match"] = "*"
        return self.teller.tell(Request(declared, parts, query or {}, body, self.token, headers))


def _form(body: Mapping[str, Any]) -> bytes:
    """A form whose file is a document: its text is the file."""
    sent = io.BytesIO(body["file"].encode())
    sent.name, sent.content_type = "price-list.pdf", "application/pdf"  # type: ignore[attr-defined]
    return encode_multipart(BOUNDARY, {**body, "file": sent})


def text_of(response: Any) -> str:
    content: bytes = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode()


def _read(response: Any) -> Any:
    text = text_of(response)
    if not text:
        return None
    return json.loads(text) if response["Content-Type"].startswith("application/json") else text
