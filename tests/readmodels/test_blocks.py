"""Blocks as a storefront reads them: Markdown as HTML, products as they are now, and old bodies as they were."""

from __future__ import annotations

from typing import Any

from apps.commerce import services as commerce
from apps.content.services import bodies
from apps.kernel import ids, validation
from rustok.testing.asserting import assert_same_queries
from tests.readmodels.conftest import NOW, Get, make_node, make_product


def write(*blocks: dict[str, Any], title: str = "Page") -> Any:
    return make_node(title, kind="page", bodies=[{"locale": "en", "format": "json", "body": list(blocks)}])


def read(get: Get, slug: str = "page") -> Any:
    return get(f"content/page/{slug}").json()["body"]["blocks"]


def titles(block: dict[str, Any]) -> list[str]:
    return [card["title"] for card in block["products"]]


def test_markdown_in_blocks_comes_as_html_and_ids_are_typed(get: Get) -> None:
    asset = ids.new_id()
    write(
        {"type": "text", "text": "So **much**"},
        {"type": "faq", "items": [{"question": "Why?", "answer": "*Because*"}]},
        {"type": "image", "picture": {"asset_id": str(asset), "alt": "A kiln"}},
    )

    text, faq, image = read(get)

    assert text["html"] == "<p>So <strong>much</strong></p>\n"
    assert faq["items"][0]["html"] == "<p><em>Because</em></p>\n"
    assert image["picture"]["asset_id"] == ids.encode("asset", asset)


def test_a_grid_has_its_products_in_their_order_without_what_is_not_published(get: Get) -> None:
    red, blue = make_product("Red").product, make_product("Blue").product
    draft = make_product("Draft", status="draft").product
    write({"type": "product_grid", "product_ids": [str(each.id) for each in (blue, draft, red)]})

    [grid] = read(get)
    assert titles(grid) == ["Blue", "Red"]
    assert grid["products"][0]["price_ranges"] == [{"currency": "EUR", "minimum": "19.90", "maximum": "19.90"}]

    commerce.archive_product(product_id=blue.id, now=NOW)
    commerce.publish_product(product_id=draft.id, now=NOW)
    assert titles(read(get)[0]) == ["Draft", "Red"]


def test_a_grid_of_a_collection_follows_it(get: Get) -> None:
    new = validation.parse(commerce.CollectionInput, {"translations": [{"locale": "en", "title": "Summer"}]})
    collection = commerce.create_collection(new=new)
    for position, title in enumerate(("Three", "Two", "One")):
        product = make_product(title).product
        commerce.add_to_collection(collection_id=collection.id, product_id=product.id, position=position)
    write({"type": "product_grid", "collection_id": str(collection.id), "limit": 2})

    assert titles(read(get)[0]) == ["Three", "Two"]


def test_lists_and_search_have_the_products_too_at_the_same_number_of_queries(get: Get) -> None:
    for number in range(3):
        product = make_product(f"Walnut {number}").product
        write({"type": "product_grid", "title": "Oak", "product_ids": [str(product.id)]}, title=f"Page {number}")

    assert [titles(row["body"]["blocks"][0]) for row in get("content/page").json()["data"]] == [
        ["Walnut 2"], ["Walnut 1"], ["Walnut 0"],
    ]  # fmt: skip
    assert_same_queries(lambda: get("content/page", limit=1), lambda: get("content/page", limit=3))
    found = get("search", q="oak", type="content").json()["data"]
    assert {titles(hit["document"]["body"]["blocks"][0])[0] for hit in found} == {"Walnut 0", "Walnut 1", "Walnut 2"}


def test_a_body_from_before_there_were_types_is_read_as_it_was(get: Get, monkeypatch: Any) -> None:
    old = (
        '[{"type":"paragraph","data":{"text":"Ahoy"}},{"type":"product_grid","product_ids":["x",3],"limit":"all"},'
        '{"type":"product_grid"},"odd",{"type":"faq","items":[1]},{"type":"text"},{"asset_id":7}]'
    )
    monkeypatch.setattr(bodies, "stored", lambda body, *, pointer: old)
    write()

    paragraph, grid, bare, *others = read(get)

    assert paragraph == {"type": "paragraph", "data": {"text": "Ahoy"}}
    assert (grid, bare["products"]) == (
        {"type": "product_grid", "product_ids": ["x", 3], "limit": "all", "products": []}, [],
    )  # fmt: skip
    assert others == ["odd", {"type": "faq", "items": [1]}, {"type": "text"}, {"asset_id": 7}]
    assert get("search", q="ahoy").json()["data"][0]["document"]["slug"] == "page"
