"""What the contract asks of every operation, tried on the requests of the story before and after they are carried out.

docs/explanation/{errors,lists,writes,rate-limits}.md say what is promised.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.test.utils import override_settings

from apps.kernel import ids, problems
from apps.kernel.limits import deciding, headers, policies
from apps.outbox.models import Log
from tests.contracts.telling import Declared, Request, Teller, operations, text_of

METHODS = ("DELETE", "PATCH", "PUT", "POST", "GET")
LANGUAGES = tuple(sorted(code for code, _ in settings.LANGUAGES))
UNNUMBERED = dict.fromkeys(policies.Limits.model_fields, 0)
# Each class of requests lets one through; people have asked more often than that already.
ONE = policies.Limits(**UNNUMBERED | {"read": 1, "write": 1, "expensive": 1, "auth": 1})
OLD = '"v0"'

type Rule = Callable[[Inspector, Request], None]
type AfterRule = Callable[[Inspector, Request, Any], None]


@dataclass
class Inspector(Teller):
    """Tells a story and tries the rules on the first request of each operation.

    `kept` and `broken` name the rule and the operation; `broken` says what was wrong. `outsider` is a token of
    somebody who holds no role in the tenant.
    """

    outsider: str = ""
    kept: set[tuple[str, str]] = field(default_factory=set)
    broken: dict[tuple[str, str], str] = field(default_factory=dict)
    _languages: Iterator[str] = field(default_factory=lambda: itertools.cycle(LANGUAGES))
    _seen: set[str] = field(default_factory=set)
    _explained: set[str] = field(default_factory=set)

    def tell(self, request: Request) -> Any:
        name = request.operation.id
        if name in self._seen:
            return super().tell(request)
        self._seen.add(name)
        for rule, (applies, check) in BEFORE.items():
            if applies(request):
                self._try(rule, name, lambda check=check: check(self, request))  # type: ignore[misc]
        answer = super().tell(request)
        self._try(TELLS, name, lambda: tells_limits(self.last))
        for rule, (applies, after) in AFTER.items():
            if applies(request):
                self._try(rule, name, lambda after=after: after(self, request, answer))  # type: ignore[misc]
        return answer

    def _try(self, rule: str, name: str, check: Callable[[], None]) -> None:
        try:
            check()
        except AssertionError as error:
            self.broken[rule, name] = str(error)[:1500]
        else:
            self.kept.add((rule, name))

    def refuse(self, request: Request, status: int, code: str = "", *, language: str = "", **sent: Any) -> Any:
        """The problem a request is refused with, in the language that is asked for."""
        language = language or next(self._languages)
        asked = str(uuid.uuid4())
        response = self.send(request.but(headers={"X-Request-Id": asked, "Accept-Language": language}), **sent)
        text = text_of(response)
        assert response.status_code == status, f"{response.status_code}, and not {status}: {text[:300]}"
        assert response["Content-Type"].partition(";")[0] == problems.MEDIA_TYPE, response["Content-Type"]
        problem = json.loads(text)
        assert problem["status"] == status, problem
        assert not code or problem["code"] == code, problem
        assert (problem["request_id"], response["X-Request-Id"]) == (asked, asked), problem
        assert response.get("Content-Language") == language, f"{response.get('Content-Language')}, and not {language}"
        tells_limits(response)
        self._explain(problem["type"])
        return problem, response

    def _explain(self, address: str) -> None:
        """The catalogue has the kind of problem."""
        path = "/" + address.split("/", 3)[3]
        if path not in self._explained:
            with override_settings(LIMITS=policies.Limits(**UNNUMBERED)):
                assert self._client.get(path).status_code == 200, f"{address} leads nowhere"
            self._explained.add(path)


def tells_limits(response: Any) -> None:
    """By every header there is; what a cache may give to others tells none."""
    told = [name for name in headers.DESCRIPTIONS if name in response]
    is_public = "public" in response.get("Cache-Control", "")
    assert told == ([] if is_public else [*headers.DESCRIPTIONS]), f"limits are told by {told}"


# --- errors -----------------------------------------------------------------------------------------------------


def anonymous(inspector: Inspector, request: Request) -> None:
    _, response = inspector.refuse(request.but(token=""), 401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Bearer"), dict(response.headers)


def wrong_role(inspector: Inspector, request: Request) -> None:
    inspector.refuse(request.but(token=inspector.outsider), 403)


def unknown_thing(inspector: Inspector, request: Request) -> None:
    """Well-formed, and nobody's; each part of the address by itself."""
    for part, value in request.parts.items():
        prefix = value.rpartition("_")[0]
        nobodys = ids.encode(prefix, ids.new_id()) if part.endswith("_id") else "nobodys"
        inspector.refuse(request.but(parts={**request.parts, part: nobodys}), 404)


def no_id(inspector: Inspector, request: Request) -> None:
    for part in request.parts:
        if part.endswith("_id"):
            inspector.refuse(request.but(parts={**request.parts, part: "1"}), 404, "invalid_id")


def wrong_media_type(inspector: Inspector, request: Request) -> None:
    inspector.refuse(request, 415, "unsupported_media_type", media="text/plain")


def broken_json(inspector: Inspector, request: Request) -> None:
    inspector.refuse(request, 400, "malformed_body", data='{"name": ')


def wrong_format(inspector: Inspector, request: Request) -> None:
    inspector.refuse(request.but(headers={"Accept": "application/xml"}), 406, "not_acceptable")


def wrong_method(inspector: Inspector, request: Request) -> None:
    served = methods_of(request.operation)
    method = next(method for method in METHODS if method not in served)
    _, response = inspector.refuse(request, 405, "method_not_allowed", method=method)
    assert set(response["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == served, response["Allow"]


def every_language(inspector: Inspector, request: Request) -> None:
    """Each with its own words."""
    odd = request.but(query={**request.query, "surprise": "1"})
    titles = {inspector.refuse(odd, 422, language=language)[0]["title"] for language in LANGUAGES}
    assert len(titles) == len(LANGUAGES), titles


# --- validation -------------------------------------------------------------------------------------------------


def unknown_parameter(inspector: Inspector, request: Request) -> None:
    parameters = request.operation.document.get("parameters", ())
    known = next((each["name"] for each in parameters if each["in"] == "query"), None)
    name = f"{known or 'surprise'}x"
    problem, _ = inspector.refuse(request.but(query={**request.query, name: "1"}), 422, language="en")
    names(problem, name, known)


def unknown_field(inspector: Inspector, request: Request) -> None:
    known = next(iter(request.body))
    name = f"{known}x"
    problem, _ = inspector.refuse(request.but(body={**request.body, name: 1}), 422, language="en")
    names(problem, name, known)


def names(problem: Any, name: str, nearest: str | None) -> None:
    """The problem points to the name, and to the nearest one there is."""
    said = {entry["pointer"]: entry["detail"] for entry in problem["errors"]}
    assert f"/{name}" in said, problem
    assert nearest is None or f'"{nearest}"' in said[f"/{name}"], problem


# --- writes -----------------------------------------------------------------------------------------------------


def needed_key(inspector: Inspector, request: Request) -> None:
    inspector.refuse(_without(request, "Idempotency-Key"), 400, "idempotency_key_missing")


def no_version(inspector: Inspector, request: Request) -> None:
    inspector.refuse(_without(request, "If-Match"), 428, "precondition_required")


def old_version(inspector: Inspector, request: Request) -> None:
    problem, _ = inspector.refuse(request.but(headers={"If-Match": OLD}), 412, "precondition_failed")
    assert problem["current_version"] > 0, problem


def same_again(inspector: Inspector, request: Request, answer: Any) -> None:
    """One effect, and the same answer but for what is shown once."""
    before = Log.objects.count()
    response = inspector.send(request)
    assert response.status_code == request.operation.success, f"{response.status_code}: {text_of(response)[:300]}"
    assert response.get("Idempotent-Replayed") == "true", dict(response.headers)
    again = json.loads(text_of(response) or "null")
    if isinstance(answer, dict):
        answer = {name: None if again[name] is None else value for name, value in answer.items()}
    assert again == answer, f"{again} and not {answer}"
    assert Log.objects.count() == before, "something was written"


def other_body(inspector: Inspector, request: Request, answer: Any) -> None:
    inspector.refuse(request.but(body={**request.body, "surprise": 1}), 422, "idempotency_key_reused")


def not_modified(inspector: Inspector, request: Request, answer: Any) -> None:
    tag = inspector.send(request)["ETag"]
    response = inspector.send(request.but(headers={"If-None-Match": tag}))
    assert (response.status_code, response.content, response["ETag"]) == (304, b"", tag), response


def _without(request: Request, header: str) -> Request:
    return replace(request, headers={name: value for name, value in request.headers.items() if name != header})


# --- limits -----------------------------------------------------------------------------------------------------


def small_limit(inspector: Inspector, request: Request) -> None:
    """The second of two requests is too many, whatever is wrong with them."""
    odd = request.but(query={**request.query, "surprise": "1"})
    with override_settings(LIMITS=ONE):
        inspector.send(odd)
        problem, response = inspector.refuse(odd, 429, "quota_exceeded")
    deciding.forget_process()
    assert int(response["Retry-After"]) > 0, dict(response.headers)
    assert problem["violated-policies"], problem


# --- what is asked of which -------------------------------------------------------------------------------------


def methods_of(operation: Declared) -> set[str]:
    return {each.method for each in operations().values() if each.path == operation.path}


def of_all(request: Request) -> bool:
    return True


def with_login(request: Request) -> bool:
    return request.operation.needs_login


def with_role(request: Request) -> bool:
    return request.operation.path.startswith("/api/v1/admin/")


def with_parts(request: Request) -> bool:
    return bool(request.parts)


def with_body(request: Request) -> bool:
    return request.operation.takes_body


def with_json(request: Request) -> bool:
    return request.operation.takes_body and not request.operation.takes_files


def with_fields(request: Request) -> bool:
    """Of JSON; what becomes of forms with files: tests/media/test_http.py."""
    return bool(request.body) and with_json(request)


def with_header(name: str, *, needed: bool = False) -> Callable[[Request], bool]:
    def applies(request: Request) -> bool:
        return request.operation.needs_header(name) if needed else request.operation.takes_header(name)

    return applies


def with_key_and_body(request: Request) -> bool:
    return request.operation.takes_header("Idempotency-Key") and with_fields(request)


BEFORE: dict[str, tuple[Callable[[Request], bool], Rule]] = {
    "without credentials 401": (with_login, anonymous),
    "without a role 403": (with_role, wrong_role),
    "unknown things 404": (with_parts, unknown_thing),
    "what is no id 404": (with_parts, no_id),
    "another media type 415": (with_body, wrong_media_type),
    "broken JSON 400": (with_json, broken_json),
    "another format 406": (of_all, wrong_format),
    "another method 405": (of_all, wrong_method),
    "in every language": (of_all, every_language),
    "an unknown parameter 422": (of_all, unknown_parameter),
    "an unknown field 422": (with_fields, unknown_field),
    "no key 400": (with_header("Idempotency-Key", needed=True), needed_key),
    "no version 428": (with_header("If-Match"), no_version),
    "an old version 412": (with_header("If-Match"), old_version),
    "one too many 429": (of_all, small_limit),
}
AFTER: dict[str, tuple[Callable[[Request], bool], AfterRule]] = {
    "the same again": (with_header("Idempotency-Key"), same_again),
    "a key with another body 422": (with_key_and_body, other_body),
    "not modified 304": (with_header("If-None-Match"), not_modified),
}
TELLS = "limits told"
RULES = (*BEFORE, *AFTER, TELLS)
