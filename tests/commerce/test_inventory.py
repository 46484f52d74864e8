"""Stock: conditional updates, the ledger, warnings, reservations and their end."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from apps.commerce import errors, models, queries, services, tasks
from apps.kernel import validation
from apps.kernel.errors import ValidationFailed
from tests import factories
from tests.commerce import making
from tests.commerce.making import NOW, adjust, count, make_variant, reserve

pytestmark = pytest.mark.usefixtures("at_work")


def test_an_adjustment_moves_the_stock_and_writes_the_ledger() -> None:
    variant = make_variant(quantity=5)

    adjust(variant.id, 3, reason="delivery")
    level = adjust(variant.id, -2, reason="broken")

    assert level.stocked == 6
    moves = models.InventoryMovement.objects.order_by("id").values_list("delta", "quantity_after", "reason")
    assert list(moves) == [(5, 5, "initial"), (3, 8, "delivery"), (-2, 6, "broken")]
    assert making.events(variant.product_id)[-1] == (
        "inventory.updated",
        {
            "variant_id": str(variant.id),
            "location_id": str(level.location_id),
            "old_quantity": 8,
            "new_quantity": 6,
            "reserved": 0,
            "reason": "broken",
        },
    )


def test_stock_is_never_negative() -> None:
    variant = make_variant(quantity=2)

    with pytest.raises(errors.InsufficientInventory) as refused:
        adjust(variant.id, -3)

    assert (refused.value.status, refused.value.data) == (422, {"requested": 3, "available": 2})
    assert models.InventoryLevel.objects.get().stocked == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        models.InventoryLevel.objects.update(stocked=-1)


def test_no_change_leaves_no_trace() -> None:
    variant = make_variant(quantity=2)

    adjust(variant.id, 0)
    count(variant.id, 2)

    assert making.event_names(variant.product_id) == ["product.created"]
    assert models.InventoryMovement.objects.count() == 1


def test_a_count_sets_the_stock() -> None:
    variant = make_variant()

    level = count(variant.id, 4, low_stock_threshold=1, incoming=10)
    after = count(variant.id, 1)

    assert (level.stocked, after.stocked, after.low_stock_threshold, after.incoming) == (4, 1, 1, 10)
    assert making.event_names(variant.product_id)[1:] == ["inventory.updated", "inventory.updated", "inventory.low"]


def test_low_stock_is_told_when_it_falls_and_not_when_it_rises() -> None:
    variant = make_variant()
    count(variant.id, 10, low_stock_threshold=3)

    adjust(variant.id, -6)  # 4 left
    adjust(variant.id, -1)  # 3 left
    adjust(variant.id, -2)  # 1 left
    adjust(variant.id, 1)  # 2 left
    reserve(variant.id, 1)  # 1 available

    low = [data for name, data in making.events(variant.product_id) if name == "inventory.low"]
    assert [(data["remaining"], data["threshold"]) for data in low] == [(3, 3), (1, 3), (1, 3)]


def test_the_default_location_is_made_once_with_its_event() -> None:
    make_variant(quantity=1)
    make_variant(quantity=1)

    assert making.event_names().count("location.created") == 1
    assert models.StockLocation.objects.get().code == "default"


def test_stock_is_kept_by_location() -> None:
    variant = make_variant(quantity=1)
    new = validation.parse(services.NewLocation, {"code": "berlin", "name": "Berlin"})
    services.create_location(new=new)

    count(variant.id, 5, location="berlin")

    levels = queries.list_levels(variant_id=variant.id)
    assert [(level.location.code, level.stocked) for level in levels] == [("berlin", 5), ("default", 1)]
    with pytest.raises(errors.DuplicateCode):
        services.create_location(new=new)
    with pytest.raises(errors.LocationNotFound, match="Did you mean"):
        adjust(variant.id, 1, location="berlim")
    with pytest.raises(errors.VariantNotFound):
        queries.list_levels(variant_id=uuid.uuid4())


def test_the_ledger_can_not_be_changed() -> None:
    make_variant(quantity=1)

    for change in (
        lambda: models.InventoryMovement.objects.update(delta=9),
        lambda: models.InventoryMovement.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
            change()


def test_a_reservation_takes_from_what_is_available() -> None:
    variant = make_variant(quantity=5)

    reservation = reserve(variant.id, 3, reference="cart-1", lifetime_seconds=60)
    with pytest.raises(errors.InsufficientInventory) as refused:
        reserve(variant.id, 3)
    with pytest.raises(errors.InsufficientInventory):
        adjust(variant.id, -3)
    with pytest.raises(errors.InsufficientInventory):
        count(variant.id, 2)

    assert refused.value.data == {"requested": 3, "available": 2}
    assert reservation.expires_at == NOW + timedelta(seconds=60)
    name, data = making.events(variant.product_id)[-1]
    assert (name, data["quantity"], data["reserved"]) == ("inventory.reserved", 3, 3)


def test_a_released_reservation_gives_back_once() -> None:
    variant = make_variant(quantity=5)
    reservation = reserve(variant.id, 5)

    services.release(reservation_id=reservation.id)
    with pytest.raises(errors.ReservationEnded):
        services.release(reservation_id=reservation.id)
    with pytest.raises(errors.ReservationNotFound):
        services.release(reservation_id=uuid.uuid4())

    assert models.InventoryLevel.objects.get().reserved == 0
    name, data = making.events(variant.product_id)[-1]
    assert (name, data["reserved"], data["reason"]) == ("inventory.released", 0, "released")


def test_a_committed_reservation_leaves_the_stock() -> None:
    variant = make_variant(quantity=5)
    kept, sold = reserve(variant.id, 1), reserve(variant.id, 4)

    services.commit_reservation(reservation_id=sold.id, now=NOW)

    level = models.InventoryLevel.objects.get()
    assert (level.stocked, level.reserved) == (1, kept.quantity)
    name, data = making.events(variant.product_id)[-1]
    assert (name, data["old_quantity"], data["new_quantity"], data["reserved"]) == ("inventory.updated", 5, 1, 1)
    assert models.InventoryMovement.objects.order_by("id").last().reservation_id == sold.id  # type: ignore[union-attr]
    with pytest.raises(errors.ReservationEnded):
        services.release(reservation_id=sold.id)


@pytest.mark.parametrize("fields", [{"inventory_policy": "continue"}, {"manage_inventory": False}])
def test_backorders_go_beyond_the_stock_where_they_are_allowed(fields: dict[str, object]) -> None:
    variant = make_variant(quantity=1, **fields)

    reserve(variant.id, 5)

    level = models.InventoryLevel.objects.get()
    assert (level.stocked, level.reserved, level.allow_backorder) == (1, 5, True)
    with pytest.raises(errors.InsufficientInventory):
        adjust(variant.id, -2)
    with pytest.raises(errors.InsufficientInventory):
        making.update_variant(variant.id, inventory_policy="deny", manage_inventory=True)


def test_the_policy_of_a_variant_reaches_its_levels() -> None:
    variant = make_variant(quantity=1)

    making.update_variant(variant.id, inventory_policy="continue")
    reservation = reserve(variant.id, 2)
    services.release(reservation_id=reservation.id)
    making.update_variant(variant.id, inventory_policy="deny")

    with pytest.raises(errors.InsufficientInventory):
        reserve(variant.id, 2)


def test_the_database_refuses_to_promise_too_much() -> None:
    make_variant(quantity=1)

    with pytest.raises(IntegrityError), transaction.atomic():
        models.InventoryLevel.objects.update(reserved=2)


@pytest.mark.parametrize("fields", [{"quantity": 0}, {"expires_at": "2020-01-01T00:00:00Z"}, {"lifetime_seconds": 0}])
def test_a_wrong_reservation_is_refused(fields: dict[str, object]) -> None:
    variant = make_variant(quantity=1)

    with pytest.raises(ValidationFailed):
        reserve(variant.id, **({"quantity": 1} | fields))  # type: ignore[arg-type]


def test_expired_reservations_are_taken_back_in_every_tenant() -> None:
    other = factories.make_tenant()
    variant = make_variant(quantity=5)
    reserve(variant.id, 2, lifetime_seconds=60)
    lasting = reserve(variant.id, 1, expires_at="2100-01-01T00:00:00Z")
    with factories.at_work(other):
        foreign = make_variant(quantity=5)
        reserve(foreign.id, 5, lifetime_seconds=60)

    expired = tasks.expire_reservations()

    assert expired == 2
    assert models.InventoryLevel.objects.get().reserved == lasting.quantity
    assert making.events(variant.product_id)[-1][1]["reason"] == "expired"
    with factories.at_work(other):
        assert models.InventoryLevel.objects.get().reserved == 0
    assert tasks.expire_reservations() == 0


def test_one_run_takes_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.commerce.services.reservations._EXPIRED_AT_ONCE", 2)
    variant = make_variant(quantity=5)
    for _ in range(5):
        reserve(variant.id, 1, lifetime_seconds=1)

    assert services.expire_reservations(now=NOW + timedelta(seconds=2)) == 5
