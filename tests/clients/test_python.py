"""The Python client against the live server."""

from __future__ import annotations

from typing import Any

import pytest
from rustok_client import Client, NotModified, Patience, ProblemError

from tests.clients.scene import NARROW, PUBLISHED, Scene

LAMP: Any = {"translations": [{"locale": "en", "title": "Desk lamp"}], "variants": [{"sku": "DL-1"}]}


@pytest.fixture
def client(scene: Scene) -> Client:
    client = Client(scene.url, tenant=scene.shop.slug)
    client.log_in(scene.email, scene.password)
    return client


def test_a_token_that_is_not_accepted_any_more_is_renewed(client: Client, scene: Scene) -> None:
    client.token = stale = f"{client.token}x"

    assert client.me().data["email"] == scene.email
    assert client.token != stale


def test_without_a_session_the_refusal_is_told(scene: Scene) -> None:
    with pytest.raises(ProblemError) as refused:
        Client(scene.url, tenant=scene.shop.slug, token="rtk_test_none").product_list()

    assert (refused.value.status, refused.value.code) == (401, "token_refused")


def test_every_product_of_all_pages_comes_once(client: Client) -> None:
    titles = [row["translations"][0]["title"] for row in client.each(client.product_list(limit=2, sort="created_at"))]

    assert titles == [f"Lamp {number}" for number in range(PUBLISHED)]


def test_a_page_of_another_host_is_not_asked_with_the_token(client: Client) -> None:
    page = client.product_list(limit=2)
    page.data["next"] = "https://evil.example/api/v1/admin/products"

    with pytest.raises(ValueError, match="token is not sent"):
        list(client.each(page))


def test_the_same_intent_happens_once(client: Client) -> None:
    first = client.product_create(LAMP, idempotency_key="an-intent")
    again = client.product_create(LAMP, idempotency_key="an-intent")

    assert (first.status, first.is_replayed, again.is_replayed) == (201, False, True)
    assert again.data == first.data
    assert client.product_list(count="exact").data["count"] == PUBLISHED + 1


def test_an_edit_replaces_the_version_that_was_read_and_no_other(client: Client) -> None:
    read = client.product_get(client.product_create(LAMP).data["id"])
    assert read.etag is not None

    edited = client.product_update(read.data["id"], {"vendor": "Nordlicht"}, if_match=read.etag)
    with pytest.raises(ProblemError) as refused:
        client.product_update(read.data["id"], {"vendor": "Südlicht"}, if_match=read.etag)

    assert (edited.data["vendor"], refused.value.status, refused.value.code) == (
        "Nordlicht",
        412,
        "precondition_failed",
    )
    with pytest.raises(NotModified):
        client.product_get(read.data["id"], if_none_match=edited.etag)


def test_a_wrong_value_is_pointed_at_in_the_language_asked_for(scene: Scene) -> None:
    client = Client(scene.url, tenant=scene.shop.slug, languages="de")
    client.log_in(scene.email, scene.password)

    with pytest.raises(ProblemError) as refused:
        client.product_create(LAMP | {"vendor": "x" * 300})

    assert (refused.value.status, refused.value.code) == (422, "validation_failed")
    assert refused.value.errors[0]["pointer"] == "/vendor"
    assert refused.value.headers["content-language"] == "de"
    assert refused.value.request_id


def test_what_a_limit_refuses_is_asked_again_when_it_is_time(scene: Scene) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        scene.widen()

    client = Client(scene.url, tenant=scene.narrow.slug, patience=Patience(longest_wait=120, sleep=sleep))
    for _ in range(NARROW + 1):
        assert client.store_products().data["data"] == []

    assert len(waits) == 1
    assert 1 <= waits[0] <= 62


def test_who_will_not_wait_so_long_hears_of_it(scene: Scene) -> None:
    client = Client(scene.url, tenant=scene.narrow.slug, patience=Patience(longest_wait=0))

    with pytest.raises(ProblemError) as refused:
        for _ in range(NARROW + 1):
            client.store_products()

    assert (refused.value.status, refused.value.code) == (429, "quota_exceeded")
    assert refused.value.retry_after


def test_the_storefront_is_read_without_a_token(scene: Scene) -> None:
    client = Client(scene.url, tenant=scene.shop.slug)

    rows = list(client.each(client.store_products(limit=2)))
    shown = client.store_product(rows[0]["handle"])

    assert len(rows) == PUBLISHED
    assert shown.data["variants"][0]["prices"][0]["amount"] == "19.90"
    with pytest.raises(NotModified):
        client.store_product(rows[0]["handle"], if_none_match=shown.etag)


def test_a_file_is_sent_once_and_sent_back_as_it_is(client: Client) -> None:
    form: Any = {"file": ("Prices €.pdf", b"%PDF-1.4 lamps", "application/pdf"), "folder": "lists", "alt": None}
    first = client.asset_upload(form, idempotency_key="a-file")
    again = client.asset_upload(form, idempotency_key="a-file")

    assert (first.status, first.data["kind"], first.data["name"]) == (201, "document", "Prices €.pdf")
    assert (again.is_replayed, again.data) == (True, first.data)
    with pytest.raises(ProblemError) as refused:
        client.asset_upload({"file": ("a.svg", b"<svg/>", "image/svg+xml")})
    assert refused.value.code == "upload_refused"
