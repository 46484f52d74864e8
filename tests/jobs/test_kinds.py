"""Prices, stock and nodes in bulk: what their own endpoints do, and ask for."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.commerce import bulk as commerce_bulk
from apps.commerce import models as commerce
from apps.jobs import bulk, working
from apps.kernel import ids
from apps.tenants import models
from tests import factories
from tests.accounts import calling
from tests.commerce import making as shop
from tests.content import making as site
from tests.jobs.asking import make_job, shown

PRICE = {"prices": [{"currency": "EUR", "amount": "12.50"}]}


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    return factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")


@pytest.fixture
def owner(tenant: models.Tenant) -> calling.Caller:
    return calling.make_caller(tenant, "owner")


def made_variant(tenant: models.Tenant, **fields: Any) -> str:
    with factories.at_work(tenant):
        return ids.encode("var", shop.make_variant(**fields).id)


def ask(caller: calling.Caller, path: str, *operations: Any) -> tuple[list[int], list[str | None]]:
    """Statuses and codes of the problems."""
    answer = caller.call("POST", path, {"operations": list(operations)})
    assert answer.status_code == 200, answer.content
    results = answer.json()["results"]
    return [each["status"] for each in results], [each.get("problem", {}).get("code") for each in results]


def test_prices_of_many_variants_are_set(tenant: models.Tenant, owner: calling.Caller) -> None:
    one, other = made_variant(tenant), made_variant(tenant)

    def setting(variant: str, data: Any = PRICE, **versions: Any) -> dict[str, Any]:
        return {"op": "set", "id": variant, "data": data, **versions}

    twice = {"prices": [*PRICE["prices"], *PRICE["prices"]]}
    statuses, codes = ask(
        owner, "variants/prices/bulk", setting(one, if_match=1), setting(one, if_match=1), setting(other),
        setting(other, twice, if_match="*"), setting(ids.encode("var", uuid.uuid4()), if_match="*"),
        setting(other, if_match="*"),
    )  # fmt: skip

    assert statuses == [200, 412, 428, 422, 404, 200]
    assert codes[1:5] == ["precondition_failed", "precondition_required", "invalid_price", "variant_not_found"]
    with factories.at_work(tenant):
        assert set(commerce.Price.objects.values_list("amount", flat=True)) == {1250}
        assert shop.event_names().count("price.updated") == 2


def test_stock_of_many_variants_moves_as_the_ledger_says(tenant: models.Tenant, owner: calling.Caller) -> None:
    one, other = made_variant(tenant, quantity=5), made_variant(tenant, quantity=5)

    statuses, codes = ask(
        owner, "variants/inventory/bulk", {"op": "adjust", "id": one, "data": {"delta": -2}},
        {"op": "adjust", "id": one, "data": {"delta": -9}}, {"op": "set", "id": other, "data": {"quantity": 8}},
        {"op": "adjust", "id": other, "data": {"delta": 1, "location": "nowhere"}},
        {"op": "adjust", "id": other, "if_match": 1, "data": {"delta": 1}},
    )  # fmt: skip

    assert statuses == [200, 422, 200, 404, 412]
    assert codes[1] == "insufficient_inventory"
    with factories.at_work(tenant):
        levels = commerce.InventoryLevel.objects.order_by("id").values_list("stocked", flat=True)
        moved = commerce.InventoryMovement.objects.order_by("id").values_list("delta", flat=True)
        assert list(levels) == [3, 8]
        assert list(moved)[-2:] == [-2, 3]


@pytest.mark.parametrize("path", ["variants/prices/bulk", "variants/inventory/bulk"])
def test_money_and_stock_move_only_with_a_key(tenant: models.Tenant, owner: calling.Caller, path: str) -> None:
    body = {"operations": [{"op": "set"}] * 101}
    answer = owner.client.post(f"/api/v1/admin/{path}", body, content_type="application/json", headers=owner.headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


def test_stock_asks_for_the_right_to_stock(tenant: models.Tenant, owner: calling.Caller) -> None:
    owner.call("POST", "roles", {"slug": "pricer", "name": "P", "grants": [{"permission": "products:manage"}]})
    pricer = calling.make_caller(tenant, "pricer")

    refused = pricer.call("POST", "variants/inventory/bulk", {"operations": [{}]})
    statuses, _ = ask(
        pricer, "variants/prices/bulk", {"op": "set", "id": made_variant(tenant), "if_match": "*", "data": PRICE}
    )

    assert (refused.status_code, statuses) == (403, [200])


def test_nodes_are_written_as_by_their_own_endpoints(tenant: models.Tenant, owner: calling.Caller) -> None:
    with factories.at_work(tenant):
        page, post, old = (
            ids.encode("node", site.make_node(title, publish=title == "Old").id) for title in ("Page", "Post", "Old")
        )

    statuses, codes = ask(
        owner, "nodes/bulk",
        {"op": "publish", "id": page, "data": {"published_at": "2026-01-02T03:04:05Z"}},
        {"op": "unpublish", "id": old}, {"op": "archive", "id": old},
        {"op": "update", "id": post, "if_match": 1, "data": {"author_name": "Ann"}},
        {"op": "update", "id": post, "if_match": 1, "data": {"author_name": "Bob"}},
        {"op": "create", "data": {"kind": "page", "translations": [{"locale": "en", "title": "New"}]}},
        {"op": "create", "data": {"kind": "page", "translations": [{"locale": "fr", "title": "Neuf"}]}},
        {"op": "delete", "id": page, "if_match": "*"}, {"op": "publish", "id": page},
    )  # fmt: skip

    assert statuses == [200, 200, 200, 200, 412, 201, 422, 204, 404]
    assert codes[6] == "locale_not_enabled"
    left = {node["translations"][0]["title"]: node for node in owner.call("GET", "nodes").json()["data"]}
    assert {title: node["status"] for title, node in left.items()} == {
        "New": "draft", "Old": "archived", "Post": "draft",
    }  # fmt: skip
    assert left["Post"]["author_name"] == "Ann"


def test_limits_of_a_grant_hold_for_each_node(tenant: models.Tenant, owner: calling.Caller) -> None:
    grants = [
        {"permission": f"nodes:{action}", "constraint": {"kind": ["post"]}} for action in ("read", "update", "create")
    ]
    owner.call("POST", "roles", {"slug": "blogger", "name": "Blogger", "grants": grants})
    blogger = calling.make_caller(tenant, "blogger")
    with factories.at_work(tenant):
        page, post = (ids.encode("node", site.make_node(kind, kind=kind).id) for kind in ("page", "post"))
    translations = [{"locale": "en", "title": "New"}]

    statuses, _ = ask(
        blogger, "nodes/bulk", {"op": "publish", "id": page}, {"op": "publish", "id": post},
        *({"op": "create", "data": {"kind": kind, "translations": translations}} for kind in ("page", "post")),
        {"op": "delete", "id": post, "if_match": "*"},
    )  # fmt: skip

    assert statuses == [404, 200, 403, 201, 403]


def test_a_job_of_any_kind_is_carried_out(tenant: models.Tenant, owner: calling.Caller) -> None:
    variant = made_variant(tenant, quantity=5)
    with factories.at_work(tenant):
        post = site.make_node("Post", kind="post", publish=True)
        comment = ids.encode("node", site.make_node("Nice", kind="comment", parent_id=post.id).id)
    operations = {
        "prices": {"op": "set", "id": variant, "if_match": "*", "data": PRICE},
        "inventory": {"op": "adjust", "id": variant, "data": {"delta": -1}},
        "nodes": {"op": "create", "data": {"kind": "page", "translations": [{"locale": "en", "title": "New"}]}},
        "products": {"op": "create", "data": shop.product_fields()},
        "comments": {"op": "approve", "id": comment},
    }
    jobs = [make_job(owner, operations[name], kind=kind) for name, kind in bulk.kinds().items()]

    assert working.advance() == len(operations) == len(bulk.kinds())
    assert {shown(owner, job)["status"] for job in jobs} == {"succeeded"}


def test_a_kind_is_registered_once() -> None:
    with pytest.raises(ValueError, match="already registered"):
        bulk.register(bulk.Kind("nodes", "nodes:update", "content", {}))

    assert bulk.register(commerce_bulk.PRODUCTS) is commerce_bulk.PRODUCTS
