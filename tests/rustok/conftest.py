"""A real browser, for what only a browser can tell."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, Error, sync_playwright


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
