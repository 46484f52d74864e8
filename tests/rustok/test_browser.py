"""A real browser walks the admin, the API docs and the event catalogue and breaks no Content-Security-Policy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client, RequestFactory
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page
from pytest_django.live_server_helper import LiveServer

from apps.kernel import isolation
from tests import factories
from tests.commerce import making
from tests.content import making as site
from tests.rustok.desk import TELL

LISTS = {f"/admin/{m._meta.app_label}/{m._meta.model_name}/": screen for m, screen in admin.site._registry.items()}
PATIENCE = 120_000  # ms, for megabytes of script on a busy machine
MARKUP = """<img src=x onerror="window.ran=1"><script>window.ran=1</script>"""


@dataclass
class Visit:
    """A page in the browser, and what went wrong on all of them."""

    page: Page
    base: str
    wrongs: list[str] = field(default_factory=list)

    def go(self, path: str) -> int:
        answer = self.page.goto(self.base + path, wait_until="load")
        assert answer is not None
        return answer.status

    def note(self, message: ConsoleMessage) -> None:
        # That an address answers 404 or 403 is seen in the status.
        if message.type == "error" and not message.text.startswith("Failed to load resource: the server responded"):
            self.wrongs.append(f"{self.page.url}: {message.text}")


@pytest.fixture
def visit(chromium: Browser, thread: ThreadPoolExecutor, server: LiveServer) -> Iterator[Visit]:
    """A browser of an administrator, signed in."""
    client = Client()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    session = {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value}

    def open_page() -> Visit:
        context = chromium.new_context()
        context.add_cookies([{**session, "url": server.url}])
        context.add_init_script(TELL)
        page = context.new_page()
        visit = Visit(page, server.url)
        page.on("console", visit.note)
        page.on("pageerror", lambda error: visit.wrongs.append(f"{page.url}: {error}"))
        return visit

    opened = thread.submit(open_page).result()
    yield opened
    thread.submit(opened.page.context.close).result()


def test_no_page_breaks_the_policy(visit: Visit, thread: ThreadPoolExecutor) -> None:
    tenant = factories.make_tenant()
    with factories.at_work(tenant):
        product = making.make_product()
    asking = RequestFactory().get("/admin/")
    asking.user = factories.make_user(is_staff=True, is_superuser=True)
    forms = [f"{path}add/" for path, screen in LISTS.items() if screen.has_add_permission(asking)]

    def crawl() -> dict[str, int]:
        paths = ["/admin/", *LISTS, f"/admin/commerce/product/{product.id}/change/", "/admin/login/", "/admin/none/"]
        paths += [
            "/admin/password_change/",
            f"/admin/tenants/tenant/{tenant.id}/change/",
            "/events/catalogue?q=product",
        ]
        found = {path: visit.go(path) for path in [*paths, *forms, "/api/docs"]}
        visit.page.locator(".opblock-summary").first.click(timeout=PATIENCE)
        visit.page.locator(".opblock-body").first.wait_for(timeout=PATIENCE)
        return found

    found = thread.submit(crawl).result()

    assert visit.wrongs == []
    assert found.pop("/admin/none/") == 404
    assert set(found.values()) == {200}, found


def test_redoc_is_drawn_and_searches_within_the_policy(visit: Visit, thread: ThreadPoolExecutor) -> None:
    asked: list[str] = []

    def read() -> tuple[int, str, str]:
        visit.page.on("request", lambda request: asked.append(request.url))
        status = visit.go("/api/redoc")
        search = visit.page.get_by_role("search").get_by_role("textbox")
        search.fill("refresh", timeout=PATIENCE)
        hit = visit.page.locator('[data-role="search:results"] li').first  # a worker has found it
        hit.wait_for(timeout=PATIENCE)
        # Styles that were kept out would leave the menu where it stands in the page.
        return (
            status,
            hit.inner_text(),
            visit.page.evaluate("() => getComputedStyle(document.querySelector('.redoc-wrap')).display"),
        )

    status, hit, display = thread.submit(read).result()

    assert (status, display) == (200, "flex")
    assert "refresh" in hit.casefold()
    assert {urlsplit(url).netloc for url in asked if url.startswith("http")} == {urlsplit(visit.base).netloc}
    assert visit.wrongs == []


def test_somebody_logs_in_and_sends_a_request_from_swagger(visit: Visit, thread: ThreadPoolExecutor) -> None:
    tenant = factories.make_tenant(domains=["tried-out.localhost"])
    member = factories.make_member(tenant)
    visit.base = f"http://tried-out.localhost:{urlsplit(visit.base).port}"

    def open_operation(method: str, path: str) -> Locator:
        block = visit.page.locator(f".opblock-{method}").filter(has=visit.page.locator(f'[data-path="{path}"]'))
        block.locator(".opblock-summary-control").click(timeout=PATIENCE)
        block.get_by_role("button", name="Try it out").click(timeout=PATIENCE)
        return block

    def send(block: Locator) -> tuple[str, str]:
        """Status and body of the answer that is shown."""
        clear = block.locator(".btn-clear")
        if clear.count():  # the answer before, that it may not be taken for this one
            clear.click()
            block.locator(".live-responses-table").wait_for(state="detached", timeout=PATIENCE)
        block.locator("button.execute").click()
        answer = block.locator(".live-responses-table .response").first
        answer.wait_for(timeout=PATIENCE)
        return answer.locator(".response-col_status").inner_text().split()[0], answer.inner_text()

    def walk() -> list[str]:
        visit.go("/api/docs")
        # Tags are drawn as they come into sight.
        visit.page.locator(".operation-filter-input").fill("auth", timeout=PATIENCE)
        oneself = open_operation("get", "/api/v1/auth/me")
        refused, _ = send(oneself)
        login = open_operation("post", "/api/v1/auth/token")
        login.locator("textarea.body-param__text").fill(
            json.dumps({"email": member.email, "password": factories.PASSWORD})
        )
        accepted, shown = send(login)
        visit.page.locator(".auth-wrapper > .authorize").click()
        token = re.findall(r"eyJ[\w.-]+", shown)[0]
        staff = visit.page.locator(".auth-container").filter(has_text="bearer").first
        staff.locator("input").fill(token)
        staff.get_by_role("button", name="Apply credentials").click()
        visit.page.locator(".close-modal").click()
        answered, _ = send(oneself)
        return [refused, accepted, answered]

    assert thread.submit(walk).result() == ["401", "200", "200"]
    assert visit.wrongs == []


def test_markup_in_rows_is_text_in_the_admin(visit: Visit, thread: ThreadPoolExecutor) -> None:
    tenant = factories.make_tenant(name=MARKUP)
    with factories.at_work(tenant):
        making.make_product(title=MARKUP, vendor=MARKUP, tags=[MARKUP])
        making.make_category(MARKUP)
        site.make_node(MARKUP, author_name=MARKUP)
        site.make_category(MARKUP)
        site.make_tag(MARKUP)
        factories.make_member(tenant, user=factories.make_user(name=MARKUP))
    with isolation.all_tenants(reason="test"):
        rows = {path: screen.model._base_manager.order_by("pk").last() for path, screen in LISTS.items()}
    paths = [*rows, *(f"{path}{quote(row.pk)}/change/" for path, row in rows.items() if row is not None)]

    def look() -> list[str]:
        shown = []
        for path in paths:
            visit.go(path)
            assert not visit.page.evaluate("() => window.ran"), path
            shown += [path] if MARKUP in visit.page.inner_text("body") else []
        return shown

    shown = thread.submit(look).result()

    assert visit.wrongs == []
    assert len(shown) > 8, shown


def test_the_browser_tells_what_the_policy_keeps_out(visit: Visit, thread: ThreadPoolExecutor) -> None:
    """The walk above would notice: scripts and styles in the page, and what comes from elsewhere, do not pass."""

    def attack() -> Any:
        visit.go("/admin/")
        visit.page.evaluate(
            """() => document.body.insertAdjacentHTML("beforeend",
                 `<img src="data:," onerror="window.ran = 1"><img src="https://evil.invalid/x.png">`)"""
        )
        visit.page.evaluate(
            """() => document.body.append(
                 Object.assign(document.createElement("script"), {text: "window.ran = 1"}))"""
        )
        return visit.page.evaluate("() => [window.ran ?? null]")

    assert thread.submit(attack).result() == [None]
    told = "\n".join(visit.wrongs)
    for directive in ("script-src-attr", "script-src-elem", "img-src"):
        assert f"CSP {directive} kept out" in told
