"""Idempotency keys: a write that is sent again has happened once, and is answered as it was.

The header and its answers follow draft-ietf-httpapi-idempotency-key-header-07. The record is written in the
transaction of the effect, so that there are both or neither, wherever a process dies.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.core.files.uploadedfile import UploadedFile
from django.db import connection
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.kernel import context, errors, failpoints, isolation, operations, rendering, wording
from apps.outbox.append import unit_of_work
from apps.tenants import models, scope

HEADERS = ("Idempotency-Key", "X-Idempotency-Key")
REPLAYED = "Idempotent-Replayed"
KEPT = timedelta(hours=24)
MAXIMUM_LENGTH = 255
FORGOTTEN_AT_ONCE = 10_000
# Held to the end of the transaction: whoever does not get it at once comes while the first is still at work.
LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"

# Printable ASCII without blanks around it; quotes around all of it do not count.
PATTERN = re.compile(f'^([!#-~]([ -~]{{0,{MAXIMUM_LENGTH - 2}}}[!-~])?|"[ -~]{{1,{MAXIMUM_LENGTH}}}")$')


class KeyMissing(errors.DomainError):
    """The endpoint moves money or stock and needs an `Idempotency-Key`: a new UUID for each intent, the same one for
    each attempt at it."""

    code = "idempotency_key_missing"
    title = "An idempotency key is needed"


class KeyMalformed(errors.DomainError):
    """The `Idempotency-Key` is empty, longer than 255 characters, or not printable ASCII."""

    code = "idempotency_key_malformed"
    title = "The idempotency key cannot be used"


class KeyReused(errors.DomainError):
    """The `Idempotency-Key` was sent with another body before; take a new one for another intent."""

    code = "idempotency_key_reused"
    status = 422
    title = "The idempotency key was used for something else"


class RequestInFlight(errors.Conflict):
    """A request with this `Idempotency-Key` is still being worked on; send it again to learn what became of it."""

    code = "request_in_flight"
    title = "The same request is still being worked on"


def manners(*, is_needed: bool) -> operations.Manners:
    """What writes have in common."""
    parameter = OpenApiParameter(
        HEADERS[0],
        {"type": "string", "pattern": PATTERN.pattern},
        location=OpenApiParameter.HEADER,
        required=is_needed,
        description="A new UUID for each intent and the same one for each attempt: the effect happens once.",
    )
    headers = {REPLAYED: "`true` on an answer that was given before, to the same key."}
    refused = (KeyMalformed, KeyReused, RequestInFlight, *((KeyMissing,) if is_needed else ()))
    return operations.Manners((parameter,), headers, refused)


def read_key(request: Request) -> str | None:
    """The key of the request, None without one. Raises KeyMalformed."""
    text = next((value for name in HEADERS if (value := request.headers.get(name)) is not None), None)
    if text is None:
        return None
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':  # the draft has it as a string of RFC 8941
        text = text[1:-1]
    if not 1 <= len(text) <= MAXIMUM_LENGTH or not text.isascii() or not text.isprintable():
        raise KeyMalformed(
            wording.say("Send 1 to {limit} printable ASCII characters, best a UUID.", limit=MAXIMUM_LENGTH)
        )
    return text


def once(
    request: Request, work: Callable[[], Response], *, key: str, secrets: Sequence[str] = (), now: datetime
) -> HttpResponse:
    """What `work` answers, or the stored answer where the key has been through; both in one unit of work.

    A key is good for one caller, method and address. Only success is kept: after an error the same key tries again.
    `secrets` name members of the answer that are shown once; a replay has null in their place. Raises RequestInFlight,
    KeyReused and what `work` raises.
    """
    named = {"actor": context.current().actor, "method": str(request.method), "path": request.path, "key": key}
    fingerprint = _fingerprint(request)
    with unit_of_work():
        with connection.cursor() as cursor:
            cursor.execute(LOCK, ["\n".join([str(scope.current_id()), *named.values()])])
            if not cursor.fetchone()[0]:
                raise RequestInFlight(
                    wording.say("A request with this Idempotency-Key is being worked on; send it again in a moment."),
                    retry_after=1,
                )
        kept = models.IdempotencyRecord.objects.filter(**named, created_at__gt=now - KEPT).first()
        if kept is not None:
            return _replay(kept, fingerprint)
        response = work()
        if 200 <= response.status_code < 300:
            _keep(response, secrets, fingerprint=fingerprint, now=now, **named)
        failpoints.reach("idempotency.before_commit")
    failpoints.reach("idempotency.after_commit")
    return response


@isolation.all_tenants(reason="forget idempotency keys")
def forget_old(*, now: datetime) -> int:
    """Delete records that are good for nothing any more; returns how many, at most 10,000 in one go."""
    old = models.IdempotencyRecord.objects.filter(created_at__lte=now - KEPT)
    return old.filter(id__in=old.values("id")[:FORGOTTEN_AT_ONCE]).delete()[0]


def _fingerprint(request: Request) -> str:
    """Of the query and the parsed body: the same JSON with other spaces or order is the same intent."""
    intent = [sorted(request.query_params.lists()), request.data]
    return hashlib.sha256(orjson.dumps(intent, option=orjson.OPT_SORT_KEYS, default=_told)).hexdigest()


def _told(value: Any) -> Any:
    """A file by what is in it, and by what its sender says of it."""
    if not isinstance(value, UploadedFile):
        return str(value)
    digest = hashlib.sha256()
    for block in value.chunks():
        digest.update(block)
    value.seek(0)
    return [value.name, value.content_type, digest.hexdigest()]


def _keep(response: Response, secrets: Sequence[str], **columns: Any) -> None:
    data = response.data
    if secrets and isinstance(data, dict):
        data = {name: None if name in secrets else value for name, value in data.items()}
    models.IdempotencyRecord.objects.update_or_create(
        **{name: columns[name] for name in ("actor", "method", "path", "key")},
        defaults={
            "fingerprint": columns["fingerprint"],
            "status": response.status_code,
            "body": rendering.OrjsonRenderer().render(data),
            "headers": {name: response[name] for name in ("Location", "ETag") if name in response},
            "created_at": columns["now"],
        },
    )


def _replay(kept: models.IdempotencyRecord, fingerprint: str) -> HttpResponse:
    if kept.fingerprint != fingerprint:
        raise KeyReused(
            wording.say("This Idempotency-Key came with another body before. Take a new key for another request.")
        )
    answer = HttpResponse(bytes(kept.body), status=kept.status, content_type="application/json")
    for name, value in (kept.headers | {REPLAYED: "true"}).items():
        answer[name] = value
    return answer
