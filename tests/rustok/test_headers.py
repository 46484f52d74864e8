"""What browsers are told with every answer, whoever gives it, with the settings of production."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import randrange
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path
from prometheus_client import REGISTRY

from apps.kernel import csp_reports
from rustok import urls
from tests import factories
from tests.rustok import production

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; report-uri /csp-reports; "
    "report-to csp"
)
EXPECTED = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), "
    "encrypted-media=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), "
    "picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), "
    "xr-spatial-tracking=()",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Reporting-Endpoints": 'csp="/csp-reports"',
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("on purpose")


NONCE = re.compile(r" 'nonce-[\w-]{22}'")


class Browser(Client):
    """A client that is always there over HTTPS, but for the request that says otherwise."""

    scheme = "https"

    def generic(self, *arguments: Any, **options: Any) -> Any:
        return super().generic(*arguments, **options | {"secure": self.scheme == "https"})


urlpatterns = [*urls.urlpatterns, path("health/broken", broken)]
handler404, handler500 = urls.handler404, urls.handler500


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A client of the installation as production has it, over HTTPS."""
    with override_settings(**production.settings_of_edge(), ROOT_URLCONF=__name__):
        yield Browser(raise_request_exception=False, headers={"host": "rustok.example"})


def told(answer: HttpResponse) -> dict[str, str]:
    """The headers the answer has; a nonce, which is another one each time, is left out."""
    return {name: NONCE.sub("", answer[name]) for name in EXPECTED if name in answer}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "headers", "status"),
    [
        ("/health/live", {}, 200),
        ("/static/rustok/swagger.css", {}, 200),
        ("/static/rustok/none.css", {}, 404),
        ("/admin/login/", {}, 200),
        ("/api/docs", {}, 200),
        ("/", {}, 302),
        ("/admin/", {}, 302),
        ("/api/v1/store/products", {"host": "unknown.example"}, 404),
        ("/api/v1/store/products%00", {}, 400),
        ("/health/live", {"host": "not a host"}, 400),
        ("/csp-reports", {}, 405),
        ("/health/broken", {}, 500),
    ],
)
def test_every_answer_has_the_headers(browser: Browser, url: str, headers: dict[str, str], status: int) -> None:
    answer = browser.get(url, headers=headers)
    answer.close()  # a static file is still open

    assert answer.status_code == status
    found = told(answer)
    if "host" in headers:
        assert found.pop("Strict-Transport-Security") == "max-age=31536000"
    assert found == {name: value for name, value in EXPECTED.items() if name in found}
    assert EXPECTED.keys() - found.keys() <= ({"Strict-Transport-Security"} if "host" in headers else set())


@pytest.mark.django_db
def test_redoc_may_start_its_worker_and_nothing_else_that_others_may_not(browser: Browser) -> None:
    answer = browser.get("/api/redoc")

    assert answer.status_code == 200
    assert told(answer)["Content-Security-Policy"] == f"{POLICY}; worker-src blob:"
    assert not re.search(rb"<style|<script>|style=|https?://", answer.content)


@pytest.mark.django_db
def test_an_answer_to_too_many_requests_has_the_headers(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csp_reports, "RATE", "0/m")

    answer = browser.post("/csp-reports", b"{}", content_type="application/csp-report")

    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert told(answer) == EXPECTED


@pytest.mark.django_db
def test_plain_http_is_sent_to_https_except_for_probes(browser: Browser) -> None:
    browser.scheme = "http"

    answer = browser.get("/api/docs")

    assert (answer.status_code, answer["Location"]) == (301, "https://rustok.example/api/docs")
    assert told(answer) == {k: v for k, v in EXPECTED.items() if k != "Strict-Transport-Security"}
    assert browser.get("/health/live").status_code == 200


@pytest.mark.django_db
def test_other_hosts_below_a_tenants_domain_are_not_forced_to_https(browser: Browser) -> None:
    tenant = factories.make_tenant()

    answer = browser.get("/api/v1/store/products", headers={"host": f"{tenant.slug}.test"})

    assert answer.status_code == 200
    assert answer["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.django_db
def test_cookies_are_for_this_host_only(browser: Browser) -> None:
    user = factories.make_user(is_staff=True, is_superuser=True)
    user.set_password("a long enough password")
    user.save()

    page = browser.get("/admin/login/")
    token = page.cookies["__Host-csrftoken"]
    answer = browser.post(
        "/admin/login/",
        {"username": user.email, "password": "a long enough password", "csrfmiddlewaretoken": token.value},
        headers={"referer": "https://rustok.example/admin/login/"},
    )

    assert answer.status_code == 302
    for cookie in (token, answer.cookies["__Host-sessionid"], answer.cookies["__Host-csrftoken"]):
        assert cookie["secure"]
        assert cookie["httponly"]
        assert (cookie["path"], cookie["domain"], cookie["samesite"]) == ("/", "", "Lax")
    assert {name for name in browser.cookies if not name.startswith("__Host-")} == set()


def report(**told: object) -> dict[str, object]:
    return {"csp-report": {"document-uri": "https://rustok.example/admin/?token=hush", **told}}


def received(directive: str) -> float:
    return REGISTRY.get_sample_value("rustok_kernel_csp_reports_total", {"directive": directive}) or 0.0


@pytest.mark.django_db
def test_violations_are_logged_and_counted_without_queries(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    before = received("img-src"), received("other")

    old = client.post(
        "/csp-reports",
        report(**{"violated-directive": "img-src 'self'", "blocked-uri": "https://me:pw@evil.example/x?secret=hush#a"}),
        content_type="application/json",
    )
    new = client.post(
        "/csp-reports",
        [{"type": "csp-violation", "body": {"effectiveDirective": "made-up\nINFO forged", "blockedURL": "inline"}}],
        content_type="application/json",
    )

    assert (old.status_code, new.status_code) == (204, 204)
    assert (received("img-src"), received("other")) == (before[0] + 1, before[1] + 1)
    assert "https://evil.example/x" in caplog.text
    assert "hush" not in caplog.text
    assert "me:pw" not in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"no JSON", 400),
        (b"[]", 204),
        (b"[1]", 400),
        (b'{"csp-report": "text"}', 400),
        (b'{"body": {"effectiveDirective": {"a": [1]}, "blockedURL": "http://[", "lineNumber": 1e999}}', 400),
        (b'{"body": {"effectiveDirective": {"a": [1]}, "blockedURL": "http://[", "lineNumber": []}}', 204),
        (b'{"csp-report": {"blocked-uri": "' + b"x" * csp_reports.LARGEST_BODY + b'"}}', 413),
    ],
)
def test_what_is_no_report_is_refused(client: Client, body: bytes, status: int) -> None:
    answer = client.post("/csp-reports", body, content_type="application/csp-report")

    assert answer.status_code == status


@pytest.mark.django_db
def test_one_address_can_not_fill_the_log(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csp_reports, "RATE", "2/m")
    address = {"REMOTE_ADDR": f"198.51.{randrange(256)}.{randrange(256)}"}

    answers = [client.post("/csp-reports", [], content_type="application/json", **address) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [204, 204, 429]
