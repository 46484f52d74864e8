"""Every error is an RFC 9457 problem document, in the language that was asked for, and its `type` leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import psycopg_pool
import pytest
from django.core.exceptions import SuspiciousOperation
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction
from django.http import HttpResponse, HttpResponseNotAllowed
from django.test import Client, override_settings
from django.urls import path
from rest_framework import exceptions
from rest_framework.views import APIView

from apps.kernel import errors, problems, wording
from apps.kernel.validation import Input, Position, Slug, parse
from rustok.urls import handler400, handler403, handler404, handler500
from rustok.urls import urlpatterns as own
from tests import factories
from tests.accounts import calling

__all__ = ["handler400", "handler403", "handler404", "handler500"]


def raising(error: Exception) -> Any:
    class Failing(APIView):
        authentication_classes = ()
        permission_classes = ()
        public = "a test"

        def get(self, request: Any) -> None:
            raise error

    return Failing.as_view()


def plain(status: int) -> Any:
    return lambda request: HttpResponse("<h1>no</h1>", status=status)


def suspicious(request: Any) -> HttpResponse:
    raise SuspiciousOperation("a secret")


def slow(request: Any) -> HttpResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '50ms'")
        cursor.execute("SELECT pg_sleep(30)")
    return HttpResponse()


class Slow(APIView):
    authentication_classes = ()
    permission_classes = ()
    public = "a test"

    def get(self, request: Any) -> HttpResponse:
        return slow(request)


urlpatterns = [
    path("schemas/slow", Slow.as_view()),
    path("schemas/slow-page", slow),
    path("schemas/raise", raising(RuntimeError("a secret"))),
    path("schemas/throttled", raising(exceptions.Throttled(wait=2.2))),
    path("schemas/suspicious", suspicious),
    path("schemas/405", lambda request: HttpResponseNotAllowed(["PUT"])),
    *[path(f"schemas/{status}", plain(status)) for status in (400, 403, 404, 413, 415, 418, 429, 500, 503)],
    *own,
]
MEMBERS = {"type", "title", "status", "detail", "code", "instance", "request_id"}


@pytest.fixture
def client(db: None) -> Iterator[Client]:
    """Sees a 500 as its visitor does."""
    with override_settings(ROOT_URLCONF=__name__):
        yield Client(raise_request_exception=False)


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "tenant_not_found"),
        ("GET", "/schemas/unknown/9", 404, "schema_not_found"),
        ("GET", "/problems/unknown", 404, "not_found"),
        ("DELETE", "/schemas/", 405, "method_not_allowed"),
        ("PATCH", "/api/v1/auth/token", 405, "method_not_allowed"),
        ("GET", "/schemas/raise", 500, "internal_error"),
        ("GET", "/schemas/suspicious", 400, "bad_request"),
        ("GET", "/schemas/throttled", 429, "too_many_requests"),
        ("GET", "/schemas/400", 400, "bad_request"),
        ("GET", "/schemas/403", 403, "forbidden"),
        ("GET", "/schemas/404", 404, "not_found"),
        ("GET", "/schemas/405", 405, "method_not_allowed"),
        ("GET", "/schemas/413", 413, "too_large"),
        ("GET", "/schemas/415", 415, "unsupported_media_type"),
        ("GET", "/schemas/418", 500, "internal_error"),
        ("GET", "/schemas/429", 429, "too_many_requests"),
        ("GET", "/schemas/500", 500, "internal_error"),
        ("GET", "/schemas/503", 503, "unavailable"),
    ],
)
def test_whatever_goes_wrong_is_a_problem_document(
    client: Client, method: str, address: str, status: int, code: str
) -> None:
    answer: Any = client.generic(method, address)
    document = answer.json()

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert document.keys() >= MEMBERS
    assert (document["status"], document["code"], document["instance"]) == (status, code, address)
    assert document["request_id"] == answer["X-Request-Id"] == answer["X-Correlation-Id"]
    assert "secret" not in answer.content.decode()
    assert client.get(document["type"]).status_code == 200
    if status == 405:
        assert answer["Allow"]
    if code == "too_many_requests" and "throttled" in address:
        assert answer["Retry-After"] == "3"


@pytest.mark.parametrize("address", ["/schemas/slow", "/schemas/slow-page"])
def test_a_statement_that_takes_too_long_asks_to_come_again(
    client: Client, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get(address)

    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert (answer.json()["code"], answer["Retry-After"]) == ("unavailable", "5")
    assert "statement timeout" not in answer.content.decode()
    assert "statement timeout" in caplog.text  # whoever operates it learns which


@pytest.mark.parametrize(
    ("cause", "status"),
    [
        (psycopg.errors.DeadlockDetected(), 503),
        (psycopg.errors.AdminShutdown(), 503),
        (psycopg.errors.TooManyConnections(), 503),
        (psycopg_pool.PoolTimeout("no connection within 10 s"), 503),
        (psycopg.errors.StatementTooComplex(), 500),
    ],
)
def test_only_what_passes_is_worth_another_try(client: Client, cause: Exception, status: int) -> None:
    error = OperationalError("a secret")
    error.__cause__ = cause
    with override_settings(ROOT_URLCONF=(path("schemas/database", raising(error)),)):
        assert client.get("/schemas/database").status_code == status


def test_a_body_in_another_format_or_none_at_all_is_named(client: Client) -> None:
    def send(body: str, content_type: str) -> Any:
        return client.post("/api/v1/auth/token", body, content_type=content_type)

    assert (send("<a/>", "text/xml").status_code, send("<a/>", "text/xml").json()["code"]) == (
        415,
        "unsupported_media_type",
    )
    assert (send("{", "application/json").status_code, send("{", "application/json").json()["code"]) == (
        400,
        "malformed_body",
    )


def test_a_missing_or_wrong_token_is_challenged(client: Client) -> None:
    tenant = factories.make_tenant()
    for headers, code in (({}, "not_authenticated"), ({"Authorization": "Bearer x"}, "token_refused")):
        answer = client.get("/api/v1/admin/nodes", headers={"X-Tenant": tenant.slug, **headers})

        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("ja, ru;q=0.5", "ru"),
        ("zh-CN", "zh-hans"),
        ("es-MX", "es"),
        ("fr;q=0.1, en", "en"),
        ("ja", "en"),
        ("*", "en"),
        ("", "en"),
        (";;=,,", "en"),
    ],
)
def test_problems_speak_the_language_that_was_asked_for(client: Client, accepted: str, language: str) -> None:
    answer = client.get("/schemas/404", headers={"Accept-Language": accepted} if accepted else {})

    title = "There is no such object"
    assert answer["Content-Language"] == language
    assert "Accept-Language" in answer["Vary"]
    assert answer.json()["title"] == wording.in_language(wording.say(title), language)
    assert (answer.json()["title"] == title) == (language == "en")


def test_wrong_fields_are_told_in_the_language_that_was_asked_for_with_their_values(client: Client) -> None:
    tenant = factories.make_tenant(default_locale="en")
    editor = calling.make_caller(tenant, "owner")
    editor.headers["Accept-Language"] = "de"
    body = {"kind": "page", "positon": 1, "translations": [{"locale": "en", "title": "x" * 300}]}

    answer = editor.call("POST", "nodes", body)

    found = {entry["pointer"]: entry for entry in answer.json()["errors"]}
    assert (answer.status_code, answer["Content-Language"]) == (422, "de")
    assert found["/positon"]["code"] == "extra_forbidden"
    assert "position" in found["/positon"]["detail"]
    assert "255" in found["/translations/0/title"]["detail"]
    assert found["/translations/0/title"]["detail"] != "this has at most 255 characters"
    assert "translations/0/title" in answer.json()["detail"]


def test_what_is_said_stays_english_where_it_is_logged() -> None:
    inner = wording.say("send a list")
    said = wording.say("{field}: {problem}", field="tags", problem=inner)

    assert said == str(said) == "tags: send a list"
    assert wording.in_language(said, "de").startswith("tags: ")
    assert wording.in_language(said, "de") != said
    assert wording.in_language("never said {so}", "de") == "never said {so}"


def test_a_value_with_braces_is_a_value() -> None:
    said = wording.say('"{value}": {problem}', value="{0} {x} {problem}", problem="no")

    assert said == '"{0} {x} {problem}": no'
    assert wording.in_language(said, "ru") == said


class Placed(Input):
    slug: Slug = "x"
    position: Position = 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"slug": ""}, "slug_empty"),
        ({"slug": "x" * 256}, "slug_too_long"),
        ({"slug": "Red"}, "slug_invalid_characters"),
        ({"slug": "-red"}, "slug_hyphen_boundary"),
        ({"slug": "red-"}, "slug_hyphen_boundary"),
        ({"slug": "red--shoes"}, "slug_consecutive_hyphens"),
        ({"position": -1}, "position_must_be_non_negative"),
        ({"position": 100_001}, "position_too_large"),
        ({"position": True}, "int_type"),
    ],
)
def test_slugs_and_positions_are_refused_by_name(data: dict[str, Any], code: str) -> None:
    with pytest.raises(errors.ValidationFailed) as refused:
        parse(Placed, data)

    assert [entry.code for entry in refused.value.problems] == [code]


def test_the_catalogue_has_every_code_with_one_status_and_title() -> None:
    entries = {entry.code: entry for entry in problems.catalogue()}

    assert len(entries) > 100
    for kind in problems._kinds(errors.DomainError):
        entry = entries[kind.code]
        assert (entry.status, entry.title) == (kind.status, kind.title), kind
    assert [code for code, entry in entries.items() if not entry.meanings] == []


def test_the_pages_of_the_catalogue_show_it(client: Client) -> None:
    whole, one = client.get("/problems/"), client.get("/problems/slug_taken")

    assert whole.content.decode().count("<article") == len(problems.catalogue())
    assert "409" in one.content.decode()
    assert one.content.decode().count("<article") == 1


def test_every_sentence_is_translated_into_every_language() -> None:
    try:
        call_command("messages", check=True)
    except CommandError as error:
        pytest.fail(str(error))
