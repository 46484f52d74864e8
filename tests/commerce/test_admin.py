"""Commerce in the admin: readable on a tenant's host and on the platform's, never writable."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.commerce import models, snapshots
from apps.tenants import models as tenants
from tests import factories
from tests.commerce import making


@pytest.fixture
def browser(tenant: tenants.Tenant) -> Client:
    client = Client()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def product(tenant: tenants.Tenant) -> snapshots.Snapshot:
    with factories.at_work(tenant):
        category = making.make_category("Footwear")
        making.make_collection("Summer")
        variant = making.variant_fields(sku="RED-1", stock=[{"quantity": 7}])
        product = making.make_product(
            making.product_fields(variants=[variant], category_ids=[category.id], images=[{"url": "/red.png"}])
        )
        making.reserve(product.variants[0].row.id, 2, reference="cart-7")
        return product


@pytest.mark.parametrize("is_on_the_tenants_host", [True, False])
def test_lists_and_pages_open_on_every_host(
    browser: Client, tenant: tenants.Tenant, product: snapshots.Snapshot, is_on_the_tenants_host: bool
) -> None:
    factories.make_tenant()  # the filter by tenant is for two or more
    host = {"host": f"{tenant.slug}.test"} if is_on_the_tenants_host else {}

    def page(path: str) -> str:
        answer: Any = browser.get(f"/admin/commerce/{path}", headers=host)
        assert answer.status_code == 200, path
        return str(answer.content.decode())

    assert "Red Shoes (en)" in page("product/")
    assert ("?tenant__id__exact=" in page("product/")) is not is_on_the_tenants_host
    assert "Red Shoes" in page("product/?q=RED-1&status=draft")
    assert "/red.png" in page(f"product/{product.id}/change/")
    assert "<h2>Red Shoes</h2>" in page(f"product/{product.id}/change/")
    assert f">{tenant.slug}</a>" in page(f"product/{product.id}/change/")
    assert "RED-1" in page("variant/?q=RED-1")
    assert "19.90" in page(f"variant/{product.variants[0].row.id}/change/")
    assert "initial" in page("inventorymovement/")
    assert "cart-7" in page("reservation/?status=active")
    assert "default" in page("stocklocation/")
    assert "Footwear" in page("category/")
    assert "Summer" in page("collection/")


def test_a_tenants_host_shows_its_own_rows_only(browser: Client, product: snapshots.Snapshot) -> None:
    other = factories.make_tenant()

    answer = browser.get("/admin/commerce/product/", headers={"host": f"{other.slug}.test"})

    assert "Red Shoes" not in answer.content.decode()


def test_nothing_can_be_written(browser: Client, product: snapshots.Snapshot) -> None:
    assert browser.get("/admin/commerce/product/add/").status_code == 403
    assert browser.post(f"/admin/commerce/product/{product.id}/delete/", {"post": "yes"}).status_code == 403
    assert models.Product.all_tenants(reason="test").filter(id=product.id).exists()
