"""Requests that are too large are refused before anybody works on them; those of a fitting size come in whole."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import orjson
import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings

from apps.kernel import parsing, sizes


def ask(**environ: Any) -> tuple[int, dict[str, Any] | bytes]:
    """Status, and the problem document or the body as the view read it."""

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.read())

    told = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "wsgi.input": BytesIO(), "SERVER_NAME": "x"} | environ
    answer = sizes.SizeMiddleware(view)(WSGIRequest(told))
    if answer.status_code == 200:
        return 200, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, orjson.loads(answer.content)


@pytest.fixture(autouse=True)
def ten_bytes() -> Any:
    with override_settings(LARGEST_BODY=10):
        yield


@pytest.mark.parametrize(("length", "status"), [("9", 200), ("10", 200), ("11", 413), ("9" * 30, 413), ("", 200)])
def test_a_body_is_judged_by_the_length_it_announces(length: str, status: int) -> None:
    assert ask(CONTENT_LENGTH=length, **{"wsgi.input": BytesIO(b"x" * 100)})[0] == status


def test_more_than_was_announced_is_not_read() -> None:
    assert ask(CONTENT_LENGTH="3", **{"wsgi.input": BytesIO(b"x" * 100)}) == (200, b"xxx")


def test_a_body_without_a_length_is_read_as_far_as_it_may_be() -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    endless = BytesIO(b"x" * 1000)

    assert ask(**chunked, **{"wsgi.input": BytesIO(b"0123456789")}) == (200, b"0123456789")
    status, problem = ask(**chunked, **{"wsgi.input": endless})

    assert (status, problem["code"]) == (413, "body_too_large")
    assert endless.tell() == 11


def test_a_server_that_does_not_end_its_input_is_not_waited_for() -> None:
    assert ask(**{"wsgi.input": BytesIO(b"of the next request")}) == (200, b"")


def test_long_addresses_and_large_headers_are_refused() -> None:
    status, problem = ask(QUERY_STRING="q" * sizes.LONGEST_ADDRESS)
    assert (status, problem["code"]) == (414, "address_too_long")

    status, problem = ask(**{f"HTTP_X_{number}": "v" * 1000 for number in range(33)})
    assert (status, problem["code"]) == (431, "headers_too_large")

    assert ask(QUERY_STRING="q" * 8000, HTTP_X_A="v" * 32_000)[0] == 200


def test_the_limits_are_in_force(client: Client) -> None:
    assert client.post("/health/live", b"x" * 11, content_type="application/json").status_code == 413


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[" * 129 + b"]" * 129, "deeper than 128"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "deeper than 128"),
        (b"[" * 100_000, "not JSON"),
        (b"[" + b"1," * 200_000 + b"1]", "more than 200,000 values"),
        (b'"\\ud800"', "not JSON"),
        (b'"\xff"', "not JSON"),
        (b"NaN", "not JSON"),
        (b"1" * 1_000_000, "not JSON"),
        (b"1e999", "not JSON"),
        (b"", "not JSON"),
        (b"{} {}", "not JSON"),
    ],
)
def test_json_that_is_a_burden_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(parsing.MalformedBody, match=problem):
        parsing.OrjsonParser().parse(BytesIO(body))


def test_signs_within_texts_are_not_taken_for_values() -> None:
    text = "[{," * 100_000

    assert parsing.OrjsonParser().parse(BytesIO(orjson.dumps([text]))) == [text]
    assert parsing.OrjsonParser().parse(BytesIO(b"[" * 128 + b"]" * 128))
