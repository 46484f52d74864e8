"""Menus: trees written as a whole, moved by item, held to their bounds."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.content import models, services
from apps.kernel import errors, ids, validation
from tests.content.making import event_count, make_category, make_menu, make_node, recorded, types_of

pytestmark = pytest.mark.usefixtures("at_work")


def update(menu: models.Menu, **fields: Any) -> models.Menu:
    return services.update_menu(menu_id=menu.id, changes=validation.parse(services.MenuChanges, fields))


def move(menu: models.Menu, item: str, **fields: Any) -> models.Menu:
    return services.move_menu_item(
        menu_id=menu.id, move=validation.parse(services.MenuItemMove, {"item_id": ids_of(menu)[item], **fields})
    )


def ids_of(menu: models.Menu) -> dict[str, str]:
    """The id of each item, by its English title."""

    def walk(items: list[dict[str, Any]]) -> Any:
        for item in items:
            yield item["titles"]["en"], item["id"]
            yield from walk(item["children"])

    return dict(walk(menu.items))


def outline(menu: models.Menu) -> Any:
    """Titles only, with those below them."""

    def of(items: list[dict[str, Any]]) -> Any:
        return [
            (item["titles"]["en"], of(item["children"])) if item["children"] else item["titles"]["en"] for item in items
        ]

    return of(models.Menu.objects.get(id=menu.id).items)


def heading(title: str, *children: dict[str, Any]) -> dict[str, Any]:
    return {"titles": {"en": title}, "children": list(children)}


def test_a_menu_is_recorded_whole() -> None:
    page = make_node("About")
    product = ids.new_id()

    menu = make_menu(
        "Main",
        location="header",
        items=[
            {"titles": {"en": "Us", "de": "Wir"}, "target": {"type": "node", "id": ids.encode("node", page.id)}},
            {"target": {"type": "product", "id": ids.encode("prod", product)}, "icon": "star"},
            {"titles": {"en": "Elsewhere"}, "url": "https://example.com/", "children": [heading("Below")]},
        ],
    )

    [(kind, data)] = recorded(menu.id)
    assert kind == "menu.created"
    assert (data["name"], data["location"]) == ("Main", "header")
    assert [item["target"] for item in data["items"]] == [
        {"type": "node", "id": str(page.id)},
        {"type": "product", "id": str(product)},
        None,
    ]
    assert data["items"] == models.Menu.objects.get().items
    assert data["items"][2]["children"][0]["titles"] == {"en": "Below"}


def test_replacing_the_tree_keeps_the_ids_that_are_sent_and_nothing_happens_where_nothing_differs() -> None:
    menu = make_menu(items=[heading("One"), heading("Two")])
    one = ids_of(menu)["One"]

    update(menu, items=[heading("New"), heading("One") | {"id": one}])
    count = event_count()
    update(menu, name=menu.name, items=models.Menu.objects.get().items)

    assert outline(menu) == ["New", "One"]
    assert ids_of(models.Menu.objects.get())["One"] == one
    assert event_count() == count
    assert types_of(menu.id) == ["menu.created", "menu.updated"]


def test_an_item_moves_with_all_below_it() -> None:
    menu = make_menu(items=[heading("A", heading("B", heading("C"))), heading("D"), heading("E")])

    move(menu, "B", parent_id=ids_of(menu)["D"])
    assert outline(menu) == ["A", ("D", [("B", ["C"])]), "E"]

    move(menu, "E", position=0)
    assert outline(menu) == ["E", "A", ("D", [("B", ["C"])])]

    assert types_of(menu.id) == ["menu.created", "menu.updated", "menu.updated"]


def test_an_item_does_not_go_below_itself_nor_too_deep_nor_below_nothing() -> None:
    menu = make_menu(
        items=[heading("1", heading("2", heading("3", heading("4", heading("5"))))), heading("X", heading("Y"))]
    )
    places = ids_of(menu)

    with pytest.raises(errors.ValidationFailed, match="5 levels"):
        make_menu(items=[heading("0", *models.Menu.objects.get().items)])
    with pytest.raises(services.TreeCycle):
        move(menu, "1", parent_id=places["3"])
    with pytest.raises(services.TreeTooDeep, match="5 levels"):
        move(menu, "X", parent_id=places["4"])
    with pytest.raises(services.MenuItemNotFound):
        move(menu, "1", parent_id=str(uuid.uuid4()))
    assert types_of(menu.id) == ["menu.created"]


def test_one_menu_is_shown_at_a_location() -> None:
    main = make_menu("Main", location="header")
    other = make_menu("Other")

    with pytest.raises(services.LocationTaken, match='"Main" is shown at "header"'):
        update(other, location="header")
    update(main, location=None)
    update(other, location="header")

    assert dict(models.Menu.objects.values_list("name", "location")) == {"Main": None, "Other": "header"}


def test_two_menus_from_one_place_are_refused() -> None:
    make_menu(external_id="wordpress:1")

    with pytest.raises(services.ExternalIdTaken, match="wordpress:1"):
        make_menu(external_id="wordpress:1")


@pytest.mark.parametrize(
    ("item", "pointer", "code"),
    [
        ({}, "/items/0/titles", "title_missing"),
        ({"url": "https://example.com"}, "/items/0/titles", "title_missing"),
        ({"titles": {"en": "A"}, "url": "javascript:alert(1)"}, "/items/0/url", "invalid_url"),
        ({"titles": {"fr": "A"}}, "/items/0/titles/fr", "locale_not_enabled"),
        ({"titles": {"en": ""}}, "/items/0/titles/en", "string_too_short"),
        (
            {"target": {"type": "page", "id": "node_01h455vb4pex5vsknk084sn02q"}},
            "/items/0/target/type",
            "literal_error",
        ),
        ({"target": {"type": "product", "id": "node_01h455vb4pex5vsknk084sn02q"}}, "/items/0/target/id", "invalid_id"),
        ({"target": {"type": "tag", "id": "tag_01h455vb4pex5vsknk084sn02q"}}, "/items/0/target/id", "unknown_id"),
        ({"titles": {"en": "A"}, "children": [{"titel": "B"}]}, "/items/0/children/0/titel", "extra_forbidden"),
    ],
)
def test_a_wrong_item_is_pointed_at(item: dict[str, Any], pointer: str, code: str) -> None:
    with pytest.raises(errors.ValidationFailed) as refused:
        make_menu(items=[item])

    assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [(pointer, code)]


def test_an_item_leads_to_one_thing_and_is_there_once() -> None:
    category = make_category()
    target = {"type": "content_category", "id": ids.encode("cat", category.id)}

    with pytest.raises(errors.ValidationFailed, match="target or to a url"):
        make_menu(items=[{"target": target, "url": "/news"}])
    with pytest.raises(errors.ValidationFailed, match="given twice"):
        make_menu(items=[heading("A") | {"id": str(category.id)}, heading("B") | {"id": str(category.id)}])
    with pytest.raises(errors.ValidationFailed, match="500 items"):
        make_menu(items=[heading("A", *[heading(str(number)) for number in range(500)])])


def test_a_menu_with_something_that_is_gone_can_still_be_changed() -> None:
    page = make_node("About")
    menu = make_menu(items=[{"target": {"type": "node", "id": str(page.id)}}])
    services.delete_node(node_id=page.id)

    update(menu, items=[*models.Menu.objects.get().items, heading("More")])

    assert len(models.Menu.objects.get().items) == 2


def test_a_deleted_menu_is_gone() -> None:
    menu = make_menu()

    services.delete_menu(menu_id=menu.id)

    assert types_of(menu.id) == ["menu.created", "menu.deleted"]
    with pytest.raises(services.MenuNotFound):
        services.delete_menu(menu_id=menu.id)
