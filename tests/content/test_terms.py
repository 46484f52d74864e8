"""Categories and tags."""

from __future__ import annotations

from typing import Any

import pytest

from apps.content import models, queries, services
from apps.kernel import errors, ids, validation
from tests.content import making
from tests.content.making import make_category, make_node, make_tag, recorded, types_of, update_category

pytestmark = pytest.mark.usefixtures("at_work")


def place(category: models.Category) -> tuple[Any, int, int]:
    making.check_deferred_constraints()
    fresh = models.Category.objects.get(id=category.id)
    return fresh.parent_id, fresh.position, fresh.depth


def test_a_category_has_its_whole_state_in_its_events() -> None:
    parent = make_category("World")

    category = make_category(
        parent_id=parent.id,
        translations=[{"locale": "de", "name": "Nachrichten"}, {"locale": "en", "name": "News", "description": "x"}],
    )
    update_category(category, translations=[{"locale": "en", "slug": "latest"}])

    created, updated = recorded(category.id)
    assert created == (
        "category.created",
        {
            "taxonomy": "category",
            "parent_id": str(parent.id),
            "position": 0,
            "depth": 1,
            "translations": [
                {"locale": "de", "name": "Nachrichten", "slug": "nachrichten", "description": ""},
                {"locale": "en", "name": "News", "slug": "news", "description": "x"},
            ],
        },
    )
    assert updated[0] == "category.updated"
    assert [entry["slug"] for entry in updated[1]["translations"]] == ["nachrichten", "latest"]


def test_a_change_without_a_difference_writes_nothing() -> None:
    category, tag = make_category(), make_tag()
    before = making.event_count()

    update_category(category, translations=[{"locale": "en", "name": "News", "slug": "news"}], position=0)
    changes = validation.parse(services.TagChanges, {"translations": [{"locale": "en", "name": "red"}]})
    services.update_tag(tag_id=tag.id, changes=changes)

    assert making.event_count() == before


def test_slugs_are_unique_in_their_taxonomy_and_locale() -> None:
    make_category("News")

    assert make_category("News").translations.get().slug == "news-2"
    assert make_category("News", taxonomy="genre").translations.get().slug == "news"
    with pytest.raises(services.SlugTaken, match='"news" is taken in category en'):
        make_category(translations=[{"locale": "en", "name": "x", "slug": "news"}])
    make_tag("red")
    assert make_tag("red").translations.get().slug == "red-2"
    with pytest.raises(services.SlugTaken):
        make_tag(translations=[{"locale": "en", "name": "x", "slug": "red"}])


def test_categories_move_with_their_branch_and_never_in_circles() -> None:
    top = make_category("Top")
    child = make_category("Child", parent_id=top.id)
    leaf = make_category("Leaf", parent_id=child.id)

    with pytest.raises(services.TreeCycle, match=r'"Top".*"Leaf"'):
        update_category(top, parent_id=leaf.id)
    update_category(child, parent_id=None, position=0)

    assert place(child) == (None, 0, 0)
    assert place(leaf) == (child.id, 0, 1)
    assert place(top) == (None, 1, 0)
    assert types_of(leaf.id) == types_of(top.id) == ["category.created", "category.updated"]
    other = make_category("Other", taxonomy="genre")
    with pytest.raises(errors.ValidationFailed, match='in the taxonomy "genre"'):
        update_category(child, parent_id=other.id)
    with pytest.raises(errors.ValidationFailed, match="there is no cat_"):
        update_category(child, parent_id=ids.new_id())


def test_a_category_at_a_position_is_there() -> None:
    first = make_category("First")

    newest = make_category("Newest", position=0)

    assert place(newest) == (None, 0, 0)
    assert place(first) == (None, 1, 0)


def test_deleting_a_category_moves_its_children_up_and_takes_its_nodes_out() -> None:
    top = make_category("Top")
    doomed = make_category("Doomed", parent_id=top.id)
    child = make_category("Child", parent_id=doomed.id)
    leaf = make_category("Leaf", parent_id=child.id)
    kept = make_category("Kept")
    node = make_node(category_ids=[doomed.id, kept.id])

    services.delete_category(category_id=doomed.id)

    assert place(child) == (top.id, 1, 1)
    assert place(leaf) == (child.id, 0, 2)
    assert types_of(doomed.id) == ["category.created", "category.deleted"]
    assert types_of(child.id) == types_of(leaf.id) == ["category.created", "category.updated"]
    assert recorded(node.id)[-1][0] == "node.updated"
    assert recorded(node.id)[-1][1]["category_ids"] == [str(kept.id)]
    with pytest.raises(services.CategoryNotFound):
        services.delete_category(category_id=doomed.id)
    with pytest.raises(services.CategoryNotFound):
        queries.get_category(category_id=doomed.id)


def test_deleting_a_tag_detaches_it_first() -> None:
    tag = make_tag()
    node = make_node(tag_ids=[tag.id])

    services.delete_tag(tag_id=tag.id)

    assert recorded(node.id)[-1] == ("tag.detached", {"tag_id": str(tag.id)})
    assert types_of(tag.id) == ["tag.created", "tag.deleted"]
    with pytest.raises(services.TagNotFound):
        services.delete_tag(tag_id=tag.id)
    with pytest.raises(services.TagNotFound):
        queries.get_tag(tag_id=tag.id)


def test_tags_are_changed_per_locale() -> None:
    tag = make_tag()
    translations = [{"locale": "de", "name": "rot"}, {"locale": "en", "name": "crimson"}]
    changes = validation.parse(services.TagChanges, {"translations": translations})

    services.update_tag(tag_id=tag.id, changes=changes)

    assert recorded(tag.id)[-1] == (
        "tag.updated",
        {
            "translations": [
                {"locale": "de", "name": "rot", "slug": "rot", "description": ""},
                {"locale": "en", "name": "crimson", "slug": "red", "description": ""},
            ]
        },
    )
    with pytest.raises(services.LocaleNotEnabled, match='"fr"'):
        make_tag(translations=[{"locale": "fr", "name": "rouge"}])
    with pytest.raises(errors.ValidationFailed, match="needs a name"):
        update_category(make_category(), translations=[{"locale": "de", "slug": "x"}])
