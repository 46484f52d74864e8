"""The admin as somebody uses it: pages are opened, filled in and sent, and say what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from apps.tenants import models as tenants
from tests import factories


class _Reader(HTMLParser):
    """What a browser would send of the form of a page, and the problems beside its fields."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, list[str]] = {}
        self.fixed: set[str] = set()
        self.problems: dict[str, str] = {}
        self._select: tuple[str, bool] | None = None
        self._text: str | None = None
        self._problem: str | None = None
        self._templates = 0
        self._is_ours = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = dict(attributes)
        name = has.get("name") or ""
        self._templates += tag == "template"
        if tag == "form":
            self._is_ours = "desk" in (has.get("class") or "").split()
        if tag == "p" and has.get("class") == "problem":
            self._problem = (has.get("id") or "").removeprefix("at-").rpartition("-problem-")[0]
        if self._templates or not self._is_ours:
            return
        if "disabled" in has:
            self.fixed.add(name)
        elif tag == "input" and name:
            if has.get("type") != "checkbox" or "checked" in has:
                self._put(name, has.get("value") or "")
        elif tag == "textarea":
            self._text = name
            self.sent.setdefault(name, [])
        elif tag == "select":
            self._select = name, "multiple" in has
        elif tag == "option" and self._select:
            chosen, is_many = self._select
            if "selected" in has:
                before = self.sent.get(chosen, []) if is_many else []
                self.sent[chosen] = [*before, has.get("value") or ""]
            elif not is_many:
                self.sent.setdefault(chosen, [has.get("value") or ""])

    def handle_data(self, data: str) -> None:
        if self._text is not None and not self._templates:
            self._put(self._text, data.removeprefix("\n"))
        if self._problem is not None:
            self.problems[self._problem] = self.problems.get(self._problem, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._templates -= tag == "template"
        if tag == "textarea":
            if self._text is not None and not self.sent[self._text]:
                self._put(self._text, "")
            self._text = None
        elif tag == "select":
            self._select = None
        elif tag == "p":
            self._problem = None
        elif tag == "form":
            self._is_ours = False

    def _put(self, name: str, value: str) -> None:
        self.sent.setdefault(name, []).append(value)


@dataclass
class Page:
    """A page of the admin on a tenant's host, as somebody with a role there sees it."""

    client: Client
    host: str
    user: Any
    path: str = ""
    status: int = 0
    text: str = ""
    told: str = ""
    sent: dict[str, list[str]] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, tenant: tenants.Tenant, role: str = "owner") -> Page:
        user = factories.make_member(tenant, role, factories.make_user(is_staff=True))
        return cls.by(user, tenant)

    @classmethod
    def by(cls, user: Any, tenant: tenants.Tenant) -> Page:
        client = Client()
        client.force_login(user)
        return cls(client, f"{tenant.slug}.test", user)

    def get(self, path: str, **query: Any) -> Page:
        return self._read(self.client.get(path, query, headers={"Host": self.host}, follow=True), path)

    def post(self, path: str, **values: Any) -> Page:
        return self._read(self.client.post(path, values, headers={"Host": self.host}, follow=True), path)

    def fill(self, values: dict[str, str | list[str]]) -> None:
        """Write into fields; a checkbox is ticked with "on" and cleared with ""."""
        for name, value in values.items():
            self.sent[name] = value if isinstance(value, list) else [value]

    def clear(self, *names: str) -> None:
        """What is not sent at all: checkboxes without a tick, rows that are taken out."""
        for name in names:
            self.sent.pop(name, None)

    def values(self, name: str) -> list[str]:
        return self.sent.get(name, [])

    def press(self, button: str, value: str = "") -> Page:
        """Send the form by one of its buttons."""
        return self.post(self.path, **self.sent, **{button: value})

    def _read(self, answer: Any, path: str) -> Page:
        self.path = answer.redirect_chain[-1][0] if getattr(answer, "redirect_chain", None) else path
        self.status, self.text = answer.status_code, answer.content.decode()
        reader = _Reader()
        reader.feed(self.text)
        self.sent, self.fixed, self.problems = reader.sent, reader.fixed, reader.problems
        told = answer.context["messages"] if answer.context and "messages" in answer.context else ()
        self.told = " ".join(str(message) for message in told)
        return self
