"""How large a request may be: its address, its headers and its body, refused before anybody works on it.

A body that comes without its length (chunked, or HTTP/2) is read here, because Django takes it for an empty one.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter

from apps.kernel import api, errors, wording

LONGEST_ADDRESS = 8 * 1024
LARGEST_HEADERS = 32 * 1024

REFUSED = Counter("rustok_kernel_oversized_requests_total", "Requests refused for their size.", ["part"])


class AddressTooLong(errors.DomainError):
    """Path and query are longer than any client of ours makes them."""

    code = "address_too_long"
    status = 414
    title = "The address is too long"


class HeadersTooLarge(errors.DomainError):
    """The headers of the request are larger than any client of ours makes them."""

    code = "headers_too_large"
    status = 431
    title = "The headers are too large"


class BodyTooLarge(errors.DomainError):
    """The body has more bytes than one request may bring."""

    code = "body_too_large"
    status = 413
    title = "The body is too large"


class SizeMiddleware:
    refuses = (AddressTooLong, HeadersTooLarge, BodyTooLarge)

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            _check_address(request)
            _check_headers(request)
            _check_body(request)
        except errors.DomainError as error:
            REFUSED.labels(error.code).inc()
            return api.problem_response(error)
        return self.get_response(request)


def _check_address(request: HttpRequest) -> None:
    length = len(request.path_info) + len(request.META.get("QUERY_STRING", ""))
    if length > LONGEST_ADDRESS:
        raise AddressTooLong(
            wording.say(
                "Path and query have {length:,} characters, {limit:,} at most.", length=length, limit=LONGEST_ADDRESS
            )
        )


def _check_headers(request: HttpRequest) -> None:
    size = sum(
        len(name) + len(value)
        for name, value in request.META.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    )
    if size > LARGEST_HEADERS:
        raise HeadersTooLarge(
            wording.say("The headers have {size:,} bytes, {limit:,} at most.", size=size, limit=LARGEST_HEADERS)
        )


def _check_body(request: HttpRequest) -> None:
    told = request.META.get("CONTENT_LENGTH")
    if told:
        # Files are read from the connection onto a disk, by an operation that first looks who asks.
        largest = settings.LARGEST_UPLOAD if _brings_a_file(request) else settings.LARGEST_BODY
        if told.isdecimal() and int(told[:20]) > largest:
            raise _too_large(largest)
    elif request.META.get("wsgi.input_terminated"):  # else reading on would wait for bytes that never come
        body = request.META["wsgi.input"].read(settings.LARGEST_BODY + 1)
        if len(body) > settings.LARGEST_BODY:
            raise _too_large(settings.LARGEST_BODY)
        request.META["CONTENT_LENGTH"] = str(len(body))
        request._stream = BytesIO(body)


def _brings_a_file(request: HttpRequest) -> bool:
    return (
        request.method == "POST"
        and request.path_info in settings.UPLOAD_PATHS
        and request.META.get("CONTENT_TYPE", "").lower().startswith("multipart/form-data")
    )


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(wording.say("The body may have {limit:,} bytes; send less at a time.", limit=limit))
