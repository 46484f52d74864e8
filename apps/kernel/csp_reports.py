"""Where browsers tell what the Content-Security-Policy kept them from: logged, counted, and nothing more.

Anybody can send here, so nothing that comes is believed, kept whole or answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django_ratelimit.core import is_ratelimited
from prometheus_client import Counter
from redis.exceptions import RedisError

from apps.kernel import api, errors, wording

log = structlog.get_logger(__name__)

LARGEST_BODY = 64 * 1024
MOST_REPORTS = 20
RATE = "60/m"
_LONGEST_TEXT = 200
_DIRECTIVES = {
    "base-uri", "child-src", "connect-src", "default-src", "font-src", "form-action", "frame-ancestors", "frame-src",
    "img-src", "manifest-src", "media-src", "object-src", "script-src", "script-src-attr", "script-src-elem",
    "style-src", "style-src-attr", "style-src-elem", "worker-src",
}  # fmt: skip

RECEIVED = Counter("rustok_kernel_csp_reports_total", "Violations that browsers reported.", ["directive"])
DROPPED = Counter("rustok_kernel_csp_reports_dropped_total", "Requests with reports that were not read.", ["reason"])


class ReportTooLarge(errors.DomainError):
    """The reports of one request are larger than any browser sends."""

    code = "body_too_large"
    status = 413
    title = "The body is too large"


class TooManyReports(errors.DomainError):
    """This address sends more reports than a browser with a broken page would."""

    code = "too_many_requests"
    status = 429
    title = "Too many requests"


class MalformedReport(errors.DomainError):
    """What was sent is no report."""

    code = "malformed_report"


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """204 for reports in either of the two forms browsers send; they are not signed in and read no answer."""
    try:
        _hold_back(request)
        reports = list(_reports(_read(request)))
    except errors.DomainError as error:
        DROPPED.labels(error.code).inc()
        return api.problem_response(error)
    for report in reports:
        _note(report)
    return HttpResponse(status=204)


def _hold_back(request: HttpRequest) -> None:
    try:
        is_too_much = is_ratelimited(request, group="csp-reports", key="ip", rate=RATE, increment=True)
    except RedisError:
        is_too_much = True  # a log that anybody can fill needs a limit; reports come again
    if is_too_much:
        raise TooManyReports(wording.say("Send no more reports for a minute."), retry_after=60)


def _read(request: HttpRequest) -> Any:
    body = request.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise ReportTooLarge(wording.say("Reports have at most {limit} bytes together.", limit=f"{LARGEST_BODY:,}"))
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedReport(wording.say("Send a CSP report as JSON.")) from None


def _reports(document: Any) -> Iterator[dict[str, Any]]:
    """The violations of a `report-uri` document, or of a list that the Reporting API sends."""
    entries = document[:MOST_REPORTS] if isinstance(document, list) else [document]
    for entry in entries:
        found = entry.get("csp-report", entry.get("body")) if isinstance(entry, dict) else None
        if not isinstance(found, dict):
            raise MalformedReport(wording.say('A report is an object with "csp-report" or "body".'))
        yield found


def _note(report: dict[str, Any]) -> None:
    directive = str(_of(report, "effectiveDirective", "effective-directive", "violated-directive")).partition(" ")[0]
    RECEIVED.labels(directive if directive in _DIRECTIVES else "other").inc()
    log.warning(
        "csp.violation",
        directive=directive[:_LONGEST_TEXT],
        blocked=_place(_of(report, "blockedURL", "blocked-uri")),
        document=_place(_of(report, "documentURL", "document-uri")),
        source=_place(_of(report, "sourceFile", "source-file")),
        line=_place(_of(report, "lineNumber", "line-number")),
    )


def _of(report: dict[str, Any], *names: str) -> Any:
    return next((report[name] for name in names if name in report), "")


def _place(value: Any) -> str:
    """An address without its query and fragment, where tokens of people are; `inline` and `eval` stay."""
    try:
        parts = urlsplit(str(value)[:2000])
        netloc = parts.netloc.rpartition("@")[2]
    except ValueError:
        return ""
    return (f"{parts.scheme}://{netloc}{parts.path}" if netloc else parts.path or parts.scheme)[:_LONGEST_TEXT]
