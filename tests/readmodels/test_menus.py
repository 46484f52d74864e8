"""Menus of the storefront: titles and names follow what items lead to, and what is not public is left out."""

from __future__ import annotations

from typing import Any

import pytest

from apps.commerce import services as commerce
from apps.consumers import status
from apps.content import services as content
from apps.kernel import validation
from apps.tenants import services as tenants
from apps.tenants.models import Tenant
from rustok.testing.asserting import assert_same_queries
from tests.commerce import making as shop
from tests.content.making import make_category, make_menu, make_tag, update
from tests.readmodels.conftest import Get, make_node, make_product


def lead(kind: str, thing: Any, **fields: Any) -> dict[str, Any]:
    return {"target": {"type": kind, "id": str(thing.id)}, **fields}


def shown(answer: Any) -> list[tuple[str, str | None]]:
    """Titles and where they lead."""
    assert answer.status_code == 200, answer.content
    return [(item["title"], item["target"] and item["target"]["slug"]) for item in answer.json()["items"]]


def make_collection() -> Any:
    new = validation.parse(commerce.CollectionInput, {"translations": [{"locale": "en", "title": "Summer"}]})
    return commerce.create_collection(new=new)


def test_all_kinds_of_targets_are_shown_by_their_names(get: Get) -> None:
    product = make_product("Red shoes").product
    items = [
        lead("node", make_node("About us", kind="page")),
        lead("product", product),
        lead("category", shop.make_category("Shoes")),
        lead("collection", make_collection()),
        lead("content_category", make_category("News")),
        lead("tag", make_tag("linen")),
        {"titles": {"en": "Elsewhere"}, "url": "https://example.com/"},
        {"titles": {"en": "More"}, "children": [{"titles": {"en": "Mail"}, "url": "mailto:us@example.com"}]},
    ]
    menu = make_menu(location="footer", items=items)

    answer = get("menus/footer")

    assert shown(answer) == [
        ("About us", "about-us"), ("Red shoes", "red-shoes"), ("Shoes", "shoes"), ("Summer", "summer"),
        ("News", "news"), ("linen", "linen"), ("Elsewhere", None), ("More", None),
    ]  # fmt: skip
    first, *_, last = answer.json()["items"]
    assert (first["target"]["kind"], first["target"]["id"][:5]) == ("page", "node_")
    assert [item["target"]["path"] for item in answer.json()["items"][:3]] == [
        "/en/about-us", "/en/products/red-shoes", "/en/categories/shoes",
    ]  # fmt: skip
    assert last["children"][0]["url"] == "mailto:us@example.com"
    assert get(f"menus/{answer.json()['id']}").json() == answer.json()
    assert status.verify() == []
    assert menu.location == "footer"


def test_titles_are_the_items_own_else_those_of_the_target_in_each_language(get: Get) -> None:
    both = make_node("Care", translations=[{"locale": "en", "title": "Care"}, {"locale": "de", "title": "Pflege"}])
    make_menu(
        location="header",
        items=[lead("node", both), lead("node", both, titles={"en": "Look after it"}), {"titles": {"en": "Only"}}],
    )

    assert shown(get("menus/header")) == [("Care", "care"), ("Look after it", "care"), ("Only", None)]
    assert shown(get("menus/header", locale="de")) == [("Pflege", "pflege"), ("Pflege", "pflege"), ("Only", None)]


def test_what_is_not_public_is_left_out_with_what_is_below_it_and_comes_back(get: Get) -> None:
    draft = make_node("Draft", publish=False)
    gone = make_node("Gone")
    make_menu(
        location="header",
        items=[
            lead("node", draft, titles={"en": "Soon"}, children=[{"titles": {"en": "Below"}}]),
            lead("node", gone),
            lead("product", make_product("Hidden", status="draft").product),
            {"titles": {"en": "Stays"}},
        ],
    )
    content.delete_node(node_id=gone.id)

    assert shown(get("menus/header")) == [("Stays", None)]

    content.publish_node(node_id=draft.id, now=draft.created_at)
    update(draft, translations=[{"locale": "en", "slug": "ready"}])

    [soon, _] = get("menus/header").json()["items"]
    assert (soon["title"], soon["target"]["slug"], soon["target"]["title"]) == ("Soon", "ready", "Draft")
    assert [child["title"] for child in soon["children"]] == ["Below"]


def test_products_are_left_out_where_there_is_no_shop(get: Get, tenant: Tenant) -> None:
    make_menu(location="header", items=[lead("product", make_product().product), {"titles": {"en": "Stays"}}])
    for slug in ("inventory", "commerce"):
        tenants.choose_module(tenant=tenant, slug=slug, choice=tenants.ModuleChoice(enabled=False))

    assert shown(get("menus/header")) == [("Stays", None)]


def test_the_same_menu_is_not_sent_twice_and_a_changed_target_changes_it(get: Get) -> None:
    page = make_node("About")
    make_menu(location="header", items=[lead("node", page)])
    known = {"If-None-Match": get("menus/header")["ETag"]}

    assert get("menus/header", headers=known).status_code == 304
    update(page, translations=[{"locale": "en", "title": "About us"}])
    assert shown(get("menus/header", headers=known)) == [("About us", "about")]


@pytest.mark.parametrize("address", ["header", "attic", "menu_01h455vb4pex5vsknk084sn02q"])
def test_a_menu_that_is_nowhere_is_not_found(get: Get, address: str) -> None:
    make_menu(location=None)

    assert get(f"menus/{address}").json()["code"] == "menu_not_found"


def test_a_large_menu_takes_as_many_queries_as_a_small_one(get: Get) -> None:
    def items(count: int) -> list[dict[str, Any]]:
        return [
            lead(*each)
            for number in range(count)
            for each in (
                ("node", make_node(f"Node {number}")),
                ("product", make_product(f"Product {number}").product),
                ("tag", make_tag(f"Tag {number}")),
            )
        ]

    make_menu("Small", location="header", items=items(1))
    make_menu("Large", location="footer", items=items(7))

    get("menus/header")
    assert_same_queries(lambda: get("menus/header"), lambda: get("menus/footer"))
