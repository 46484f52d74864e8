"""Products: made in batches or alone, changed by their differences, published, archived and deleted."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.commerce import errors, models, queries, services, snapshots
from apps.kernel.errors import ValidationFailed
from tests import factories
from tests.commerce import making
from tests.commerce.making import NOW, make_product, new_product, product_fields, sized_fields, update

pytestmark = pytest.mark.usefixtures("at_work")


def test_a_product_is_made_whole_and_its_event_carries_all_of_it() -> None:
    category = making.make_category("Shoes")

    product = make_product(
        product_fields(
            translations=[
                {"locale": "en", "title": "Red Shoes", "description": "<p onclick='x()'>Fine</p><script>x()</script>"},
                {"locale": "de", "title": "Rote Schuhe", "handle": "rote-schuhe"},
            ],
            vendor="Acme",
            tags=["red", "shoe", "Red", ""],
            category_ids=[category.id],
            options=[
                {"names": {"en": "Size", "de": "Größe"}, "values": [{"names": {"en": "M"}}, {"names": {"en": "L"}}]}
            ],
            images=[{"url": "https://img.test/1.jpg", "alt": "front"}, {"url": "https://img.test/2.jpg"}],
            variants=[
                {
                    "sku": "RED-M",
                    "values": ["M"],
                    "image": "https://img.test/2.jpg",
                    "weight_grams": 500,
                    "prices": [
                        {"currency": "EUR", "amount": "19.90", "compare_at": "25"},
                        {"currency": "JPY", "amount": "3000"},
                    ],
                    "stock": [{"quantity": 7, "low_stock_threshold": 2}],
                },
                {"values": ["L"]},
            ],
            external_id="other:1",
            status="published",
        )
    )

    (created, data), published = making.events(product.id)
    assert (created, published[0]) == ("product.created", "product.published")
    assert data["vendor"] == "Acme"
    assert data["tags"] == ["red", "shoe"]
    assert data["category_ids"] == [str(category.id)]
    assert [(row["locale"], row["handle"]) for row in data["translations"]] == [
        ("de", "rote-schuhe"),
        ("en", "red-shoes"),
    ]
    assert data["translations"][1]["description"] == "<p>Fine</p>"
    medium, large = data["variants"]
    size = data["options"][0]
    assert medium["value_ids"] == [size["values"][0]["id"]]
    assert medium["image_id"] == data["images"][1]["id"]
    assert medium["prices"] == [
        {"currency": "EUR", "amount": 1990, "compare_at": 2500},
        {"currency": "JPY", "amount": 3000, "compare_at": None},
    ]
    assert [(row["stocked"], row["reserved"]) for row in medium["stock"]] == [(7, 0)]
    assert (large["sku"], large["prices"], large["stock"]) == (None, [], [])
    assert models.InventoryMovement.objects.get().delta == 7


def test_what_is_stored_is_what_the_event_says() -> None:
    product = make_product(sized_fields("S", "M", "L", images=[{"url": "/a.png"}], metadata={"a": [1, {"b": None}]}))

    stored = queries.get_product(product_id=product.id)

    assert snapshots.product_fields(stored) == snapshots.product_fields(product)
    assert [snapshots.whole_variant(variant) for variant in stored.variants] == [
        snapshots.whole_variant(variant) for variant in product.variants
    ]
    assert stored.product.created_at is not None


def test_a_product_needs_a_variant() -> None:
    with pytest.raises(errors.NoVariants):
        make_product(product_fields(variants=[]))


@pytest.mark.parametrize(
    ("title", "handle"),
    [("Красные туфли", "krasnye-tufli"), ("Nhẫn 1", "nhan-1"), ("赤い靴", "chi-ixue"), ("★", "product")],
)
def test_a_handle_is_made_of_a_title_in_any_script(title: str, handle: str) -> None:
    assert make_product(product_fields(title)).translations["en"].handle == handle


def test_a_derived_handle_gets_a_number_and_a_given_one_is_refused() -> None:
    make_product()

    second, third = make_product(), make_product()
    with pytest.raises(errors.DuplicateHandle) as refused:
        make_product(product_fields(translations=[{"locale": "en", "title": "Other", "handle": "red-shoes"}]))

    assert [second.translations["en"].handle, third.translations["en"].handle] == ["red-shoes-2", "red-shoes-3"]
    assert refused.value.status == 409
    assert refused.value.problems[0].pointer == "/translations/0/handle"


def test_a_handle_may_be_used_again_in_another_locale_and_another_tenant() -> None:
    make_product()

    german = make_product(product_fields(translations=[{"locale": "de", "title": "x", "handle": "red-shoes"}]))
    with factories.at_work(factories.make_tenant()):
        foreign = make_product()

    assert german.translations["de"].handle == foreign.translations["en"].handle == "red-shoes"


def test_a_duplicate_sku_is_rejected_within_a_tenant_only() -> None:
    fields = product_fields(variants=[{"sku": "A-1"}])
    make_product(fields)

    with pytest.raises(errors.DuplicateSku):
        make_product(fields)
    with factories.at_work(factories.make_tenant()):
        make_product(fields)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"translations": [{"locale": "fr", "title": "Rouge"}]}, errors.LocaleNotEnabled),
        ({"translations": [{"locale": "en", "title": "a"}, {"locale": "en", "title": "b"}]}, errors.LocaleNotEnabled),
        ({"category_ids": [str(uuid.uuid4())]}, errors.CategoryNotFound),
        ({"variants": [{"values": ["M"]}]}, errors.UnknownOptionValue),
        ({"variants": [{}, {}]}, errors.DuplicateVariant),
        ({"variants": [{"image": "https://img.test/x.jpg"}]}, errors.UnknownImage),
        ({"variants": [{"stock": [{"location": "mars", "quantity": 1}]}]}, errors.LocationNotFound),
        ({"variants": [{"stock": [{"quantity": 1}, {"quantity": 2}]}]}, ValidationFailed),
        (
            {"variants": [{"prices": [{"currency": "EUR", "amount": "9", "compare_at": "8.99"}]}]},
            errors.InvalidPrice,
        ),
        (
            {"variants": [{"prices": [{"currency": "EUR", "amount": "9"}, {"currency": "EUR", "amount": "8"}]}]},
            errors.InvalidPrice,
        ),
        (
            {"options": [{"names": {"en": "Size"}, "values": [{"names": {"en": "M"}}, {"names": {"en": "M"}}]}]},
            ValidationFailed,
        ),
        ({"options": [{"names": {"fr": "Taille"}, "values": [{"names": {"fr": "M"}}]}]}, errors.LocaleNotEnabled),
    ],
)
def test_a_wrong_product_is_refused_and_leaves_nothing(fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make_product(product_fields(**fields))

    assert not models.Product.objects.exists()
    assert "product.created" not in making.event_names()


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"currency": "EUR", "amount": "19.999"}, "/amount"),
        ({"currency": "JPY", "amount": "19.90"}, "/amount"),
        ({"currency": "EUR", "amount": 19.9}, "/amount"),
        ({"currency": "EUR", "amount": "-1"}, "/amount"),
        ({"currency": "EUR", "amount": "1_000"}, "/amount"),
        ({"currency": "EUR", "amount": "1e3"}, "/amount"),
        ({"currency": "EUR", "amount": "1", "compare_at": "x"}, "/compare_at"),
        ({"currency": "EUX", "amount": "1"}, "/currency"),
    ],
)
def test_a_wrong_price_names_its_field(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make_product(product_fields(variants=[{"prices": [fields]}]))

    assert [problem.pointer for problem in refused.value.problems] == [f"/variants/0/prices/0{pointer}"]


def test_a_batch_takes_what_it_can_and_names_the_rest() -> None:
    make_product(product_fields(variants=[{"sku": "TAKEN"}]))
    batch = [
        product_fields("First", variants=[{"sku": "NEW"}]),
        product_fields("Second", variants=[{"sku": "TAKEN"}]),
        product_fields("Third", variants=[{"sku": "NEW"}]),
        product_fields("Fourth", variants=[]),
        product_fields("First"),
        product_fields("Fifth", external_id="x:1"),
        product_fields("Sixth", external_id="x:1"),
    ]

    outcome = services.create_products(new=[new_product(fields) for fields in batch], now=NOW)

    assert list(outcome.created) == [0, 4, 5]
    assert outcome.created[4].translations["en"].handle == "first-2"
    assert {index: type(failure) for index, failure in outcome.failures.items()} == {
        1: errors.DuplicateSku,
        2: errors.DuplicateSku,
        3: errors.NoVariants,
        6: errors.DuplicateExternalId,
    }
    assert models.Product.objects.count() == 4


def test_the_cost_of_a_batch_does_not_grow_with_it(django_assert_max_num_queries: Any) -> None:
    making.make_variant(quantity=1)
    batch = [
        new_product(
            sized_fields("S", "M", translations=[{"locale": "en", "title": f"P {number}"}], images=[{"url": "/a"}])
        )
        for number in range(40)
    ]

    with django_assert_max_num_queries(20):
        outcome = services.create_products(new=batch, now=NOW)

    assert len(outcome.created) == 40


def test_an_update_changes_what_is_given_only() -> None:
    product = make_product(sized_fields("S", "M", vendor="Acme", tags=["a"]))

    changed = update(product.id, vendor="Other", translations=[{"locale": "en", "title": "Blue Shoes"}])

    stored = queries.get_product(product_id=product.id)
    assert (stored.product.vendor, stored.product.tags) == ("Other", ["a"])
    assert (stored.translations["en"].title, stored.translations["en"].handle) == ("Blue Shoes", "red-shoes")
    assert len(stored.variants) == 2
    name, data = making.events(product.id)[-1]
    assert (name, data["vendor"], data["translations"][0]["title"]) == ("product.updated", "Other", "Blue Shoes")
    assert changed.product.vendor == "Other"


def test_an_update_that_changes_nothing_writes_nothing() -> None:
    fields = sized_fields("S", vendor="Acme", tags=["a"], metadata={"k": 1}, images=[{"url": "/a.png", "alt": "x"}])
    product = make_product(fields)
    before = queries.get_product(product_id=product.id).product.updated_at

    given = {name: fields[name] for name in ("vendor", "tags", "metadata", "images", "options", "translations")}
    update(product.id, **given)

    assert making.event_names(product.id) == ["product.created"]
    assert queries.get_product(product_id=product.id).product.updated_at == before


def test_translations_given_replace_the_stored_ones() -> None:
    product = make_product(product_fields(translations=[{"locale": "en", "title": "Red"}]))

    update(product.id, translations=[{"locale": "en", "title": "Red"}, {"locale": "de", "title": "Rot"}])
    update(product.id, translations=[{"locale": "de", "title": "Rot", "handle": "rot-neu"}])

    stored = queries.get_product(product_id=product.id)
    assert {locale: row.handle for locale, row in stored.translations.items()} == {"de": "rot-neu"}
    with pytest.raises(ValidationFailed):
        update(product.id, translations=[])


def test_an_update_takes_no_handle_of_another_product() -> None:
    make_product()
    other = make_product(product_fields("Blue Shoes"))

    with pytest.raises(errors.DuplicateHandle):
        update(other.id, translations=[{"locale": "en", "title": "Blue", "handle": "red-shoes"}])
    update(other.id, translations=[{"locale": "en", "title": "Blue", "handle": "blue"}])

    assert queries.get_product(product_id=other.id).translations["en"].handle == "blue"


def test_an_option_or_image_that_stays_keeps_its_identity() -> None:
    product = make_product(sized_fields("S", "M", images=[{"url": "/1.png"}, {"url": "/2.png"}]))
    size = product.options[0]

    changed = update(
        product.id,
        options=[
            {"names": {"en": "Colour"}, "values": [{"names": {"en": "Red"}}]},
            {"names": {"en": "Size", "de": "Größe"}, "values": [{"names": {"en": value}} for value in ("M", "S", "L")]},
        ],
        images=[{"url": "/2.png", "alt": "back"}, {"url": "/3.png"}],
    )

    stored = queries.get_product(product_id=product.id)
    assert stored.options[1].row.id == size.row.id
    assert [value.names["en"] for value in stored.options[1].values] == ["M", "S", "L"]
    assert stored.options[1].values[1].row.id == size.values[0].row.id
    assert stored.images[0].id == product.images[1].id
    assert [image.url for image in changed.images] == ["/2.png", "/3.png"]
    assert making.event_names(product.id) == ["product.created", "product.updated"]


def test_options_in_another_order_move_the_values_of_the_variants() -> None:
    options = [
        {"names": {"en": "Size"}, "values": [{"names": {"en": "M"}}]},
        {"names": {"en": "Colour"}, "values": [{"names": {"en": "Red"}}]},
    ]
    product = make_product(product_fields(options=options, variants=[{"values": ["M", "Red"]}]))

    update(product.id, options=options[::-1])

    name, data = making.events(product.id)[-1]
    assert name == "variant.updated"
    assert data["value_ids"] == [str(value_id) for value_id in reversed(product.variants[0].value_ids)]


def test_an_option_value_in_use_stays() -> None:
    product = make_product(sized_fields("S", "M"))

    with pytest.raises(errors.OptionValueInUse):
        update(product.id, options=[{"names": {"en": "Size"}, "values": [{"names": {"en": "S"}}]}])
    with pytest.raises(errors.OptionValueInUse):
        update(product.id, options=[])

    assert making.event_names(product.id) == ["product.created"]


def test_a_variant_loses_an_image_that_goes_and_says_so() -> None:
    product = make_product(product_fields(images=[{"url": "/1.png"}], variants=[making.variant_fields(image="/1.png")]))

    update(product.id, images=[])

    assert making.event_names(product.id) == ["product.created", "product.updated", "variant.updated"]
    assert making.events(product.id)[-1][1]["image_id"] is None
    assert queries.get_product(product_id=product.id).variants[0].row.image_id is None


def test_categories_are_replaced() -> None:
    shoes, red = making.make_category("Shoes"), making.make_category("Red")
    product = make_product(product_fields(category_ids=[shoes.id]))

    update(product.id, category_ids=[red.id])

    assert queries.get_product(product_id=product.id).category_ids == [red.id]
    with pytest.raises(errors.CategoryNotFound):
        update(product.id, category_ids=[uuid.uuid4()])


def test_a_product_goes_through_its_states_with_one_event_each() -> None:
    product = make_product()

    for _ in range(2):
        services.publish_product(product_id=product.id, now=NOW)
    services.archive_product(product_id=product.id, now=NOW)
    services.unpublish_product(product_id=product.id, now=NOW)

    assert making.event_names(product.id) == [
        "product.created",
        "product.published",
        "product.archived",
        "product.unpublished",
    ]
    assert queries.get_product(product_id=product.id).product.published_at is None


def test_a_published_product_is_not_deleted() -> None:
    product = make_product(product_fields(status="published"))

    with pytest.raises(errors.CannotDeletePublished):
        services.delete_product(product_id=product.id)
    services.unpublish_product(product_id=product.id, now=NOW)
    services.delete_product(product_id=product.id)

    assert making.event_names(product.id)[-1] == "product.deleted"
    with pytest.raises(errors.ProductNotFound):
        queries.get_product(product_id=product.id)


def test_deleting_takes_everything_but_the_ledger_along() -> None:
    variant = making.make_variant(quantity=3)

    services.delete_product(product_id=variant.product_id)

    left = [
        model.__name__
        for model in (models.Variant, models.Price, models.InventoryLevel, models.ProductTranslation)
        if model.objects.exists()  # type: ignore[attr-defined]
    ]
    assert left == []
    assert models.InventoryMovement.objects.get().variant_id == variant.id


def test_another_tenants_product_is_not_there() -> None:
    product = make_product()

    with factories.at_work(factories.make_tenant()):
        with pytest.raises(errors.ProductNotFound):
            update(product.id, vendor="Thief")
        with pytest.raises(errors.VariantNotFound):
            services.remove_variant(variant_id=product.variants[0].row.id)
        assert list(queries.list_products()) == []
