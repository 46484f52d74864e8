"""Limited grants on products, both ways: the category, and what is published."""

from __future__ import annotations

from typing import Any

import pytest

from apps.accounts.access import roles
from apps.commerce import models, snapshots
from apps.kernel import ids
from apps.tenants import models as tenants
from tests import factories
from tests.accounts import calling
from tests.commerce import making


def product_id(product: snapshots.Snapshot) -> str:
    return ids.encode("prod", product.id)


def variant_id(product: snapshots.Snapshot) -> str:
    return ids.encode("var", product.variants[0].row.id)


@pytest.fixture
def footwear(tenant: tenants.Tenant) -> models.Category:
    with factories.at_work(tenant):
        return making.make_category("Footwear")


@pytest.fixture
def hats(tenant: tenants.Tenant) -> models.Category:
    with factories.at_work(tenant):
        return making.make_category("Hats")


@pytest.fixture
def shoe(tenant: tenants.Tenant, footwear: models.Category) -> snapshots.Snapshot:
    with factories.at_work(tenant):
        return making.make_product(title="Shoe", category_ids=[footwear.id])


@pytest.fixture
def hat(tenant: tenants.Tenant, hats: models.Category) -> snapshots.Snapshot:
    with factories.at_work(tenant):
        return making.make_product(title="Hat", category_ids=[hats.id])


@pytest.fixture
def shoemaker(tenant: tenants.Tenant, footwear: models.Category) -> calling.Caller:
    """May everything with products in one category."""
    grant = roles.GrantInput(permission="products:manage", constraint={"category": [str(footwear.id)]})
    with factories.at_work(tenant):
        roles.create_role(new=roles.NewRole(slug="shoemaker", name="Shoemaker", grants=[grant]), by=None)
    return calling.make_caller(tenant, "shoemaker")


def test_within_the_category_everything_works(shoemaker: calling.Caller, shoe: snapshots.Snapshot) -> None:
    path = f"products/{product_id(shoe)}"
    price = {"prices": [{"currency": "EUR", "amount": "5.00"}]}

    assert [row["id"] for row in shoemaker.call("GET", "products").json()["data"]] == [product_id(shoe)]
    assert shoemaker.call("GET", path).status_code == 200
    assert shoemaker.call("PATCH", path, {"vendor": "Ann"}).json()["vendor"] == "Ann"
    assert shoemaker.call("PUT", f"variants/{variant_id(shoe)}/prices", price).status_code == 200
    assert shoemaker.call("PATCH", f"variants/{variant_id(shoe)}", {"sku": "S-1"}).json()["sku"] == "S-1"
    for step in ("publish", "unpublish", "archive"):
        assert shoemaker.call("POST", f"{path}/{step}").status_code == 200
    assert shoemaker.call("DELETE", path).status_code == 204


def test_beyond_the_category_nothing_is_there(
    shoemaker: calling.Caller, shoe: snapshots.Snapshot, hat: snapshots.Snapshot
) -> None:
    path, variant = f"products/{product_id(hat)}", f"variants/{variant_id(hat)}"
    attempts: list[tuple[str, str, Any]] = [
        ("GET", path, None), ("PATCH", path, {"vendor": "Ann"}), ("DELETE", path, None),
        ("POST", f"{path}/publish", None), ("POST", f"{path}/unpublish", None), ("POST", f"{path}/archive", None),
        ("GET", f"{path}/variants", None), ("POST", f"{path}/variants", making.variant_fields(sku="X")),
        ("GET", variant, None), ("PATCH", variant, {"sku": "X"}), ("DELETE", variant, None),
        ("PUT", f"{variant}/prices", {"prices": [{"currency": "EUR", "amount": "5.00"}]}),
    ]  # fmt: skip

    statuses = {(method, where): shoemaker.call(method, where, body).status_code for method, where, body in attempts}

    assert set(statuses.values()) == {404}, statuses


def test_products_are_made_in_and_moved_between_ones_own_categories_only(
    shoemaker: calling.Caller, shoe: snapshots.Snapshot, footwear: models.Category, hats: models.Category
) -> None:
    def create(*categories: models.Category) -> int:
        fields = making.product_fields(title="New", category_ids=[ids.encode("cat", each.id) for each in categories])
        return int(shoemaker.call("POST", "products", fields).status_code)

    def move(*categories: models.Category) -> int:
        wanted = {"category_ids": [ids.encode("cat", category.id) for category in categories]}
        return int(shoemaker.call("PATCH", f"products/{product_id(shoe)}", wanted).status_code)

    assert (create(), create(hats), create(footwear, hats), create(footwear)) == (403, 403, 403, 201)
    assert (move(), move(hats), move(footwear, hats), move(footwear)) == (403, 403, 403, 200)


def test_a_customer_sees_published_products_only(
    tenant: tenants.Tenant, shoe: snapshots.Snapshot, hat: snapshots.Snapshot
) -> None:
    customer, merchandiser = calling.make_caller(tenant, "customer"), calling.make_caller(tenant, "merchandiser")
    merchandiser.call("POST", f"products/{product_id(hat)}/publish")

    assert [row["id"] for row in customer.call("GET", "products").json()["data"]] == [product_id(hat)]
    assert customer.call("GET", f"products/{product_id(hat)}").status_code == 200
    assert customer.call("GET", f"products/{product_id(shoe)}").status_code == 404
    assert customer.call("GET", f"variants/{variant_id(shoe)}").status_code == 404
    assert len(merchandiser.call("GET", "products").json()["data"]) == 2


@pytest.mark.usefixtures("committed_db")
def test_readers_without_rights_see_what_is_published_only(
    tenant: tenants.Tenant, shoe: snapshots.Snapshot, hat: snapshots.Snapshot
) -> None:
    from django.test import Client

    from apps.consumers import tasks

    calling.make_caller(tenant, "merchandiser").call("POST", f"products/{product_id(hat)}/publish")
    tasks.drain()

    shown = Client().get("/api/v1/store/products", headers={"X-Tenant": tenant.slug}).json()["data"]

    assert [row["id"] for row in shown] == [product_id(hat)]
