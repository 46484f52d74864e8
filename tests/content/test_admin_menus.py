"""Menus built in the admin: rows with levels become a tree, and problems stand at their rows."""

from __future__ import annotations

from typing import Any

import pytest

from apps.content import models
from apps.tenants import models as tenants
from tests import factories
from tests.content import making
from tests.filling import Page

LIST = "/admin/content/menu/"


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant(default_locale="en", locales=["de"])


def shape(items: list[dict[str, Any]]) -> list[Any]:
    return [(item["titles"].get("en") or (item["target"] or {}).get("type"), shape(item["children"])) for item in items]


@pytest.mark.parametrize("number", ["²", "9" * 5_000, "-1", "0"])
def test_a_number_no_page_sends_is_no_fault_of_ours(tenant: tenants.Tenant, number: str) -> None:
    page = Page.of(tenant, "owner")
    page.get(f"{LIST}add/")
    page.fill({"name": "Main", "items": ["new1"], "items/new1/titles/en": "Shop", "items/new1/level": number})
    page.press("_save")
    assert "is saved" in page.told
    page.fill({"name": "Other", "_version": number})
    page.press("_save")
    assert page.status == 200


def test_a_menu_is_built_rearranged_and_deleted(tenant: tenants.Tenant) -> None:
    page = Page.of(tenant, "owner")
    with factories.at_work(tenant):
        node = making.make_node("About us")
    page.get(f"{LIST}add/")
    page.fill({"name": "Main", "location": "header", "items": ["new1", "new2", "new3", "new4"]})
    for row, level, title in (("new1", "1", "Shop"), ("new2", "2", "Shirts"), ("new3", "3", "Linen")):
        page.fill({f"items/{row}/level": level, f"items/{row}/titles/en": title})
    page.fill({"items/new4/level": "1", "items/new4/node": str(node.id), "items/new2/url": "javascript:x"})
    page.press("_save")
    assert list(page.problems) == ["items-new2-url"]
    page.fill({"items/new2/url": "https://example.com/shirts"})
    page.press("_save")

    assert "“Main” is saved." in page.told
    with factories.at_work(tenant):
        menu = models.Menu.objects.get()
    assert shape(menu.items) == [("Shop", [("Shirts", [("Linen", [])])]), ("node", [])]
    assert "About us" in page.text
    first, second, third, fourth = page.values("items")
    page.fill({"items": [fourth, first, third], f"items/{third}/level": "5"})
    page.press("_save")
    with factories.at_work(tenant):
        menu.refresh_from_db()
        assert shape(menu.items) == [("node", []), ("Shop", [("Linen", [])])]
        kept = [str(item["id"]).replace("-", "") for item in menu.items]
    assert kept == [fourth, first]
    assert second not in page.text
    page.post(f"{LIST}{menu.id}/delete/", _sure="on")
    assert "“Main” is deleted." in page.told


def test_a_place_that_is_taken_is_told(tenant: tenants.Tenant) -> None:
    page = Page.of(tenant, "owner")
    for name in ("One", "Two"):
        page.get(f"{LIST}add/")
        page.fill({"name": name, "location": "footer"})
        page.press("_save")

    assert "The menu &quot;One&quot; is shown at &quot;footer&quot;" in page.text
