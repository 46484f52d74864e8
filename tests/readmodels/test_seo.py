"""What search engines are told: the page's own words, else what the page says."""

from __future__ import annotations

from typing import Any

import pytest

from apps.commerce import services as commerce
from apps.kernel import errors, ids, validation
from apps.tenants import custom_fields
from tests.content.making import make_category, update, update_category
from tests.readmodels.conftest import Get, make_node, make_product

ASSET = ids.new_id()


def seo_of(get: Get, path: str, **asked: Any) -> Any:
    return get(path, **asked).json()["seo"]


def test_what_nobody_said_is_taken_from_the_page(get: Get) -> None:
    long = "word " * 60
    make_node("Hello", translations=[{"locale": "en", "title": "Hello", "excerpt": long}])
    make_product(
        "Mug",
        translations=[{"locale": "en", "title": "Mug", "description": "<p>Holds <b>350 ml</b></p>"}],
        images=[{"url": "https://images.example.com/mug.jpg"}],
    )

    post, mug = seo_of(get, "content/post/hello"), seo_of(get, "products/mug")

    assert post == {
        "title": "Hello",
        "description": f"{('word ' * 32).strip()}…",
        "canonical_url": None,
        "noindex": False,
        "image_id": None,
        "image_url": None,
    }
    assert len(post["description"]) <= 160
    assert (mug["title"], mug["description"]) == ("Mug", "Holds 350 ml")
    assert mug["image_url"] == "https://images.example.com/mug.jpg"


def test_own_words_win_in_their_language(get: Get) -> None:
    titles = [{"locale": "en", "title": "Care", "excerpt": "Wash it."}, {"locale": "de", "title": "Pflege"}]
    own = {
        "en": {"title": "How to care", "canonical_url": "https://elsewhere.example/care", "image_id": str(ASSET)},
        "de": {"description": "Waschen.", "noindex": True},
    }
    make_node("Care", translations=titles, seo=own)

    en, de = seo_of(get, "content/post/care"), seo_of(get, "content/post/care", locale="de")

    assert (en["title"], en["description"], en["canonical_url"], en["noindex"], en["image_id"]) == (
        "How to care", "Wash it.", "https://elsewhere.example/care", False, ids.encode("asset", ASSET),
    )  # fmt: skip
    assert (de["title"], de["description"], de["canonical_url"], de["noindex"]) == ("Pflege", "Waschen.", None, True)


def test_products_keep_their_meta_fields_and_take_the_new_ones_before_them(get: Get) -> None:
    translations = [{"locale": "en", "title": "Mug", "meta_title": "A mug", "meta_description": "Of enamel"}]
    mug = make_product("Mug", translations=translations)
    assert seo_of(get, "products/mug")["title"] == "A mug"

    changes = validation.parse(commerce.ProductChanges, {"seo": {"en": {"title": "The mug"}}})
    commerce.update_product(product_id=mug.id, changes=changes)
    commerce.update_product(product_id=mug.id, changes=changes)

    found = seo_of(get, "products/mug")
    assert (found["title"], found["description"]) == ("The mug", "Of enamel")


def test_seo_changes_only_where_something_differs(get: Get) -> None:
    node = make_node("Hello", seo={"en": {"title": "A"}, "de": {}})
    version = get("content/post/hello").json()["version"]

    update(node, seo={"en": {"title": "A"}})
    assert get("content/post/hello").json()["version"] == version
    update(node, seo={})

    assert get("content/post/hello").json()["seo"]["title"] == "Hello"


@pytest.mark.parametrize(
    ("seo", "pointer", "code"),
    [
        ({"fr": {"title": "A"}}, "/seo/fr", "locale_not_enabled"),
        ({"en": {"canonical_url": "/care"}}, "/seo/en/canonical_url", "invalid_url"),
        ({"en": {"canonical_url": "javascript:x"}}, "/seo/en/canonical_url", "invalid_url"),
        ({"en": {"index": False}}, "/seo/en/index", "extra_forbidden"),
        ({"en": {"image_id": "prod_01h455vb4pex5vsknk084sn02q"}}, "/seo/en/image_id", "invalid_id"),
    ],
)
def test_a_wrong_word_is_pointed_at(get: Get, seo: Any, pointer: str, code: str) -> None:
    for make in (make_node, make_product):
        with pytest.raises(errors.ValidationFailed) as refused:
            make("A", seo=seo)
        assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [(pointer, code)]


def test_fields_of_the_tenant_are_in_the_document(get: Get) -> None:
    definition = {"type": "object", "properties": {"minutes": {"type": "integer"}}}
    custom_fields.set_schema(subject="node", name="post", definition=definition)
    custom_fields.set_schema(subject="product", name="Mug", definition=definition)
    make_node("Hello", fields={"minutes": 3})
    make_product("Mug", product_type="Mug", fields={"minutes": 4})

    assert get("content/post/hello").json()["fields"] == {"minutes": 3}
    assert get("products/mug").json()["fields"] == {"minutes": 4}


def test_categories_and_collections_are_told_of_too(get: Get) -> None:
    seo = {"en": {"title": "All mugs", "noindex": True}}
    named = {"translations": [{"locale": "en", "name": "Mugs", "description": "<p>Of <b>enamel</b></p>"}]}
    mugs = commerce.create_category(new=validation.parse(commerce.NewCategory, named | {"seo": seo}))
    summer = {"translations": [{"locale": "en", "title": "Summer"}]}
    commerce.create_collection(new=validation.parse(commerce.CollectionInput, summer | {"seo": seo}))
    news = make_category("News", seo=seo)

    found = {row["name"]: row["seo"] for row in get("categories").json()["data"]}

    assert {name: (words["title"], words["noindex"]) for name, words in found.items()} == {
        "Mugs": ("All mugs", True), "Summer": ("All mugs", True), "News": ("All mugs", True),
    }  # fmt: skip
    assert found["Mugs"]["description"] == "Of enamel"

    commerce.update_category(category_id=mugs.id, changes=commerce.CategoryChanges(seo={}))
    update_category(news, seo={})

    again = {row["name"]: row["seo"]["title"] for row in get("categories").json()["data"]}
    assert again == {"Mugs": "Mugs", "Summer": "All mugs", "News": "News"}


def test_what_is_not_given_of_a_category_stays(get: Get) -> None:
    seo = {"en": {"title": "All news"}}
    news = make_category("News", seo=seo)
    mugs = commerce.create_category(
        new=validation.parse(commerce.NewCategory, {"translations": [{"locale": "en", "name": "Mugs"}], "seo": seo})
    )

    update_category(news, translations=[{"locale": "en", "name": "Old news"}])
    commerce.update_category(category_id=mugs.id, changes=commerce.CategoryChanges(is_active=True, position=1))

    assert {row["seo"]["title"] for row in get("categories").json()["data"]} == {"All news"}
