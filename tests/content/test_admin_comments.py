"""Comments in the admin: those that wait stand on the first page, and many are approved or taken for spam at once."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from apps.content import models, services
from apps.tenants import models as tenants
from tests import factories
from tests.content import making

NODES = "/admin/content/node/"


@pytest.fixture
def browser(tenant: tenants.Tenant) -> Client:
    browser = Client(headers={"host": f"{tenant.slug}.test"})
    browser.force_login(factories.make_member(tenant, "owner", factories.make_user(is_staff=True)))
    return browser


def comments(tenant: tenants.Tenant, *texts: str) -> list[models.Node]:
    with factories.at_work(tenant):
        post = making.make_node("A post", kind="post", publish=True)
        return [
            making.make_node(
                text, kind="comment", parent_id=post.id, bodies=[{"locale": "en", "format": "plain", "body": text}]
            )
            for text in texts
        ]


def states(tenant: tenants.Tenant, rows: list[models.Node]) -> list[str]:
    with factories.at_work(tenant):
        return [services.comment_state(models.Node.objects.get(id=row.id)) for row in rows]


def act(browser: Client, name: str, *rows: models.Node) -> Any:
    chosen = [str(row.id) for row in rows]
    return browser.post(f"{NODES}?kind__exact=comment", {"action": name, "_selected_action": chosen}, follow=True)


def test_what_waits_stands_on_the_first_page_and_nothing_of_it_among_the_pages(
    browser: Client, tenant: tenants.Tenant
) -> None:
    before = browser.get("/admin/").text
    comments(tenant, "Well said", "Buy pills")

    page = browser.get("/admin/").text

    assert "kind__exact=comment" not in before
    assert "Well said" in page and "status__exact=draft" in page
    written = next(part for part in page.split("<section") if ">Tree</a>" in part)
    assert "A post" in written and "Well said" not in written


def test_many_are_approved_or_taken_for_spam_at_once(browser: Client, tenant: tenants.Tenant) -> None:
    first, second, third = rows = comments(tenant, "Well said", "Buy pills", "Buy more")

    approved = act(browser, "publish", first)
    taken = act(browser, "spam", second, third)

    assert states(tenant, rows) == ["approved", "spam", "spam"]
    assert "1 is published" in approved.text and "2 are taken for spam" in taken.text
    with factories.at_work(tenant):
        assert making.types_of(second.id)[-2:] == ["node.archived", "comment.marked"]
    spam = re.search(r'href="([^"]+is_spam[^"]+)"', browser.get("/admin/").text)
    assert spam is not None
    listed = browser.get(unescape(spam[1])).text
    assert ("Buy pills" in listed, "Buy more" in listed, "Well said" in listed) == (True, True, False)
    act(browser, "publish", second)
    assert states(tenant, rows) == ["approved", "approved", "spam"]


def test_only_a_comment_is_taken_for_spam(browser: Client, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        page = making.make_node("A page", publish=True)

    refused = browser.post(NODES, {"action": "spam", "_selected_action": [str(page.id)]}, follow=True)
    shown = browser.get(f"{NODES}{page.id}/change/")

    assert "is not taken for spam" in refused.text
    assert "Take for spam" not in shown.text
    with factories.at_work(tenant):
        assert models.Node.objects.get(id=page.id).status == "published"
