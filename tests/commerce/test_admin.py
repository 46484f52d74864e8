"""Commerce in the admin: readable on a tenant's host and on the platform's, never writable."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.commerce import models, services, snapshots
from apps.kernel import ids, isolation
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

    assert "Red Shoes" in page("product/")
    assert ("?tenant__id__exact=" in page("product/")) is not is_on_the_tenants_host
    assert "Red Shoes" in page("product/?q=RED-1&status=draft")
    assert "/red.png" in page(f"product/{product.id}/change/")
    assert ">Red Shoes</h" in page(f"product/{product.id}/change/")
    assert tenant.slug in page(f"product/{product.id}/change/")
    assert "RED-1" in page("variant/?q=RED-1")
    assert "19.90" in page(f"variant/{product.variants[0].row.id}/change/")
    assert "initial" in page("inventorymovement/")
    assert "cart-7" in page("reservation/?status=active")
    assert "RED-1" in page("reservation/?status=active")
    assert "default" in page("stocklocation/")
    assert "Footwear" in page("category/")
    assert "Summer" in page("collection/")


@pytest.mark.parametrize("is_on_the_tenants_host", [True, False])
def test_movements_name_their_variant_and_location(
    browser: Client, tenant: tenants.Tenant, product: snapshots.Snapshot, is_on_the_tenants_host: bool
) -> None:
    host = {"host": f"{tenant.slug}.test"} if is_on_the_tenants_host else {}
    variant = product.variants[0].row
    with factories.at_work(tenant):
        movement = models.InventoryMovement.objects.get()
    pages = ("/admin/commerce/inventorymovement/", f"/admin/commerce/inventorymovement/{movement.pk}/change/")

    for page in pages:
        shown = browser.get(page, headers=host).content.decode()
        assert f'<a href="/admin/commerce/variant/{variant.id}/change/">Red Shoes, RED-1</a>' in shown
        assert ">default<" in shown
        assert str(movement.location_id) not in shown

    with factories.at_work(tenant):
        services.delete_product(product_id=product.id)
    for page in pages:
        assert f"{ids.encode('var', variant.id)} (deleted)" in browser.get(page, headers=host).content.decode()


def test_the_number_of_queries_does_not_grow_with_the_movements(
    browser: Client, tenant: tenants.Tenant, product: snapshots.Snapshot
) -> None:
    def list_them() -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get("/admin/commerce/inventorymovement/", headers={"host": f"{tenant.slug}.test"})
        return len(queries)

    list_them()
    before = list_them()
    with factories.at_work(tenant):
        for number in range(3):
            making.make_product(
                making.product_fields(variants=[making.variant_fields(stock=[{"quantity": number + 1}])])
            )

    assert list_them() == before


def test_a_tenants_host_shows_its_own_rows_only(browser: Client, product: snapshots.Snapshot) -> None:
    other = factories.make_tenant()

    answer = browser.get("/admin/commerce/product/", headers={"host": f"{other.slug}.test"})

    assert "Red Shoes" not in answer.content.decode()


def test_nothing_can_be_written(browser: Client, product: snapshots.Snapshot) -> None:
    assert browser.get("/admin/commerce/product/add/").status_code == 403
    assert browser.post(f"/admin/commerce/product/{product.id}/delete/", {"post": "yes"}).status_code == 403
    with isolation.all_tenants(reason="test"):
        assert models.Product.objects.filter(id=product.id).exists()
