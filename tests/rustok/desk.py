"""The editors' desk in a real browser, which tells of everything that went wrong on its pages."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from playwright.sync_api import Page

from apps.tenants import models as tenants

PATIENCE = 60_000  # ms, on a busy machine
TELL = """
document.addEventListener("securitypolicyviolation", e => console.error(
  `CSP ${e.effectiveDirective} kept out ${e.blockedURI} of ${e.sourceFile}:${e.lineNumber} ${e.sample}`));
"""


@dataclass
class Desk:
    """The admin on a tenant's host, in a browser of its owner, and what went wrong on its pages."""

    tenant: tenants.Tenant
    page: Page
    thread: ThreadPoolExecutor
    wrongs: list[str] = field(default_factory=list)

    def do(self, work: Callable[[Page], Any]) -> Any:
        """Where the browser lives, which is another thread than the database's."""
        return self.thread.submit(work, self.page).result()

    def listen(self, page: Page) -> None:
        """To errors and to what is reported to the server as against the policy."""

        def note(message: Any) -> None:
            if message.type == "error" and not message.text.startswith("Failed to load resource: the server responded"):
                self.wrongs.append(f"{page.url}: {message.text}")

        page.on("console", note)
        page.on("pageerror", lambda error: self.wrongs.append(f"{page.url}: {error}"))
        page.on("request", lambda asked: self._note_report(asked.url, asked.post_data))

    def _note_report(self, url: str, report: str | None) -> None:
        if urlsplit(url).path == settings.CSP_REPORT_PATH:
            self.wrongs.append(f"reported: {report}")
