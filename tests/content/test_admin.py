"""Content in the admin: readable on a tenant's host and on the platform's, never writable."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.content import models
from apps.kernel import isolation
from apps.tenants import models as tenants
from tests import factories
from tests.content import making


@pytest.fixture
def browser(tenant: tenants.Tenant) -> Client:
    client = Client()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def node(tenant: tenants.Tenant) -> models.Node:
    with factories.at_work(tenant):
        making.make_category("Culture")
        making.make_tag("crimson")
        node = making.make_node("Readable", bodies=[{"locale": "en", "body": "The text"}])
        return making.update(node, translations=[{"locale": "en", "slug": "other"}])


@pytest.mark.parametrize("is_on_the_tenants_host", [True, False])
def test_lists_and_pages_open_on_every_host(
    browser: Client, tenant: tenants.Tenant, node: models.Node, is_on_the_tenants_host: bool
) -> None:
    host = {"host": f"{tenant.slug}.test"} if is_on_the_tenants_host else {}

    def page(path: str) -> str:
        answer: Any = browser.get(f"/admin/content/{path}", headers=host)
        assert answer.status_code == 200, path
        return str(answer.content.decode())

    assert "Readable" in page("node/")
    assert "Readable" in page("node/?q=readable&kind=page")
    assert ">Readable</h" in page(f"node/{node.id}/change/")
    assert tenant.slug in page(f"node/{node.id}/change/")
    assert "The text" in page(f"node/{node.id}/change/")
    assert "Culture" in page("category/")
    assert "crimson" in page("tag/")
    assert "readable" in page("redirect/")


def test_a_tenants_host_shows_its_own_rows_only(browser: Client, node: models.Node) -> None:
    other = factories.make_tenant()

    answer = browser.get("/admin/content/node/", headers={"host": f"{other.slug}.test"})

    assert "Readable" not in answer.content.decode()


def test_nothing_can_be_written(browser: Client, node: models.Node) -> None:
    assert browser.get("/admin/content/node/add/").status_code == 403
    assert browser.post(f"/admin/content/node/{node.id}/delete/", {"post": "yes"}).status_code == 403
    with isolation.all_tenants(reason="test"):
        assert models.Node.objects.filter(id=node.id).exists()
