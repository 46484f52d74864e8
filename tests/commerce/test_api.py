"""The merchants' API."""

from __future__ import annotations

import uuid
from typing import Any

import orjson
import pytest
from django.test import Client

from apps.commerce import models
from apps.kernel import isolation
from apps.tenants import models as tenants
from tests import factories
from tests.commerce.making import product_fields, sized_fields

ADMIN = "/api/v1/admin"
PRODUCTS = f"{ADMIN}/products"

NOBODY = uuid.UUID(int=7)  # a constant: test ids must be the same in every parallel worker


class Api:
    """A client of one member of a tenant."""

    def __init__(self, tenant: tenants.Tenant, role: str = "merchandiser") -> None:
        token = factories.make_token(tenant, role=role)
        self._client = Client(headers={"Authorization": f"Bearer {token}", "X-Tenant": tenant.slug})

    def __call__(self, method: str, path: str, data: Any = None, *, status: int = 200) -> Any:
        body = "" if data is None else orjson.dumps(data)
        headers = factories.write_headers(method)
        answer = self._client.generic(method, path, body, content_type="application/json", headers=headers)
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None


@pytest.fixture
def api(tenant: tenants.Tenant) -> Api:
    return Api(tenant)


def test_a_product_lives_its_life_over_http(api: Api) -> None:
    fields = sized_fields("S", "M", images=[{"url": "https://img.test/1.jpg"}])
    fields["variants"][0] |= {"sku": "S-1", "image": "https://img.test/1.jpg", "stock": [{"quantity": 3}]}

    product = api("POST", PRODUCTS, fields, status=201)
    here = f"{PRODUCTS}/{product['id']}"
    changed = api("PATCH", here, {"vendor": "Acme", "tags": ["new"]})
    published = api("POST", f"{here}/publish")
    refused = api("DELETE", here, status=409)
    archived = api("POST", f"{here}/archive")
    draft = api("POST", f"{here}/unpublish")
    read = api("GET", here)
    api("DELETE", here, status=204)

    assert product["id"].startswith("prod_")
    first = product["variants"][0]
    assert (first["sku"], first["values"], first["image"]) == ("S-1", [{"en": "S"}], "https://img.test/1.jpg")
    assert first["prices"] == [{"currency": "EUR", "amount": "19.90", "compare_at": None}]
    assert (first["stocked"], first["reserved"]) == (3, 0)
    assert (changed["vendor"], changed["tags"]) == ("Acme", ["new"])
    assert [published["status"], archived["status"], draft["status"]] == ["published", "archived", "draft"]
    assert published["published_at"].endswith("Z")
    assert refused["code"] == "cannot_delete_published"
    assert read["variants"] == product["variants"]
    assert api("GET", here, status=404)["code"] == "product_not_found"


def test_products_are_listed_and_filtered(api: Api) -> None:
    def create(title: str, **fields: Any) -> str:
        return str(api("POST", PRODUCTS, product_fields(title, **fields), status=201)["id"])

    red = create("Red", vendor="Acme", product_type="Shoe", status="published")
    blue = create("Blue", vendor="Acme", variants=[{"sku": "B-1"}])
    green = create("Green", vendor="Other")

    def listed(query: str = "") -> list[str]:
        return [row["id"] for row in api("GET", f"{PRODUCTS}?{query}")["data"]]

    assert listed() == [green, blue, red]
    assert listed("vendor=Acme") == [blue, red]
    assert listed("status=published") == [red]
    assert listed("product_type=Shoe&vendor=Acme") == [red]
    assert listed("sku=B-1") == [blue]
    assert listed("handle=green") == [green]
    page = api("GET", f"{PRODUCTS}?limit=2&count=exact")
    assert page["count"] == 3
    assert [row["id"] for row in api("GET", page["next"].removeprefix("http://testserver"))["data"]] == [red]
    assert "published" in api("GET", f"{PRODUCTS}?status=publish", status=422)["detail"]


def test_a_list_costs_the_same_for_one_and_for_many(api: Api, django_assert_max_num_queries: Any) -> None:
    for number in range(6):
        api(
            "POST", PRODUCTS, sized_fields("S", "M", translations=[{"locale": "en", "title": f"P{number}"}]), status=201
        )

    with django_assert_max_num_queries(22):
        assert len(api("GET", PRODUCTS)["data"]) == 6


def test_variants_and_prices_have_addresses_of_their_own(api: Api) -> None:
    product = api("POST", PRODUCTS, sized_fields("S", "M", variants=[{"values": ["S"]}]), status=201)
    variants = f"{PRODUCTS}/{product['id']}/variants"

    added = api("POST", variants, {"values": ["M"], "sku": "M-1"}, status=201)
    here = f"{ADMIN}/variants/{added['id']}"
    changed = api("PATCH", here, {"barcode": "123", "sku": None})
    prices = api("PUT", f"{here}/prices", {"prices": [{"currency": "EUR", "amount": "5.00", "compare_at": "6"}]})
    read = api("GET", here)
    refused = api(
        "PUT", f"{here}/prices", {"prices": [{"currency": "EUR", "amount": "5", "compare_at": "4"}]}, status=422
    )
    listed = api("GET", variants)
    api("DELETE", here, status=204)
    last = api("DELETE", f"{ADMIN}/variants/{product['variants'][0]['id']}", status=409)

    assert added["id"].startswith("var_")
    assert (changed["barcode"], changed["sku"]) == ("123", None)
    assert prices == {"prices": [{"currency": "EUR", "amount": "5.00", "compare_at": "6.00"}]}
    assert read["prices"] == prices["prices"]
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("invalid_price", "/prices/0/compare_at")
    assert [row["sku"] for row in listed["data"]] == [None, None]
    assert last["code"] == "last_variant"


def test_stock_is_set_adjusted_and_reserved(api: Api) -> None:
    product = api("POST", PRODUCTS, product_fields(), status=201)
    variant_id = product["variants"][0]["id"]
    inventory = f"{ADMIN}/variants/{variant_id}/inventory"
    location = api("POST", f"{ADMIN}/stock-locations", {"code": "berlin", "name": "Berlin"}, status=201)

    api("POST", f"{inventory}/set", {"quantity": 5, "low_stock_threshold": 1})
    adjusted = api("POST", f"{inventory}/adjust", {"delta": -1, "reason": "broken"})
    reserved = api("POST", f"{ADMIN}/reservations", {"variant_id": variant_id, "quantity": 3}, status=201)
    refused = api("POST", f"{ADMIN}/reservations", {"variant_id": variant_id, "quantity": 2}, status=422)
    levels = api("GET", inventory)["data"]
    released = api("POST", f"{ADMIN}/reservations/{reserved['id']}/release")
    ended = api("POST", f"{ADMIN}/reservations/{reserved['id']}/commit", status=409)
    sold = api("POST", f"{ADMIN}/reservations", {"variant_id": variant_id, "quantity": 4}, status=201)
    committed = api("POST", f"{ADMIN}/reservations/{sold['id']}/commit")

    assert location["id"].startswith("loc_")
    assert (adjusted["stocked"], adjusted["available"]) == (4, 4)
    assert (refused["code"], refused["requested"], refused["available"]) == ("insufficient_inventory", 2, 1)
    assert [(row["location"], row["stocked"], row["reserved"]) for row in levels] == [("default", 4, 3)]
    assert (released["status"], ended["code"], committed["status"]) == ("released", "reservation_ended", "committed")
    assert [row["code"] for row in api("GET", f"{ADMIN}/stock-locations")["data"]] == ["berlin", "default"]


def test_categories_and_collections_over_http(api: Api) -> None:
    names = {"translations": [{"locale": "en", "name": "Shoes"}]}
    top = api("POST", f"{ADMIN}/categories", names, status=201)
    leaf = api("POST", f"{ADMIN}/categories", names | {"parent_id": top["id"]}, status=201)
    here = f"{ADMIN}/categories/{leaf['id']}"
    product = api("POST", PRODUCTS, product_fields(category_ids=[leaf["id"]]), status=201)
    title = {"translations": [{"locale": "en", "title": "Summer"}]}
    collection = api("POST", f"{ADMIN}/collections", title, status=201)
    inside = f"{ADMIN}/collections/{collection['id']}"

    moved = api("PATCH", here, {"parent_id": None})
    filled = api("POST", f"{inside}/products", {"product_id": product["id"]})
    renamed = api("PATCH", inside, {"translations": [{"locale": "en", "title": "Sun"}]})
    api("DELETE", f"{inside}/products/{product['id']}", status=204)

    assert product["category_ids"] == [leaf["id"]]
    assert (leaf["depth"], moved["depth"], moved["parent_id"]) == (1, 0, None)
    assert len(api("GET", f"{ADMIN}/categories")["data"]) == 2
    assert api("GET", here)["translations"][0]["handle"] == "shoes-2"
    assert filled["products"] == [{"product_id": product["id"], "position": 0}]
    assert (renamed["translations"][0]["title"], renamed["translations"][0]["handle"]) == ("Sun", "summer")
    assert len(api("GET", f"{ADMIN}/collections")["data"]) == 1
    api("DELETE", here, status=204)
    api("DELETE", inside, status=204)
    assert api("GET", inside, status=404)["code"] == "collection_not_found"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "products", {"translations": []}, 422, "validation_failed"),
        ("POST", "products", {"translations": [{"locale": "en", "title": "x"}]}, 422, "no_variants"),
        ("GET", "products/nonsense", None, 404, "invalid_id"),
        ("GET", f"products/{NOBODY}", None, 404, "product_not_found"),
        ("POST", f"variants/{NOBODY}/inventory/adjust", {"delta": 1}, 404, "variant_not_found"),
        ("POST", f"reservations/{NOBODY}/release", None, 404, "reservation_not_found"),
        ("PATCH", f"categories/{NOBODY}", {"position": 1}, 404, "category_not_found"),
        ("GET", "products?cursor=rubbish", None, 422, "validation_failed"),
    ],
)
def test_bad_requests_are_named(api: Api, method: str, path: str, body: Any, status: int, code: str) -> None:
    assert api(method, f"{ADMIN}/{path}", body, status=status)["code"] == code


def test_every_address_needs_the_permission(tenant: tenants.Tenant) -> None:
    editor, stranger = Api(tenant, role="editor"), Client(headers={"X-Tenant": tenant.slug})

    for path in ("products", "categories", "collections", "stock-locations"):
        editor("GET", f"{ADMIN}/{path}", status=403)
        assert stranger.get(f"{ADMIN}/{path}").status_code == 401


def test_another_tenants_objects_are_not_there(api: Api) -> None:
    product = api("POST", PRODUCTS, product_fields(), status=201)
    other = Api(factories.make_tenant())

    other("GET", f"{PRODUCTS}/{product['id']}", status=404)
    other("PATCH", f"{PRODUCTS}/{product['id']}", {"vendor": "x"}, status=404)
    other("DELETE", f"{ADMIN}/variants/{product['variants'][0]['id']}", status=404)
    assert other("GET", PRODUCTS)["data"] == []
    other(
        "POST",
        PRODUCTS,
        product_fields(category_ids=[str(uuid.uuid4())]),
        status=404,
    )
    with isolation.all_tenants(reason="test"):
        assert models.Product.objects.count() == 1
