"""One transaction for rows, events and audit entries, with the races the database decides turned into errors."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError

from apps.audit import recording as audit
from apps.commerce import errors, events
from apps.events import registry
from apps.kernel.errors import DomainError
from apps.outbox.append import append, unit_of_work
from apps.tenants import scope

# What customers and the clock do to stock; the ledger has it. The audit log is about those who manage.
_NOBODYS_ACTS = (events.InventoryLow, events.InventoryReserved, events.InventoryReleased)
_AGAIN = "A moment ago somebody else made a change that forbids this one; read the object again and repeat it."
_NAMED: dict[str, type[DomainError]] = {
    "commerce_product_external_id_once": errors.DuplicateExternalId,
    "commerce_producttranslation_handle_once": errors.DuplicateHandle,
    "commerce_categorytranslation_handle_once": errors.DuplicateHandle,
    "commerce_collectiontranslation_handle_once": errors.DuplicateHandle,
    "commerce_variant_sku_once": errors.DuplicateSku,
    "commerce_variant_combination_once": errors.DuplicateVariant,
    "commerce_stocklocation_code_once": errors.DuplicateCode,
    "commerce_inventorylevel_not_oversold": errors.InsufficientInventory,
    "commerce_inventorylevel_stocked": errors.InsufficientInventory,
    "commerce_inventorylevel_variant": errors.VariantNotFound,
    "commerce_reservation_variant": errors.VariantNotFound,
    "commerce_productcategory_category": errors.CategoryNotFound,
    "commerce_collectionproduct_product": errors.ProductNotFound,
    "commerce_collectionproduct_collection": errors.CollectionNotFound,
    "commerce_category_parent": errors.CategoryNotFound,
}


def named(error: IntegrityError) -> DomainError | None:
    """The anticipated error behind a constraint of the database, or None."""
    diagnosis = getattr(error.__cause__, "diag", None)
    kind = _NAMED.get(getattr(diagnosis, "constraint_name", None) or "")
    return kind(_AGAIN) if kind else None


@contextmanager
def writing(*, savepoint: bool = False) -> Iterator[None]:
    """`unit_of_work` that raises named errors for constraints hit in a race."""
    try:
        with unit_of_work(savepoint=savepoint):
            yield
    except IntegrityError as error:
        known = named(error)
        if known is None:
            raise
        raise known from error


def record(
    payload: registry.Payload,
    product_id: uuid.UUID,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Append to the product's stream, and tell the audit log; `after` is the payload where it is not given."""
    record_on(events.PRODUCT, product_id, payload, before=before, after=after)


def record_on(
    aggregate_type: str,
    aggregate_id: uuid.UUID,
    payload: registry.Payload,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """The same for another stream of commerce."""
    stream: dict[str, Any] = {
        "tenant_id": scope.current_id(),
        "aggregate_type": aggregate_type,
        "aggregate_id": aggregate_id,
    }
    append(payload, **stream)
    if not isinstance(payload, _NOBODYS_ACTS):
        audit.record_event(payload, before=before, after=after, **stream)


def is_before_wanted() -> bool:
    """Whether the audit log will ask for what was there before a change."""
    return not audit.is_counted_only(scope.current_id())
