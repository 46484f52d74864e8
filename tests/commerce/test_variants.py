"""Variants and prices of a product that exists."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from apps.commerce import errors, models, queries, services
from apps.kernel import validation
from apps.kernel.errors import ValidationFailed
from tests.commerce import making
from tests.commerce.making import NOW, make_product, product_fields, set_prices, sized_fields, update_variant

pytestmark = pytest.mark.usefixtures("at_work")


def _add(product_id: object, **fields: object) -> object:
    new = validation.parse(services.VariantInput, fields)
    return services.add_variant(product_id=product_id, new=new, now=NOW)  # type: ignore[arg-type]


def test_a_variant_is_added_with_prices_and_stock() -> None:
    product = make_product(sized_fields("S", "M", variants=[making.variant_fields(values=["S"])]))

    _add(product.id, values=["M"], sku="M-1", prices=[{"currency": "EUR", "amount": "5"}], stock=[{"quantity": 2}])

    name, data = making.events(product.id)[-1]
    assert (name, data["sku"], data["position"]) == ("variant.created", "M-1", 1)
    assert data["prices"] == [{"currency": "EUR", "amount": 500, "compare_at": None}]
    assert [row["stocked"] for row in data["stock"]] == [2]
    assert [variant.row.sku for variant in queries.get_product(product_id=product.id).variants] == [None, "M-1"]


def test_a_variant_like_another_is_refused() -> None:
    product = make_product(sized_fields("S", "M"))

    with pytest.raises(errors.DuplicateVariant):
        _add(product.id, values=["M"])
    with pytest.raises(errors.DuplicateVariant):
        update_variant(product.variants[0].row.id, values=["M"])


def test_a_taken_sku_is_refused_for_added_and_changed_variants() -> None:
    make_product(product_fields(variants=[{"sku": "TAKEN"}]))
    product = make_product(sized_fields("S", "M", variants=[making.variant_fields(values=["S"])]))

    with pytest.raises(errors.DuplicateSku):
        _add(product.id, values=["M"], sku="TAKEN")
    with pytest.raises(errors.DuplicateSku):
        update_variant(product.variants[0].row.id, sku="TAKEN")

    assert making.event_names(product.id) == ["product.created"]


def test_a_variant_is_changed_where_it_differs() -> None:
    product = make_product(sized_fields("S", "M", "L", variants=[making.variant_fields(values=["S"], sku="S-1")]))
    variant_id = product.variants[0].row.id

    for _ in range(2):
        update_variant(variant_id, sku=None, values=["L"], weight_grams=20, metadata={"k": 1})

    (_, (name, data)) = making.events(product.id)
    assert name == "variant.updated"
    assert (data["sku"], data["weight_grams"], data["metadata"]) == (None, 20, {"k": 1})
    assert data["value_ids"] == [str(product.options[0].values[2].row.id)]
    assert queries.get_variant(variant_id=variant_id)[1].value_ids == [product.options[0].values[2].row.id]


@pytest.mark.parametrize(("field", "value"), [("values", ["XL"]), ("values", ["S", "S"]), ("image", "/none.png")])
def test_a_variant_takes_only_what_its_product_has(field: str, value: object) -> None:
    product = make_product(sized_fields("S"))

    with pytest.raises((errors.UnknownOptionValue, errors.UnknownImage)):
        update_variant(product.variants[0].row.id, **{field: value})


def test_a_product_keeps_one_variant() -> None:
    product = make_product(sized_fields("S", "M"))
    first, last = (variant.row.id for variant in product.variants)

    services.remove_variant(variant_id=first)
    with pytest.raises(errors.LastVariant):
        services.remove_variant(variant_id=last)
    with pytest.raises(errors.VariantNotFound):
        services.remove_variant(variant_id=first)

    assert making.events(product.id)[-1] == ("variant.deleted", {"variant_id": str(first)})


def test_prices_are_set_by_currency_and_only_where_they_differ() -> None:
    variant = making.make_variant()  # at 19.90 EUR

    set_prices(
        variant.id,
        {"currency": "EUR", "amount": "19.90"},
        {"currency": "KWD", "amount": "1.250", "compare_at": "1.5"},
    )
    set_prices(variant.id, {"currency": "EUR", "amount": "9.90", "compare_at": "19.90"})

    _, dinar, euro = making.events(variant.product_id)
    assert dinar == (
        "price.updated",
        {
            "variant_id": str(variant.id),
            "currency": "KWD",
            "old_amount": None,
            "new_amount": 1250,
            "new_compare_at": 1500,
        },
    )
    assert (euro[1]["old_amount"], euro[1]["new_amount"], euro[1]["new_compare_at"]) == (1990, 990, 1990)
    assert models.Price.objects.count() == 2


def test_replacing_removes_the_other_currencies() -> None:
    variant = making.make_variant()

    set_prices(variant.id, {"currency": "JPY", "amount": "300"}, replace=True)

    assert [
        (name, data["currency"], data["old_amount"], data["new_amount"])
        for name, data in making.events(variant.product_id)[1:]
    ] == [("price.updated", "JPY", None, 300), ("price.updated", "EUR", 1990, None)]
    assert models.Price.objects.get().currency == "JPY"


def test_a_compare_at_price_below_the_price_is_refused() -> None:
    variant = making.make_variant()

    with pytest.raises(errors.InvalidPrice) as refused:
        set_prices(variant.id, {"currency": "EUR", "amount": "10", "compare_at": "9.99"})

    assert refused.value.problems[0].pointer == "/prices/0/compare_at"
    assert models.Price.objects.get().amount == 1990


def test_the_database_refuses_prices_that_can_not_be() -> None:
    variant = making.make_variant()

    for fields in ({"amount": -1}, {"compare_at": 5}):
        with pytest.raises(IntegrityError), transaction.atomic():
            models.Price.objects.filter(variant=variant).update(**fields)


def test_unknown_fields_and_types_are_refused() -> None:
    variant = making.make_variant()

    with pytest.raises(ValidationFailed, match="Did you mean"):
        update_variant(variant.id, weight_gram=1)
    with pytest.raises(ValidationFailed):
        update_variant(variant.id, inventory_policy="perhaps")
