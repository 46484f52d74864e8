"""RFC 9457 problem documents: what every error looks like from outside, and the catalogue their `type` leads to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

from django.apps import apps
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe

from apps.kernel import context, errors, wording

MEDIA_TYPE = "application/problem+json"
ADDRESS = "/problems/"


# --- what others than the domain refuse ------------------------------------------------------------------------


class BadRequest(errors.DomainError):
    """The request can't be understood as HTTP or by its headers."""

    code = "bad_request"
    title = "The request cannot be understood"


class NotAuthenticated(errors.DomainError):
    """The endpoint needs a login, a token or an API key, and none was sent or it was not accepted."""

    code = "not_authenticated"
    status = 401
    title = "Credentials are needed"


class MethodNotAllowed(errors.DomainError):
    """The address exists and does not answer this method; `Allow` names those it does."""

    code = "method_not_allowed"
    status = 405
    title = "The address does not answer this method"


class NotAcceptable(errors.DomainError):
    """`Accept` names no format that the endpoint can answer in; ask for `application/json`."""

    code = "not_acceptable"
    status = 406
    title = "The answer does not come in this format"


class TooLarge(errors.DomainError):
    """The body is larger than the endpoint takes; send less at a time."""

    code = "too_large"
    status = 413
    title = "The request is too large"


class UnsupportedMediaType(errors.DomainError):
    """The body has a `Content-Type` that the endpoint does not read; send `application/json`."""

    code = "unsupported_media_type"
    status = 415
    title = "The body has a format that is not read here"


class TooManyRequests(errors.DomainError):
    """More requests came than the limit lets through; `Retry-After` says when to try again."""

    code = "too_many_requests"
    status = 429
    title = "Too many requests"


class InternalError(errors.DomainError):
    """The product failed; the log has the cause under the id of the request."""

    code = "internal_error"
    status = 500
    title = "Something went wrong on our side"


class Unavailable(errors.DomainError):
    """A part of the installation is away for a moment; try again."""

    code = "unavailable"
    status = 503
    title = "The service is not available at the moment"


_BY_STATUS: dict[int, tuple[type[errors.DomainError], str]] = {
    400: (BadRequest, wording.mark("The request could not be understood.")),
    401: (NotAuthenticated, wording.mark("Send a token or an API key.")),
    403: (errors.Forbidden, wording.mark("You may not do this.")),
    404: (errors.NotFound, wording.mark("There is nothing at this address.")),
    405: (MethodNotAllowed, wording.mark("The address does not answer this method; Allow names those it does.")),
    406: (NotAcceptable, wording.mark("Ask for application/json.")),
    413: (TooLarge, wording.mark("The request is larger than what is taken here.")),
    415: (UnsupportedMediaType, wording.mark("Send application/json.")),
    429: (TooManyRequests, wording.mark("Wait as long as Retry-After says and try again.")),
    503: (Unavailable, wording.mark("Try again in a moment.")),
}


def by_status(status: int, detail: str = "") -> errors.DomainError:
    """The error for an answer of which only the status is known; InternalError where it tells nothing to the client."""
    if status not in _BY_STATUS:
        return InternalError(wording.say("Something went wrong on our side. Quote the request id when you report it."))
    kind, sentence = _BY_STATUS[status]
    return kind(detail or wording.say(sentence))


# SQLSTATE classes of what passes: a lost connection, a conflict of transactions, too few resources, an object in use,
# a statement that was given up or a server that is being restarted. Without one there was no connection to be had.
_PASSING = {None, "08", "40", "53", "55", "57"}
_DATABASE_SECONDS = 5


def by_database_error(error: BaseException | None) -> errors.DomainError | None:
    """Unavailable where the database could not do it this time, such as within the statement timeout; else None."""
    if not isinstance(error, OperationalError):
        return None
    state = getattr(error.__cause__, "sqlstate", None)
    if (state and state[:2]) not in _PASSING:
        return None
    return Unavailable(wording.say(_BY_STATUS[503][1]), retry_after=_DATABASE_SECONDS)


# --- the document ----------------------------------------------------------------------------------------------


def document(error: errors.DomainError) -> dict[str, Any]:
    """The problem document, in the language of the request at work.

    Members: `type` (an address of the catalogue), `title`, `status`, `detail`, `instance` (path of the request),
    `code` (stable), `errors` (`pointer` by RFC 6901, `code`, `detail`), `request_id`, and the data of the error.
    """
    here = context.current()
    language = wording.best_language(here.languages)
    shown: dict[str, Any] = {
        "type": address(error.code),
        "title": wording.in_language(wording.say(error.title), language),
        "status": error.status,
        "detail": wording.in_language(error.detail, language),
        "code": error.code,
    }
    if error.problems:
        shown["errors"] = [
            {"pointer": entry.pointer, "code": entry.code, "detail": wording.in_language(entry.detail, language)}
            for entry in error.problems
        ]
    shown |= error.data
    if here.path:
        shown["instance"] = here.path
    if here.correlation_id is not None:
        shown["request_id"] = str(here.correlation_id)
    return shown


def headers(error: errors.DomainError) -> dict[str, str]:
    """What goes with the document: its language, the challenge of a 401 (RFC 6750), and `Retry-After` where the data
    say `retry_after`, in seconds."""
    said = {
        "Content-Language": wording.best_language(context.current().languages),
        "Vary": "Accept-Language",
        "Cache-Control": "no-store",
    }
    if error.status == 401:
        said["WWW-Authenticate"] = 'Bearer realm="rustok"'
    if "retry_after" in error.data:
        said["Retry-After"] = str(error.data["retry_after"])
    return said


def address(code: str) -> str:
    """The `type` of a problem: absolute on the host that was asked, where that is known."""
    return f"{context.current().origin}{ADDRESS}{code}"


# --- the catalogue ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One code: `meanings` has what it stands for, once for each part of the product that answers with it."""

    code: str
    status: int
    title: str
    meanings: list[str]


def catalogue() -> list[Entry]:
    """Every error this installation answers with, by code."""
    _load_all()
    found: dict[str, Entry] = {}
    for kind in _kinds(errors.DomainError):
        entry = found.setdefault(kind.code, Entry(kind.code, kind.status, kind.title, []))
        meaning = " ".join((kind.__doc__ or "").split())
        if meaning and meaning not in entry.meanings:
            entry.meanings.append(meaning)
    for entry in found.values():
        entry.meanings.sort()  # not by which module happened to be imported first
    return [found[code] for code in sorted(found)]


@cache
def _load_all() -> None:
    """Every module of the apps, so that all errors are known, also those of modules nobody has used yet."""
    for app in apps.get_app_configs():
        if app.name.startswith("apps."):
            for module in walk_packages([app.path], f"{app.name}."):
                if not {"migrations", "management"} & set(module.name.split(".")):
                    import_module(module.name)


def _kinds(kind: type[errors.DomainError]) -> Iterator[type[errors.DomainError]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith(("apps.", "rustok")):  # and none of the tests
            yield each
            yield from _kinds(each)


@require_safe
def catalogue_page(request: HttpRequest) -> HttpResponse:
    """All codes, for people."""
    return render(request, "kernel/problems.html", {"entries": catalogue()})


@require_safe
def entry_page(request: HttpRequest, code: str) -> HttpResponse:
    """One code: where the `type` of a problem leads."""
    for entry in catalogue():
        if entry.code == code:
            return render(request, "kernel/problems.html", {"entries": [entry], "is_one": True})
    raise Http404


urlpatterns = [
    path("problems/", catalogue_page, name="problems"),
    path("problems/<str:code>", entry_page, name="problem"),
]
