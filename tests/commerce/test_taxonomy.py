"""The category tree and collections."""

from __future__ import annotations

import uuid

import pytest

from apps.commerce import errors, models, queries, services
from apps.kernel import validation
from apps.kernel.errors import ValidationFailed
from tests.commerce import making
from tests.commerce.making import make_category, make_collection, make_product, update_category

pytestmark = pytest.mark.usefixtures("at_work")


def _places() -> dict[str, tuple[str | None, int, int]]:
    names = dict(models.CategoryTranslation.objects.values_list("category_id", "name"))
    return {
        names[row.id]: (names.get(row.parent_id) if row.parent_id else None, row.depth, row.position)
        for row in models.Category.objects.all()
    }


def test_depth_and_position_are_kept_by_the_service() -> None:
    shoes = make_category("Shoes")
    red = make_category("Red", shoes)
    make_category("Blue", shoes)
    make_category("Dark Red", red)
    make_category("Green", shoes, position=0)

    assert _places() == {
        "Shoes": (None, 0, 0),
        "Red": ("Shoes", 1, 1),
        "Blue": ("Shoes", 1, 2),
        "Dark Red": ("Red", 2, 0),
        "Green": ("Shoes", 1, 0),
    }


def test_a_move_takes_everything_below_along_and_tells_it() -> None:
    top, other = make_category("Top"), make_category("Other")
    middle = make_category("Middle", top)
    leaf = make_category("Leaf", middle)

    update_category(middle, parent_id=None)
    update_category(middle, parent_id=other.id)

    assert _places()["Leaf"] == ("Middle", 2, 0)
    assert [data["depth"] for _, data in making.events(leaf.id)] == [2, 1, 2]
    assert [(data["depth"], data["parent_id"]) for _, data in making.events(middle.id)] == [
        (1, str(top.id)),
        (0, None),
        (1, str(other.id)),
    ]


def test_a_category_does_not_lie_below_itself() -> None:
    top = make_category("Top")
    leaf = make_category("Leaf", make_category("Middle", top))

    for parent in (top, leaf):
        with pytest.raises(errors.CategoryCycle):
            update_category(top, parent_id=parent.id)
    with pytest.raises(errors.CategoryNotFound):
        update_category(top, parent_id=uuid.uuid4())


def test_the_tree_has_a_bound() -> None:
    parent = make_category("0")
    for number in range(1, models.taxonomy.MAXIMUM_DEPTH + 1):
        parent = make_category(str(number), parent)

    with pytest.raises(errors.CategoryTooDeep) as refused:
        make_category("too deep", parent)
    assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [
        ("/parent_id", "depth_too_large")
    ]
    with pytest.raises(errors.CategoryTooDeep):
        update_category(models.Category.objects.get(depth=0), parent_id=make_category("above").id)


def test_an_update_that_changes_nothing_writes_nothing() -> None:
    category = make_category("Shoes")

    update_category(
        category, is_active=True, position=0, parent_id=None, translations=[{"locale": "en", "name": "Shoes"}]
    )

    assert making.event_names(category.id) == ["category.created"]


def test_translations_are_replaced_and_keep_their_handle() -> None:
    category = make_category("Shoes")

    update_category(
        category,
        translations=[{"locale": "en", "name": "Footwear"}, {"locale": "de", "name": "Schuhe"}],
        is_active=False,
    )
    update_category(category, translations=[{"locale": "de", "name": "Schuhe", "handle": "schuhe-neu"}])

    state = making.events(category.id)[-1][1]
    assert [(row["locale"], row["handle"]) for row in state["translations"]] == [("de", "schuhe-neu")]
    assert making.events(category.id)[1][1]["translations"][1]["handle"] == "shoes"
    assert state["is_active"] is False
    with pytest.raises(ValidationFailed):
        update_category(category, translations=[])


def test_handles_of_categories_are_numbered_or_refused() -> None:
    shoes = make_category("Shoes")
    below = make_category("Shoes", shoes)

    assert queries.get_category(category_id=below.id).translations.get().handle == "shoes-2"
    with pytest.raises(errors.DuplicateHandle):
        make_category("x", translations=[{"locale": "en", "name": "x", "handle": "shoes"}])
    with pytest.raises(errors.DuplicateHandle):
        update_category(below, translations=[{"locale": "en", "name": "x", "handle": "shoes"}])


def test_a_category_with_children_stays() -> None:
    top = make_category("Top")
    leaf = make_category("Leaf", top)
    product = make_product(making.product_fields(category_ids=[leaf.id]))

    with pytest.raises(errors.CategoryHasChildren):
        services.delete_category(category_id=top.id)
    services.delete_category(category_id=leaf.id)

    assert making.event_names(leaf.id)[-1] == "category.deleted"
    assert queries.get_product(product_id=product.id).category_ids == []
    with pytest.raises(errors.CategoryNotFound):
        queries.get_category(category_id=leaf.id)


def test_a_path_is_made_once() -> None:
    first = services.find_or_create_path(names=["Home", "Decor", "Clocks"], locale="en")
    again = services.find_or_create_path(names=["Home", "Decor", "Clocks"], locale="en")
    other = services.find_or_create_path(names=["Garden", "Decor"], locale="en")

    assert first == again != other
    assert models.Category.objects.count() == 5
    with pytest.raises(ValidationFailed):
        services.find_or_create_path(names=[], locale="en")
    with pytest.raises(ValidationFailed):
        services.find_or_create_path(names=["x" * 300], locale="en")


def test_a_collection_holds_products_in_an_order() -> None:
    collection = make_collection()
    first, second = make_product(), make_product()

    for product in (first, second, first):
        services.add_to_collection(collection_id=collection.id, product_id=product.id)
    services.add_to_collection(collection_id=collection.id, product_id=first.id, position=9)
    services.remove_from_collection(collection_id=collection.id, product_id=second.id)

    placed = queries.get_collection(collection_id=collection.id).products.all()
    assert [(row.product_id, row.position) for row in placed] == [(first.id, 9)]
    assert making.events(collection.id)[1:] == [
        ("collection.product_added", {"product_id": str(first.id), "position": 0}),
        ("collection.product_added", {"product_id": str(second.id), "position": 1}),
        ("collection.product_added", {"product_id": str(first.id), "position": 9}),
        ("collection.product_removed", {"product_id": str(second.id)}),
    ]


def test_a_collection_is_named_and_deleted() -> None:
    collection = make_collection("Summer")
    make_collection("Winter")

    def rename(*translations: dict[str, str]) -> None:
        changes = validation.parse(services.CollectionInput, {"translations": list(translations)})
        services.update_collection(collection_id=collection.id, changes=changes)

    rename({"locale": "en", "title": "Summer"})
    rename({"locale": "en", "title": "Sun"}, {"locale": "de", "title": "Sonne"})
    with pytest.raises(errors.DuplicateHandle):
        rename({"locale": "en", "title": "Sun", "handle": "winter"})
    services.delete_collection(collection_id=collection.id)

    names = making.event_names(collection.id)
    assert names == ["collection.created", "collection.updated", "collection.deleted"]
    handles = [row["handle"] for row in making.events(collection.id)[1][1]["translations"]]
    assert handles == ["sonne", "summer"]


def test_what_is_not_there_is_named() -> None:
    collection, product = make_collection(), make_product()

    with pytest.raises(errors.CollectionNotFound):
        services.delete_collection(collection_id=uuid.uuid4())
    with pytest.raises(errors.CollectionNotFound):
        queries.get_collection(collection_id=uuid.uuid4())
    with pytest.raises(errors.ProductNotFound):
        services.add_to_collection(collection_id=collection.id, product_id=uuid.uuid4())
    with pytest.raises(errors.ProductNotFound):
        services.remove_from_collection(collection_id=collection.id, product_id=product.id)
