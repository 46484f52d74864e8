"""Coherent objects of commerce for tests, and a look at the events they left."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import connection

from apps.commerce import models, services, snapshots
from apps.kernel import validation
from apps.tenants import scope
from rustok.testing.factories import NOW, make_collection, product_fields, sized_fields, variant_fields
from rustok.testing.factories import make_shop_category as _make_category

__all__ = ["NOW", "make_collection", "product_fields", "sized_fields", "variant_fields"]


def new_product(fields: dict[str, Any]) -> services.NewProduct:
    return validation.parse(services.NewProduct, fields)


def make_product(fields: dict[str, Any] | None = None, **more: Any) -> snapshots.Snapshot:
    return services.create_product(new=new_product(fields or product_fields(**more)), now=NOW)


def make_variant(*, quantity: int | None = None, **fields: Any) -> models.Variant:
    """A variant of a product of its own, with `quantity` at the default location."""
    stock = [] if quantity is None else [{"quantity": quantity}]
    return make_product(product_fields(variants=[variant_fields(stock=stock, **fields)])).variants[0].row


def update(product_id: uuid.UUID, **changes: Any) -> snapshots.Snapshot:
    return services.update_product(product_id=product_id, changes=validation.parse(services.ProductChanges, changes))


def update_variant(variant_id: uuid.UUID, **changes: Any) -> snapshots.Variant:
    parsed = validation.parse(services.VariantChanges, changes)
    return services.update_variant(variant_id=variant_id, changes=parsed)


def set_prices(variant_id: uuid.UUID, *prices: dict[str, Any], replace: bool = False) -> snapshots.Variant:
    parsed = validation.parse(services.PriceList, {"prices": list(prices), "replace": replace})
    return services.set_prices(variant_id=variant_id, prices=parsed)


def adjust(variant_id: uuid.UUID, delta: int, **fields: Any) -> models.InventoryLevel:
    adjustment = validation.parse(services.InventoryAdjustment, {"delta": delta, **fields})
    return services.adjust_inventory(variant_id=variant_id, adjustment=adjustment, now=NOW)


def count(variant_id: uuid.UUID, quantity: int, **fields: Any) -> models.InventoryLevel:
    counted = validation.parse(services.InventoryCount, {"quantity": quantity, **fields})
    return services.set_inventory(variant_id=variant_id, count=counted, now=NOW)


def reserve(variant_id: uuid.UUID, quantity: int, **fields: Any) -> models.Reservation:
    new = validation.parse(services.NewReservation, {"variant_id": variant_id, "quantity": quantity, **fields})
    return services.reserve(new=new, now=NOW)


def make_category(name: str, parent: models.Category | None = None, **fields: Any) -> models.Category:
    return _make_category(name, parent_id=parent.id if parent else None, **fields)


def update_category(category: models.Category, **changes: Any) -> models.Category:
    parsed = validation.parse(services.CategoryChanges, changes)
    return services.update_category(category_id=category.id, changes=parsed)


def events(aggregate_id: uuid.UUID | None = None, *, commerce_only: bool = True) -> list[tuple[str, dict[str, Any]]]:
    """Type, without its module, and data of the events of the tenant at work, in the order they were recorded."""
    sql = (
        "SELECT type, data FROM outbox_log WHERE tenant_id = %s AND (%s::uuid IS NULL OR aggregate_id = %s) ORDER BY id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [scope.current_id(), aggregate_id, aggregate_id])
        rows = [(name, _loaded(data)) for name, data in cursor.fetchall()]
    return [
        (name.removeprefix("commerce."), data)
        for name, data in rows
        if name.startswith("commerce.") or not commerce_only
    ]


def event_names(aggregate_id: uuid.UUID | None = None) -> list[str]:
    return [name for name, _ in events(aggregate_id)]


def _loaded(data: Any) -> dict[str, Any]:
    import orjson

    return dict(orjson.loads(data)) if isinstance(data, str | bytes) else dict(data)
