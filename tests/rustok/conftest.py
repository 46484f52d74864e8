"""A real browser, for what only a browser can tell."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Error, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests import factories
from tests.rustok.desk import PATIENCE, TELL, Desk


@pytest.fixture(scope="module")
def thread() -> Iterator[ThreadPoolExecutor]:
    """Playwright runs an event loop, beside which Django refuses to ask the database: it gets a thread of its own."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield executor


@pytest.fixture(scope="module")
def chromium(thread: ThreadPoolExecutor) -> Iterator[Browser]:
    started = thread.submit(lambda: sync_playwright().start()).result()
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        browser = thread.submit(
            lambda: started.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        ).result()
    except Error as error:
        thread.submit(started.stop).result()
        if os.environ.get("CI"):
            raise
        pytest.skip(f"there is no browser: playwright install chromium ({str(error).splitlines()[0]})")
    yield browser
    thread.submit(browser.close).result()
    thread.submit(started.stop).result()


@pytest.fixture
def server(committed_db: None) -> Iterator[LiveServer]:
    """Not the fixture of pytest-django, which asks for the database before it is ours to empty."""
    started = LiveServer("127.0.0.1")
    yield started
    started.stop()


@pytest.fixture
def desk(chromium: Browser, thread: ThreadPoolExecutor, server: LiveServer) -> Iterator[Desk]:
    tenant = factories.make_tenant(domains=["desk.localhost"], default_locale="en", locales=["de"], currency="EUR")
    client = Client()
    client.force_login(factories.make_member(tenant, "owner", factories.make_user(is_staff=True)))
    name = settings.SESSION_COOKIE_NAME
    base = f"http://desk.localhost:{urlsplit(server.url).port}"

    def open_page() -> Page:
        context = chromium.new_context(base_url=base, viewport={"width": 1280, "height": 1400})
        context.set_default_timeout(PATIENCE)
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": base}])
        context.add_init_script(TELL)
        return context.new_page()

    page = thread.submit(open_page).result()
    opened = Desk(tenant, page, thread)
    opened.do(opened.listen)
    yield opened
    thread.submit(page.context.close).result()
