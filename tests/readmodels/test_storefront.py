"""The storefront shows what is published, of its own tenant, in the right language, and nothing else."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from apps.commerce import services as commerce
from apps.consumers import projections, rebuild, status
from apps.content import services as content
from apps.kernel import validation
from apps.tenants.models import Tenant
from rustok.testing.asserting import assert_same_queries
from tests import factories
from tests.readmodels.conftest import NOW, Get, make_node, make_product


def titles(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [document["title"] for document in answer.json()["data"]]


def follow(client: Any, url: str) -> Any:
    _, _, host, path = url.split("/", 3)
    return client.get(f"/{path}", headers={"host": host}).json()


def test_a_product_travels_the_whole_way(get: Get) -> None:
    make_product(
        "Linen shirt",
        vendor="Nordlicht",
        tags=["summer"],
        options=[{"names": {"en": "Size"}, "values": [{"names": {"en": "S"}}, {"names": {"en": "M"}}]}],
        images=[{"url": "https://images.example.com/shirt.jpg", "alt": "A shirt"}],
        variants=[
            {"sku": "LS-S", "values": ["S"], "prices": [{"currency": "EUR", "amount": "59.00", "compare_at": "79.00"}]},
            {
                "sku": "LS-M",
                "values": ["M"],
                "prices": [{"currency": "EUR", "amount": "61.50"}],
                "stock": [{"quantity": 2}],
            },
        ],
    )

    product = get("products/linen-shirt").json()

    assert product["id"].startswith("prod_")
    assert (product["title"], product["handle"], product["vendor"]) == ("Linen shirt", "linen-shirt", "Nordlicht")
    assert product["options"] == [{"name": "Size", "values": ["S", "M"]}]
    assert [variant["title"] for variant in product["variants"]] == ["S", "M"]
    assert [variant["in_stock"] for variant in product["variants"]] == [False, True]
    assert product["variants"][0]["prices"] == [
        {"currency": "EUR", "amount": "59.00", "amount_minor": 5900, "compare_at": "79.00", "compare_at_minor": 7900}
    ]
    assert product["price_ranges"] == [{"currency": "EUR", "minimum": "59.00", "maximum": "61.50"}]
    assert (product["in_stock"], product["on_sale"]) == (True, True)
    assert product["images"][0]["alt"] == "A shirt"
    assert status.verify() == []


def test_only_what_is_published_is_there(get: Get) -> None:
    make_product("Shown")
    make_product("Draft", status="draft")
    hidden = make_product("Hidden")
    commerce.archive_product(product_id=hidden.product.id, now=NOW)
    make_node("Shown post")
    make_node("Draft post", publish=False)

    assert titles(get("products")) == ["Shown"]
    assert get("products/draft").status_code == 404
    assert get("products/hidden").json()["code"] == "product_not_found"
    assert titles(get("content/post")) == ["Shown post"]
    assert get("content/post/draft-post").json()["code"] == "content_not_found"
    assert [row["document"]["title"] for row in get("search", q="draft").json()["data"]] == []


def test_unpublishing_takes_it_away_and_publishing_brings_it_back(get: Get) -> None:
    product = make_product("Lamp")
    node = make_node("News")
    commerce.unpublish_product(product_id=product.product.id, now=NOW)
    content.unpublish_node(node_id=node.id)
    assert (titles(get("products")), titles(get("content/post"))) == ([], [])

    commerce.publish_product(product_id=product.product.id, now=NOW)
    content.publish_node(node_id=node.id, now=NOW)
    assert (titles(get("products")), titles(get("content/post"))) == (["Lamp"], ["News"])


def test_another_tenants_things_are_not_there(get: Get, tenant: Tenant) -> None:
    make_product("Ours")
    with factories.at_work(factories.make_tenant(currency="EUR")):
        make_product("Theirs")
        make_node("Theirs too")

    assert titles(get("products")) == ["Ours"]
    assert get("products/theirs").status_code == 404
    assert titles(get("content/post")) == []
    assert get("search", q="theirs").json()["data"] == []


def test_stock_and_prices_reach_the_document(get: Get) -> None:
    product = make_product("Mug")
    variant_id = product.variants[0].row.id
    changes = validation.parse(commerce.PriceList, {"prices": [{"currency": "EUR", "amount": "14.50"}]})
    commerce.set_prices(variant_id=variant_id, prices=changes)
    count = validation.parse(commerce.InventoryCount, {"quantity": 0})
    commerce.set_inventory(variant_id=variant_id, count=count, now=NOW)

    document = get("products/mug").json()

    assert document["variants"][0]["prices"][0]["amount"] == "14.50"
    assert document["in_stock"] is False
    assert status.verify() == []


class TestLocales:
    @pytest.fixture(autouse=True)
    def goods(self, tenant: Tenant) -> None:
        both = [{"locale": "en", "title": "Red shoes"}, {"locale": "de", "title": "Rote Schuhe"}]
        make_product(translations=both, at=1)
        make_product("Only English", at=2)
        make_node(translations=both, at=1)

    def test_the_requested_locale_wins_and_the_default_fills_in(self, get: Get) -> None:
        assert titles(get("products", locale="de")) == ["Only English", "Rote Schuhe"]
        assert titles(get("products", locale="en")) == ["Only English", "Red shoes"]
        assert titles(get("content/post", locale="de")) == ["Rote Schuhe"]

    def test_accept_language_is_heard(self, get: Get) -> None:
        answer = get("products", headers={"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"})

        assert titles(answer) == ["Only English", "Rote Schuhe"]
        assert answer["Content-Language"] == "de"
        assert "Accept-Language" in answer["Vary"]

    def test_a_handle_of_the_default_locale_finds_the_translation(self, get: Get) -> None:
        assert get("products/red-shoes", locale="de").json()["title"] == "Rote Schuhe"
        assert get("products/rote-schuhe", locale="de").json()["title"] == "Rote Schuhe"
        assert get("products/rote-schuhe", locale="en").status_code == 404
        assert get("content/post/red-shoes", locale="de").json()["slug"] == "rote-schuhe"

    def test_the_words_of_the_language_are_searched(self, get: Get) -> None:
        assert get("search", q="schuh", locale="de").json()["data"][0]["document"]["title"] == "Rote Schuhe"
        assert get("search", q="shoe", locale="en").json()["data"][0]["document"]["title"] == "Red shoes"
        assert get("search", q="only english", locale="de").json()["data"][0]["document"]["title"] == "Only English"

    def test_an_unknown_locale_is_named(self, get: Get) -> None:
        answer = get("products", locale="xx")

        assert answer.status_code == 422
        assert '"xx" is not enabled here; use one of de, en.' in answer.json()["detail"]


def test_lists_are_walked_by_their_links(get: Get, client: Any) -> None:
    for number in range(5):
        make_product(f"Product {number}", at=number)

    first = get("products", limit=2, count="exact").json()
    second = follow(client, first["next"])
    back = follow(client, second["prev"])

    assert [document["title"] for document in first["data"]] == ["Product 4", "Product 3"]
    assert (first["prev"], first["count"]) == (None, 5)
    assert [document["title"] for document in second["data"]] == ["Product 2", "Product 1"]
    assert back["data"] == first["data"]


def test_the_number_of_queries_does_not_grow_with_the_page(get: Get) -> None:
    category = commerce.create_category(
        new=validation.parse(commerce.NewCategory, {"translations": [{"locale": "en", "name": "Shoes"}]})
    )
    for number in range(12):
        make_product(f"Product {number}", at=number, category_ids=[str(category.id)])
    get("products")
    get_without_drain(get, 1)  # from here on it is known which tenant is meant

    def ask(limit: int) -> None:
        assert len(get_without_drain(get, limit).json()["data"]) == limit

    assert assert_same_queries(lambda: ask(1), lambda: ask(12)) == 2  # the page, and the names of its terms


def get_without_drain(get: Get, limit: int) -> Any:
    from django.test import Client

    from apps.tenants import scope

    return Client().get(f"/api/v1/store/products?limit={limit}", headers={"X-Tenant": scope.current().slug})


def test_categories_filter_and_are_named_in_the_documents(get: Get) -> None:
    parent = commerce.create_category(
        new=validation.parse(commerce.NewCategory, {"translations": [{"locale": "en", "name": "Clothing"}]})
    )
    child = commerce.create_category(
        new=validation.parse(
            commerce.NewCategory,
            {"translations": [{"locale": "en", "name": "Shirts"}], "parent_id": str(parent.id)},
        )
    )
    make_product("Shirt", category_ids=[str(child.id)])
    make_product("Pan")

    assert titles(get("products", category="shirts")) == ["Shirt"]
    assert [entry["name"] for entry in get("products/shirt").json()["categories"]] == ["Shirts"]
    tree = get("categories", type="product").json()["data"]
    assert {entry["name"]: entry["depth"] for entry in tree} == {"Clothing": 0, "Shirts": 1}
    assert [entry["name"] for entry in get("categories", parent="clothing").json()["data"]] == ["Shirts"]
    assert get("products", category="shirt").json()["code"] == "term_not_found"

    renamed = validation.parse(commerce.CategoryChanges, {"translations": [{"locale": "en", "name": "Tops"}]})
    commerce.update_category(category_id=child.id, changes=renamed)
    assert [entry["name"] for entry in get("products/shirt").json()["categories"]] == ["Tops"]


def test_collections_filter_products(get: Get) -> None:
    collection = commerce.create_collection(
        new=validation.parse(commerce.CollectionInput, {"translations": [{"locale": "en", "title": "Summer"}]})
    )
    shirt = make_product("Shirt")
    make_product("Jumper")
    commerce.add_to_collection(collection_id=collection.id, product_id=shirt.product.id)

    assert titles(get("products", collection="summer")) == ["Shirt"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"vendor": "Acme"}, ["Boots"]),
        ({"product_type": "Bag"}, ["Bag"]),
        ({"tag": "new"}, ["Bag", "Boots"]),
        ({"tag": "new", "vendor": "Acme"}, ["Boots"]),
        ({"in_stock": "false"}, ["Bag"]),
        ({"in_stock": "true"}, ["Boots"]),
    ],
)
def test_filters(get: Get, parameters: dict[str, str], expected: list[str]) -> None:
    make_product("Boots", vendor="Acme", tags=["new"], at=1)
    make_product("Bag", product_type="Bag", tags=["new"], variants=[{}], at=2)

    assert titles(get("products", **parameters)) == expected


def test_content_follows_its_tree_terms_and_redirects(get: Get) -> None:
    category = content.create_category(
        new=validation.parse(content.NewCategory, {"translations": [{"locale": "en", "name": "Workshop"}]})
    )
    tag = content.create_tag(new=validation.parse(content.NewTag, {"translations": [{"locale": "en", "name": "Wood"}]}))
    about = make_node("About", kind="page")
    for position, title in enumerate(["Team", "Jobs"]):
        make_node(title, kind="page", parent_id=str(about.id), position=position)
    post = make_node("Planes", category_ids=[str(category.id)], tag_ids=[str(tag.id)])

    assert titles(get("content/page", parent="about")) == ["Team", "Jobs"]
    assert titles(get("content/page", parent="root")) == ["About"]
    assert titles(get("content/post", category="workshop")) == titles(get("content/post", tag="wood")) == ["Planes"]
    document = get("content/post/planes").json()
    assert [entry["name"] for entry in document["categories"]] == ["Workshop"]
    assert [entry["name"] for entry in document["content_tags"]] == ["Wood"]

    changes = validation.parse(content.NodeChanges, {"translations": [{"locale": "en", "slug": "sharp-planes"}]})
    content.update_node(node_id=post.id, changes=changes)
    moved = get("content/post/planes")
    assert moved.status_code == 301
    assert moved["Location"].endswith("/api/v1/store/content/post/sharp-planes")
    assert status.verify() == []


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"format": "markdown", "body": "# Hi <script>x</script>"}, "<h1>Hi</h1>"),
        ({"format": "html", "body": "<p onclick=x>Hi</p><script>x</script>"}, "<p>Hi</p>"),
        ({"format": "plain", "body": "1 < 2"}, "<p>1 &lt; 2</p>"),
    ],
)
def test_bodies_come_as_safe_html(get: Get, body: dict[str, str], shown: str) -> None:
    make_node("Body", bodies=[{"locale": "en", **body}])

    document = get("content/post/body").json()

    assert document["body"]["html"].startswith(shown.removesuffix("</h1>"))
    assert set(document["body"]) == {"format", "html"}  # the source is the editors'
    assert "<script" not in str(document)


def test_blocks_come_as_they_are_and_are_searched(get: Get) -> None:
    make_node("Blocks", bodies=[{"locale": "en", "format": "json", "body": [{"type": "text", "text": "Find walnut"}]}])

    [block] = get("content/post/blocks").json()["body"]["blocks"]
    assert block == {"type": "text", "text": "Find walnut", "html": "<p>Find walnut</p>\n"}
    assert get("search", q="walnut").json()["data"][0]["type"] == "content"


def test_search_ranks_titles_first_and_pages(get: Get, client: Any, tenant: Tenant) -> None:
    make_product("Leather boots")
    make_product("Oil", translations=[{"locale": "en", "title": "Oil", "description": "<p>For leather</p>"}])
    make_node("Caring for leather")

    whole = get("search", q="leather", count="exact").json()
    first = get("search", q="leather", limit=2).json()
    rest = follow(client, first["next"])

    assert whole["count"] == 3
    assert whole["data"][-1]["document"]["title"] == "Oil"
    assert first["data"] + rest["data"] == whole["data"]
    assert rest["next"] is first["prev"] is None
    assert follow(client, rest["prev"])["data"] == first["data"]
    assert {row["type"] for row in get("search", q="leather", type="content").json()["data"]} == {"content"}
    assert get("search", q='"leather boots" -oil').json()["data"][0]["document"]["title"] == "Leather boots"


def test_what_is_found_is_what_is_shown_alone(get: Get) -> None:
    make_product("Leather boots")
    make_node("Caring for leather")

    found = {hit["type"]: hit["document"] for hit in get("search", q="leather").json()["data"]}

    assert found["product"] == get("products/leather-boots").json()
    assert found["content"] == get("content/post/caring-for-leather").json()


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_search_is_walked_to_its_end_and_back(get: Get, client: Any, limit: int) -> None:
    for number in range(5):  # three ranks, and within each the id decides
        make_product(f"Oak {'oak ' * (number % 3)}", at=number)
    whole = get("search", q="oak").json()["data"]

    forwards = [get("search", q="oak", limit=limit).json()]
    while forwards[-1]["next"]:
        forwards.append(follow(client, forwards[-1]["next"]))
    backwards = [forwards[-1]]
    while backwards[-1]["prev"]:
        backwards.append(follow(client, backwards[-1]["prev"]))

    assert [row for page in forwards for row in page["data"]] == whole
    assert [page["data"] for page in reversed(backwards)] == [page["data"] for page in forwards]
    assert [page["next"] is None for page in reversed(backwards)] == [page["next"] is None for page in forwards]


def test_etags_save_the_body(get: Get) -> None:
    make_product("Lamp")
    answer = get("products/lamp")

    assert get("products/lamp", headers={"If-None-Match": answer["ETag"]}).status_code == 304
    make_product("Other")
    assert get("products/lamp", headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert get("products", headers={"If-None-Match": answer["ETag"]}).status_code == 200


@pytest.mark.parametrize(
    ("path", "parameters", "code", "complaint"),
    [
        ("products", {"vndor": "x"}, 422, 'Did you mean "vendor"?'),
        ("products", {"limit": "1000"}, 422, "1 to 100"),
        ("products", {"in_stock": "maybe"}, 422, "send true or false"),
        ("products", {"cursor": "x"}, 422, "not made by this list"),
        ("products/prod_xyz", {}, 404, "not an id of this kind"),
        ("products/nothing", {}, 404, '"nothing"'),
        ("content/post/nothing", {}, 404, '"nothing"'),
        ("content/post", {"parent": "nothing"}, 404, '"nothing"'),
        ("content/post", {"category": "nothing"}, 404, '"nothing"'),
        ("categories", {"type": "x"}, 422, "product, collection, content, tag"),
        ("search", {}, 422, "1 to 200 characters"),
        ("search", {"q": "x" * 201}, 422, "1 to 200 characters"),
        ("search", {"q": "x", "type": "y"}, 422, "product, content"),
        ("search", {"q": "x", "cursor": "y"}, 422, "not made by this search"),
        *(
            ("search", {"q": "x", "cursor": base64.urlsafe_b64encode(cursor).decode()}, 422, "not made by this search")
            for cursor in (
                b'["n","NaN","01890a5d-ac96-774b-bcce-b302099a8057"]',
                b'["n","Infinity","01890a5d-ac96-774b-bcce-b302099a8057"]',
                b'["n",1e999,"01890a5d-ac96-774b-bcce-b302099a8057"]',
                b'["n",null,"01890a5d-ac96-774b-bcce-b302099a8057"]',
                b'["n",true,"01890a5d-ac96-774b-bcce-b302099a8057"]',
                b"[0.5,7]",
                b"[0.5,null]",
                b'[0.5,"01890a5d-ac96-774b-bcce-b302099a8057"]',
                b'["x",0.5,"01890a5d-ac96-774b-bcce-b302099a8057"]',
                b'["n",0.5,7]',
                b"7",
            )
        ),
        ("nothing", {}, 404, "nothing at"),
    ],
)
def test_wrong_requests_are_answered_with_the_name_of_the_problem(
    get: Get, path: str, parameters: dict[str, str], code: int, complaint: str
) -> None:
    answer = get(path, **parameters)

    assert answer.status_code == code
    assert answer["Content-Type"] == "application/problem+json"
    assert complaint in answer.json()["detail"]
    assert answer.json()["request_id"]


def test_a_rebuild_of_everything_answers_the_same_bytes(get: Get) -> None:
    make_product("Lamp")
    make_node("News")
    before = [get(path).content for path in ("products", "content/post", "categories", "search?q=lamp")]

    for projection in projections.all_projections():
        rebuild.rebuild(projection)

    assert [get(path).content for path in ("products", "content/post", "categories", "search?q=lamp")] == before
    assert status.verify() == []
