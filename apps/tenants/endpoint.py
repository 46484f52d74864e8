"""What every endpoint that writes has in common: idempotency keys, and edits that need to know what they replace."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.kernel import context, errors, ids, listing, operations, wording
from apps.outbox import append
from apps.tenants import idempotency, scope

WRITES = ("POST", "PUT", "PATCH", "DELETE")
EDITS = ("PUT", "PATCH", "DELETE")
_TAG = re.compile(r'(?:W/)?"v(\d{1,9})"')


class PreconditionRequired(errors.DomainError):
    """The edit says not what it replaces: send `If-Match` with the `ETag` that was read, or `*` for whatever is there
    (RFC 6585)."""

    code = "precondition_required"
    status = 428
    title = "Say which version the edit replaces"


class PreconditionFailed(errors.DomainError):
    """Somebody else has changed the object since it was read; read it again and repeat the edit."""

    code = "precondition_failed"
    status = 412
    title = "The object has changed since it was read"


_TAGGED = {"ETag": "The version of the object, for If-Match and If-None-Match."}
_OF_EDITS = operations.Manners(
    (
        OpenApiParameter(
            "If-Match",
            {"type": "string", "pattern": r'^(\*|(W/)?"v[0-9]{1,9}")$'},
            location=OpenApiParameter.HEADER,
            required=True,
            description="The ETag that was read, so that nobody else's change is lost; `*` replaces whatever is there.",
        ),
    ),
    _TAGGED,
    (PreconditionRequired, PreconditionFailed, errors.Conflict, append.ConcurrencyConflict),
)
_OF_READS = operations.Manners(
    (
        OpenApiParameter(
            "If-None-Match",
            {"type": "string"},
            location=OpenApiParameter.HEADER,
            description="An ETag; the answer is 304 if it still holds.",
        ),
    ),
    _TAGGED,
    also={304: "The version that If-None-Match names still holds."},
)


@dataclass(frozen=True, slots=True)
class Versioned:
    """Whose version the address shows: a stream, and how its id is found from the parts of the address."""

    aggregate_type: str
    find: Callable[[Mapping[str, Any]], uuid.UUID]


# The answer where whoever writes may not read, among an operation's statuses.
UNREAD = {204: "Done, and whoever asks may not read it; Location has its address."}


def unread(address: str) -> Response:
    """Says where the object is that was written, and nothing about it."""
    return Response(status=204, headers={"Location": address})


def by_id(aggregate_type: str, prefix: str, part: str) -> Versioned:
    """A stream whose id stands in the address, as `part`."""
    return Versioned(aggregate_type, lambda parts: ids.decode(prefix, parts[part]))


class Endpoint(listing.View):
    """A view of the API.

    `needs_key` is for what moves money or stock; `secrets` are members of its answers that are shown once. With
    `versioned` reads carry an ETag, answer 304 to If-None-Match, and PUT, PATCH and DELETE need If-Match (RFC 9110,
    13.1).
    """

    needs_key: ClassVar[bool] = False
    secrets: ClassVar[tuple[str, ...]] = ()
    versioned: ClassVar[Versioned | None] = None

    @classmethod
    def manners(cls, method: str) -> operations.Manners:
        """With keys on writes, and versions where there are some."""
        found = super().manners(method)
        if method in WRITES:
            found |= idempotency.manners(is_needed=cls.needs_key)
        if cls.versioned is not None and method in EDITS:
            found |= _OF_EDITS if method != "DELETE" else replace(_OF_EDITS, headers={})
        elif cls.versioned is not None and method == "GET":
            found |= _OF_READS
        return found

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Puts what is here around the method, once the caller is known and may call it."""
        super().initial(request, *args, **kwargs)
        name = str(request.method).lower()
        if scope.find() is None or not hasattr(self, name):
            return
        work = getattr(self, name)
        if self.versioned is not None and request.method in (*EDITS, "GET", "HEAD"):
            work = partial(self._edit if request.method in EDITS else self._read, work)
        if request.method in WRITES:
            work = partial(self._write, work)
        setattr(self, name, work)

    def _write(self, work: Callable[..., Response], request: Request, **parts: Any) -> HttpResponse:
        key = idempotency.read_key(request)
        if key is None and self.needs_key:
            raise idempotency.KeyMissing(
                wording.say("Send Idempotency-Key with a new UUID, and the same one when you try again.")
            )
        if key is None or context.current().actor == "anonymous":
            return work(request, **parts)
        return idempotency.once(
            request, partial(work, request, **parts), key=key, secrets=self.secrets, now=timezone.now()
        )

    def handle_exception(self, exc: Exception) -> Response:
        """A version that was asked for by If-Match is a precondition, and not a conflict."""
        if isinstance(exc, append.ConcurrencyConflict) and "If-Match" in self.request.headers:
            exc = failed_precondition(exc)
        return super().handle_exception(exc)

    def _read(self, work: Callable[..., Response], request: Request, **parts: Any) -> HttpResponse:
        response = work(request, **parts)
        tag = self._tag(append.version_of(self._stream(parts)))
        if response.status_code != 200 or tag is None:
            return response
        known = request.headers.get("If-None-Match", "")
        if known == "*" or tag in (part.strip().removeprefix("W/") for part in known.split(",")):
            response = Response(status=304)
        response["ETag"] = tag
        return response

    def _edit(self, work: Callable[..., Response], request: Request, **parts: Any) -> HttpResponse:
        wanted = _read_if_match(request)
        stream = self._stream(parts)
        with append.unit_of_work():
            with replacing(stream, wanted):
                response = work(request, **parts)
            if request.method != "DELETE" and (tag := self._tag(append.version_of(stream))):
                response["ETag"] = tag
        return response

    def _stream(self, parts: Mapping[str, Any]) -> append.Key:
        assert self.versioned is not None  # noqa: S101 - asked for by those that have one
        return scope.current_id(), self.versioned.aggregate_type, self.versioned.find(parts)

    @staticmethod
    def _tag(version: int | None) -> str | None:
        return None if version is None else f'"v{version}"'


@contextmanager
def replacing(stream: append.Key, wanted: frozenset[int] | None) -> Iterator[None]:
    """Hold what the block does to a stream to these versions of it, None for any. Raises ConcurrencyConflict.

    Asked afterwards, when what was changed is locked.
    """
    try:
        yield
    except errors.Conflict:
        if not transaction.get_rollback():
            _require(stream, wanted)  # what is in the way may be what was not read
        raise
    _require(stream, wanted)


def failed_precondition(conflict: append.ConcurrencyConflict) -> PreconditionFailed:
    """What the conflict is to whoever said which version the edit replaces."""
    return PreconditionFailed(
        wording.say("Somebody has changed it in the meantime; read it again and repeat the edit."), **conflict.data
    )


def _read_if_match(request: Request) -> frozenset[int] | None:
    """The versions the edit may replace; None for any. Raises PreconditionRequired, PreconditionFailed."""
    text = request.headers.get("If-Match")
    if text is None:
        raise PreconditionRequired(
            wording.say("Send If-Match with the ETag you have read, or * to replace whatever is there.")
        )
    if text.strip() == "*":
        return None
    # Weak tags never match for an edit, and what we did not make matches nothing.
    found = (_TAG.fullmatch(part.strip()) for part in text.split(",") if not part.strip().startswith("W/"))
    return frozenset(int(match[1]) for match in found if match)


def _require(stream: append.Key, wanted: frozenset[int] | None) -> None:
    if wanted is not None:
        append.require_version(stream, wanted)
