"""How an operation is sent and what comes back: answers, errors, and what is tried again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypedDict, cast
from urllib.parse import quote, urlencode, urljoin, urlsplit

import urllib3

from rustok_client import models

if TYPE_CHECKING:
    from typing_extensions import ReadOnly  # of typing since Python 3.13

# What is said to pass by itself. The last is a conflict: another request with the same Idempotency-Key is at work.
_NOTHING_DONE = {HTTPStatus.TOO_MANY_REQUESTS}
_PASSING = _NOTHING_DONE | {HTTPStatus.SERVICE_UNAVAILABLE}
_IN_FLIGHT = "request_in_flight"

# The bytes of a body, and its media type.
type _Body = tuple[bytes | None, str | None]


@dataclass(frozen=True, slots=True)
class Answer[T]:
    """What an operation answered. `headers` are named in lower case."""

    status: int
    headers: Mapping[str, str]
    data: T

    @property
    def etag(self) -> str | None:
        """The version, as `if_match` and `if_none_match` take it."""
        return self.headers.get("etag")

    @property
    def is_replayed(self) -> bool:
        """Whether the same Idempotency-Key had been answered before."""
        return self.headers.get("idempotent-replayed") == "true"


class Page[T](TypedDict):
    """What every list answers."""

    data: ReadOnly[list[T]]
    next: ReadOnly[str | None]


class ProblemError(Exception):
    """The API refused, with a problem document (RFC 9457). `code` is what a program decides by."""

    def __init__(self, problem: models.Problem, *, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {problem['code']}: {problem['detail']}")
        self.problem = problem
        self.status = status
        self.headers = headers

    @property
    def code(self) -> str:
        return self.problem["code"]

    @property
    def errors(self) -> list[models.FieldProblem]:
        """Each wrong value, with the pointer that leads to it (RFC 6901)."""
        return self.problem.get("errors", [])

    @property
    def request_id(self) -> str | None:
        """What to quote in a report."""
        return self.headers.get("x-request-id")

    @property
    def retry_after(self) -> int | None:
        """Seconds after which another try makes sense."""
        told = self.headers.get("retry-after", "")
        return int(told) if told.isdecimal() else None


class NotModified(Exception):
    """What `if_none_match` names is still what there is."""


@dataclass(slots=True)
class Patience:
    """How long to go on trying: so many times, and waiting no longer than so many seconds each time."""

    attempts: int = 4
    longest_wait: float = 60
    sleep: Callable[[float], None] = time.sleep


class Sender:
    """Sends requests to one installation, as one tenant's if `tenant` names one by slug or id."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        tenant: str | None = None,
        languages: str | None = None,
        timeout: float = 30,
        patience: Patience | None = None,
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        self._base = base_url.rstrip("/")
        self.token = token
        self._always = {"X-Tenant": tenant, "Accept-Language": languages, "User-Agent": "rustok-client"}
        self._timeout = timeout
        self._patience = patience or Patience()
        self._pool = pool or urllib3.PoolManager()
        self._renewing = threading.Lock()

    def send(
        self,
        method: str,
        path: str,
        *,
        path_values: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: Any = None,
        is_form: bool = False,
        is_text: bool = False,
    ) -> Answer[Any]:
        """The answer to one operation; a file of a form is its name, content and media type.

        Raises ProblemError, NotModified, and urllib3's HTTPError without an answer.
        """
        for name, value in (path_values or {}).items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        asked = urlencode({name: _written(value) for name, value in (query or {}).items() if value is not None})
        url = f"{self._base}{path}{'?' if asked else ''}{asked}"
        return self._answer(method, url, headers or {}, _encoded(body, is_form=is_form), is_text=is_text)

    def each[T](self, page: Answer[Page[T]]) -> Iterator[T]:
        """Every row of this page and of all that follow, which are asked for as they are needed."""
        while True:
            yield from page.data["data"]
            following = page.data["next"]
            if following is None:
                return
            if _origin(following) != _origin(self._base):
                raise ValueError(f"{following} is not on {self._base}: the token is not sent there")
            page = self._answer("GET", following, {}, (None, None), is_text=False)

    def refresh_token(self, refused: str) -> bool:
        """Called where a token is not accepted any more: whether there is another one to try with."""
        return self.token != refused

    def _answer(
        self, method: str, url: str, headers: Mapping[str, str | None], body: _Body, *, is_text: bool
    ) -> Answer[Any]:
        is_repeatable = method != "POST" or bool(headers.get("Idempotency-Key"))
        attempt, is_refreshed = 1, False
        while True:
            used = self.token
            response = self._request(method, url, headers, body)
            if response.status < HTTPStatus.BAD_REQUEST:
                return _read(response, is_text=is_text)
            refusal = _refusal(response)
            if refusal.status == HTTPStatus.UNAUTHORIZED and used and not is_refreshed and self.refresh_token(used):
                is_refreshed = True
                continue
            is_passing = refusal.status in (_PASSING if is_repeatable else _NOTHING_DONE)
            wait = refusal.retry_after
            if not is_passing and refusal.code != _IN_FLIGHT:
                raise refusal
            if wait is None or wait > self._patience.longest_wait or attempt >= self._patience.attempts:
                raise refusal
            attempt += 1
            self._patience.sleep(wait)

    def _request(
        self, method: str, url: str, headers: Mapping[str, str | None], body: _Body
    ) -> urllib3.BaseHTTPResponse:
        content, media_type = body
        sent = {
            **self._always,
            **headers,
            "Authorization": f"Bearer {self.token}" if self.token else None,
            "Content-Type": media_type,
        }
        return self._pool.request(
            method,
            url,
            body=content,
            headers={name: value for name, value in sent.items() if value is not None},
            timeout=self._timeout,
            retries=False,
            redirect=False,
        )


def _encoded(body: Any, *, is_form: bool) -> _Body:
    """The bytes of a body and their media type: the same for each attempt."""
    if body is None:
        return None, None
    if not is_form:
        return json.dumps(body).encode(), "application/json"
    fields = {name: value for name, value in body.items() if value is not None}
    return urllib3.encode_multipart_formdata(fields)


def _written(value: Any) -> str:
    """A query parameter as the API reads it."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case str():
            return value
        case Sequence():
            return ",".join(map(_written, value))
    return str(value)


def _read(response: urllib3.BaseHTTPResponse, *, is_text: bool) -> Answer[Any]:
    if response.status == HTTPStatus.NOT_MODIFIED:
        raise NotModified
    data = response.data.decode() if is_text else json.loads(response.data) if response.data else None
    return Answer(response.status, _named_low(response), data)


def _refusal(response: urllib3.BaseHTTPResponse) -> ProblemError:
    """Also of an answer that is no problem document, as a proxy in front may give one."""
    try:
        problem = cast("models.Problem", json.loads(response.data))
        problem["code"], problem["detail"]
    except (ValueError, TypeError, KeyError):
        said = response.data[:200].decode(errors="replace")
        problem = {"type": "about:blank", "title": "", "status": response.status, "code": "unknown", "detail": said}
    return ProblemError(problem, status=response.status, headers=_named_low(response))


def _named_low(response: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(urljoin(url, "/"))
    return parts.scheme, parts.netloc
