"""What many do at once, on connections of their own: nothing is sold twice, and the loser hears why."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.commerce import errors, models, services
from apps.commerce.services import products, sync
from apps.tenants import models as tenants
from tests import factories
from tests.commerce import making

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def shop(committed_db: None) -> tenants.Tenant:
    return factories.make_tenant(currency="EUR")


def at_once(tenant: tenants.Tenant, count: int, work: Callable[[int], Any]) -> list[Any]:
    """The results of `work(number)` in threads that start together; an error is the result of its thread."""
    results: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            with factories.at_work(tenant):
                connection.ensure_connection()
                barrier.wait()
                results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_fifty_at_once_reserve_exactly_the_ten_there_are(shop: tenants.Tenant) -> None:
    with factories.at_work(shop):
        variant = making.make_variant(quantity=10)

    results = at_once(shop, 50, lambda _: making.reserve(variant.id, 1))

    won = [result for result in results if isinstance(result, models.Reservation)]
    lost = [result for result in results if isinstance(result, errors.InsufficientInventory)]
    assert (len(won), len(lost)) == (10, 40)
    with factories.at_work(shop):
        level = models.InventoryLevel.objects.get()
        assert (level.stocked, level.reserved) == (10, 10)
        assert making.event_names(variant.product_id).count("inventory.reserved") == 10


def test_adjustments_at_once_all_count(shop: tenants.Tenant) -> None:
    with factories.at_work(shop):
        variant = making.make_variant(quantity=0)

    at_once(shop, 20, lambda number: making.adjust(variant.id, number + 1))

    with factories.at_work(shop):
        assert models.InventoryLevel.objects.get().stocked == sum(range(21))
        quantities = [
            (data["old_quantity"], data["new_quantity"])
            for name, data in making.events(variant.product_id)
            if name == "inventory.updated"
        ]
    assert [old for old, _ in quantities] == [0, *(new for _, new in quantities[:-1])], "each event follows the last"


def test_one_of_many_gets_a_sku(shop: tenants.Tenant) -> None:
    fields = making.product_fields(variants=[{"sku": "ONE"}])

    results = at_once(shop, 8, lambda _: making.make_product(fields))

    assert sum(isinstance(result, errors.DuplicateSku) for result in results) == 7
    with factories.at_work(shop):
        assert models.Product.objects.count() == 1
        assert making.event_names().count("product.created") == 1


def test_derived_handles_taken_at_once_are_numbered(shop: tenants.Tenant) -> None:
    results = at_once(shop, 2, lambda _: making.make_product())

    assert {result.translations["en"].handle for result in results} == {"red-shoes", "red-shoes-2"}


def test_two_moves_at_once_do_not_close_a_circle(shop: tenants.Tenant) -> None:
    with factories.at_work(shop):
        ends = [making.make_category("A"), making.make_category("B")]

    results = at_once(shop, 2, lambda number: making.update_category(ends[number], parent_id=ends[1 - number].id))

    assert sum(isinstance(result, errors.CategoryCycle) for result in results) == 1


def test_two_runs_expire_each_reservation_once(shop: tenants.Tenant) -> None:
    with factories.at_work(shop):
        variant = making.make_variant(quantity=30)
        for _ in range(30):
            making.reserve(variant.id, 1, lifetime_seconds=1)
    later = making.NOW.replace(year=2027)

    expired = at_once(shop, 3, lambda _: services.expire_reservations(now=later))

    assert sum(expired) <= 30
    with factories.at_work(shop):
        services.expire_reservations(now=later)
        assert models.InventoryLevel.objects.get().reserved == 0
        assert making.event_names(variant.product_id).count("inventory.released") == 30


def test_two_imports_at_once_make_each_category_of_a_path_once(shop: tenants.Tenant) -> None:
    names = ["Home", "Kitchen", "Mugs"]

    results = at_once(shop, 8, lambda _: services.find_or_create_path(names=names, locale="en"))

    assert len(set(results)) == 1
    with factories.at_work(shop):
        assert models.Category.objects.count() == 3
        assert making.event_names().count("category.created") == 3


def test_two_imports_at_once_take_each_product_once_and_change_nothing_twice(shop: tenants.Tenant) -> None:
    wanted = [
        making.new_product(making.product_fields(f"Product {number}", external_id=f"shop:{number}"))
        for number in range(20)
    ]

    results = at_once(shop, 4, lambda _: services.sync_products(wanted=wanted, now=making.NOW))

    assert [result.failures for result in results] == [{}] * 4
    outcomes = Counter(synced.outcome for result in results for synced in result.done.values())
    assert outcomes == {"created": 20, "unchanged": 60}
    with factories.at_work(shop):
        assert set(making.event_names()) == {"product.created"}


@pytest.mark.parametrize("rival", ["external_id", "handle", "sku"])
def test_a_product_that_another_import_makes_between_look_and_write_is_compared_with(
    shop: tenants.Tenant, monkeypatch: pytest.MonkeyPatch, rival: str
) -> None:
    translations = [{"locale": "en", "title": "A", "handle": "a" if rival == "handle" else None}]
    variant = making.variant_fields(sku="A-1" if rival == "sku" else None)
    fields = making.product_fields(translations=translations, variants=[variant], external_id="shop:1")
    look = sync._lock_stored

    def stale_look(wanted: Any) -> Any:
        """Nothing yet, and then the other import commits."""
        monkeypatch.setattr(sync, "_lock_stored", look)
        return {}

    with factories.at_work(shop):
        made = making.make_product(fields)
        monkeypatch.setattr(sync, "_lock_stored", stale_look)
        if rival != "external_id":
            monkeypatch.setattr(products, "_settle_external_ids", lambda *_: None)
        outcome = services.sync_products(wanted=[making.new_product(fields)], now=making.NOW)

        assert outcome.failures == {}
        assert outcome.done[0].outcome == "unchanged"
        assert making.event_names(made.id) == ["product.created"]


def test_one_product_twice_in_a_batch_is_taken_once(shop: tenants.Tenant) -> None:
    twice = [making.new_product(making.product_fields(title, external_id="shop:1")) for title in ("First", "Second")]

    with factories.at_work(shop):
        outcome = services.sync_products(wanted=twice, now=making.NOW)

    assert outcome.done[0].outcome == "created"
    assert isinstance(outcome.failures[1], errors.DuplicateExternalId)
