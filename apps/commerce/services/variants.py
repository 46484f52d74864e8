"""Variants of a product that exists. Each change is an event of its own on the product's stream."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apps.commerce import errors, events, models, permitted, snapshots
from apps.commerce.services import bulk, inputs, inventory, locations, parts, pricing
from apps.commerce.services.recording import is_before_wanted, record, writing
from apps.kernel import wording
from apps.kernel.errors import FieldProblem, ValidationFailed

_PLAIN_FIELDS = (
    "position",
    "barcode",
    "weight_grams",
    "inventory_policy",
    "manage_inventory",
    "requires_shipping",
    "metadata",
    "sku",
)


def add_variant(*, product_id: uuid.UUID, new: inputs.VariantInput, now: datetime) -> snapshots.Variant:
    """One more variant, the last in order, with its prices and stock.

    Raises ProductNotFound, DuplicateSku, DuplicateVariant, UnknownOptionValue, UnknownImage, InvalidPrice,
    LocationNotFound.
    """
    with writing():
        snapshot = snapshots.get(product_id, lock=True)
        permitted.check("update", snapshot)
        return apply_new_variant(snapshot, new, now=now)


def update_variant(*, variant_id: uuid.UUID, changes: inputs.VariantChanges) -> snapshots.Variant:
    """Change what is given; nothing is written and no event recorded when nothing differs.

    Raises VariantNotFound, DuplicateSku, DuplicateVariant, UnknownOptionValue, UnknownImage, and InsufficientInventory
    where more is promised than an inventory policy of `deny` would allow.
    """
    with writing():
        snapshot, variant = snapshots.get_by_variant(variant_id, lock=True)
        permitted.check("update", snapshot)
        apply_variant_changes(snapshot, variant, changes)
    return variant


def remove_variant(*, variant_id: uuid.UUID) -> None:
    """Raises VariantNotFound, LastVariant."""
    with writing():
        snapshot, variant = snapshots.get_by_variant(variant_id, lock=True)
        permitted.check("update", snapshot)
        apply_removal(snapshot, variant)


def build_variant(
    snapshot: snapshots.Snapshot, new: inputs.VariantInput, *, position: int, pointer: str
) -> snapshots.Variant:
    """The variant with its prices, unsaved and without stock. Raises what the input alone can be wrong about."""
    value_ids = find_values(snapshot, new.values, pointer=pointer)
    pricing.check_prices(new.prices, pointer=f"{pointer}/prices")
    check_stock(new.stock, pointer=f"{pointer}/stock")
    image = find_image(snapshot, new.image, pointer=pointer)
    row = models.Variant(
        tenant_id=snapshot.product.tenant_id,
        product_id=snapshot.id,
        position=position,
        sku=new.sku,
        barcode=new.barcode,
        weight_grams=new.weight_grams,
        inventory_policy=new.inventory_policy,
        manage_inventory=new.manage_inventory,
        requires_shipping=new.requires_shipping,
        image_id=image.id if image else None,
        metadata=new.metadata,
        combination=snapshots.combination(value_ids),
    )
    check_combination(snapshot, row, pointer=pointer)
    prices = {price.currency: pricing.build_price(row, price) for price in new.prices}
    return snapshots.Variant(row, value_ids, prices)


def build_stock(
    variant: snapshots.Variant,
    stock: Sequence[inputs.StockInput],
    found: dict[str, models.StockLocation],
    *,
    now: datetime,
) -> list[models.InventoryMovement]:
    """Put the first levels on the new variant; returns their rows of the ledger. Raises LocationNotFound."""
    movements = []
    for entry in stock:
        location = found.get(entry.location)
        if location is None:
            raise locations.not_found(entry.location)
        variant.levels[location.id] = models.InventoryLevel(
            tenant_id=variant.row.tenant_id,
            variant_id=variant.row.id,
            location_id=location.id,
            stocked=entry.quantity,
            low_stock_threshold=entry.low_stock_threshold,
            allow_backorder=inventory.allows_backorder(variant.row),
        )
        if entry.quantity:
            movement = models.InventoryMovement(
                tenant_id=variant.row.tenant_id,
                variant_id=variant.row.id,
                location_id=location.id,
                delta=entry.quantity,
                quantity_after=entry.quantity,
                reason="initial",
                at=now,
            )
            movements.append(movement)
    return movements


def insert(variants: Sequence[snapshots.Variant], movements: Sequence[models.InventoryMovement]) -> None:
    """Write new variants with all that hangs on them, one statement a table."""
    bulk.insert([variant.row for variant in variants])
    _insert_option_values(variants)
    bulk.insert([price for variant in variants for price in variant.prices.values()])
    bulk.insert([level for variant in variants for level in variant.levels.values()])
    bulk.insert(movements)


def apply_new_variant(
    snapshot: snapshots.Snapshot, new: inputs.VariantInput, *, now: datetime, position: int | None = None
) -> snapshots.Variant:
    """Add the variant to the locked product and record it."""
    if position is None:
        position = max((variant.row.position for variant in snapshot.variants), default=-1) + 1
    variant = build_variant(snapshot, new, position=position, pointer="")
    check_sku_is_free(variant.row)
    found = locations.find_locations(entry.location for entry in new.stock)
    insert([variant], build_stock(variant, new.stock, found, now=now))
    snapshot.variants.append(variant)
    record(events.VariantCreated(**snapshots.whole_variant(variant)), snapshot.id)
    return variant


def apply_variant_changes(
    snapshot: snapshots.Snapshot, variant: snapshots.Variant, changes: inputs.VariantChanges
) -> bool:
    """Write what differs on the locked product and record it; returns whether anything did."""
    row, given = variant.row, changes.model_fields_set
    before = snapshots.variant_fields(variant) if is_before_wanted() else None
    different: dict[str, Any] = {
        name: getattr(changes, name)
        for name in _PLAIN_FIELDS
        if name in given and getattr(changes, name) != getattr(row, name)
    }
    if "image" in given:
        image = find_image(snapshot, changes.image, pointer="")
        if (image.id if image else None) != row.image_id:
            different["image"] = image
    value_ids = find_values(snapshot, changes.values, pointer="") if "values" in given else variant.value_ids
    values_differ = value_ids != variant.value_ids
    if values_differ:
        different["combination"] = snapshots.combination(value_ids)
    if not different:
        return False
    for name, value in different.items():
        setattr(row, name, value)
    if "combination" in different:
        check_combination(snapshot, row, pointer="")
    if "sku" in different:
        check_sku_is_free(row)
    row.save(update_fields=list(different))
    if values_differ:
        replace_values(variant, value_ids)
    if {"inventory_policy", "manage_inventory"} & different.keys():
        allowed = inventory.allows_backorder(row)
        models.InventoryLevel.objects.filter(variant=row).update(allow_backorder=allowed)
    record_change(snapshot, variant, before=before)
    return True


def apply_removal(snapshot: snapshots.Snapshot, variant: snapshots.Variant) -> None:
    """Remove the variant from the locked product and record it."""
    if len(snapshot.variants) == 1:
        raise errors.LastVariant(
            wording.say(
                "{row} is the only variant of its product; add another one first, or delete the product.",
                row=variant.row,
            )
        )
    variant_id, before = variant.row.id, snapshots.whole_variant(variant)
    variant.row.delete()
    snapshot.variants.remove(variant)
    record(events.VariantDeleted(variant_id=variant_id), snapshot.id, before=before)


def record_change(
    snapshot: snapshots.Snapshot, variant: snapshots.Variant, *, before: dict[str, Any] | None = None
) -> None:
    """`before` is for the audit log, which names the variant by its id beside the fields that differ."""
    payload = events.VariantUpdated(**snapshots.variant_fields(variant))
    others = {name: value for name, value in before.items() if name != "id"} if before else None
    record(payload, snapshot.id, before=others)


def find_values(snapshot: snapshots.Snapshot, names: Sequence[str], *, pointer: str) -> list[uuid.UUID]:
    """The ids of the option values with these names, one for each option in order. Raises UnknownOptionValue."""
    if len(names) > len(snapshot.options):
        raise errors.UnknownOptionValue.for_field(
            f"{pointer}/values",
            "too_many_values",
            wording.say(
                "{values} values are given and the product has {options} options.",
                values=len(names),
                options=len(snapshot.options),
            ),
        )
    found = []
    for index, (name, option) in enumerate(zip(names, snapshot.options, strict=False)):
        for value in option.values:
            if name in value.names.values():
                found.append(value.row.id)
                break
        else:
            known = ", ".join(next(iter(value.names.values())) for value in option.values[:20])
            raise errors.UnknownOptionValue.for_field(
                f"{pointer}/values/{index}",
                "unknown_option_value",
                wording.say('"{name}" is not a value of this option; it has {known}.', name=name, known=known),
            )
    return found


def find_image(snapshot: snapshots.Snapshot, url: str | None, *, pointer: str) -> models.ProductImage | None:
    """The product's first image with this URL, or fetched from it. Raises UnknownImage."""
    if url is None:
        return None
    for image in snapshot.images:
        if parts.shows(image, url):
            return image
    raise errors.UnknownImage.for_field(
        f"{pointer}/image",
        "unknown_image",
        wording.say('"{url}" is not among the images of the product; add it there first.', url=url),
    )


def check_combination(snapshot: snapshots.Snapshot, row: models.Variant, *, pointer: str) -> None:
    """Raises DuplicateVariant."""
    for other in snapshot.variants:
        if other.row.combination == row.combination and other.row.id != row.id:
            detail = wording.say("the variant {variant} has the same option values.", variant=other.row)
            raise errors.DuplicateVariant(
                detail, problems=[FieldProblem(f"{pointer}/values", "duplicate_variant", detail)]
            )


def check_sku_is_free(row: models.Variant) -> None:
    """Raises DuplicateSku."""
    if row.sku and models.Variant.objects.filter(sku=row.sku).exclude(id=row.id).exists():
        raise duplicate_sku(row.sku, "/sku")


def duplicate_sku(sku: str, pointer: str) -> errors.DuplicateSku:
    detail = wording.say('The SKU "{sku}" belongs to another variant; choose another one.', sku=sku)
    return errors.DuplicateSku(detail, problems=[FieldProblem(pointer, "duplicate_sku", detail)], sku=sku)


def check_stock(stock: Sequence[inputs.StockInput], *, pointer: str) -> None:
    """Raises ValidationFailed for a location given twice."""
    seen = set()
    for index, entry in enumerate(stock):
        if entry.location in seen:
            raise ValidationFailed.for_field(
                f"{pointer}/{index}/location",
                "location_given_twice",
                wording.say('"{name}" is given twice.', name=entry.location),
            )
        seen.add(entry.location)


def replace_prices(snapshot: snapshots.Snapshot, variant: snapshots.Variant, wanted: Sequence[models.Price]) -> bool:
    """Let the variant have exactly these prices, and record what differs."""
    given = [
        inputs.PriceInput.model_construct(currency=price.currency, amount=price.amount, compare_at=price.compare_at)
        for price in wanted
    ]
    return pricing.apply_prices(snapshot, variant, given, replace=True)


def replace_values(variant: snapshots.Variant, value_ids: list[uuid.UUID]) -> None:
    """Let the variant have these option values."""
    models.VariantOptionValue.objects.filter(variant=variant.row).delete()
    variant.value_ids = value_ids
    _insert_option_values([variant])


def _insert_option_values(variants: Sequence[snapshots.Variant]) -> None:
    rows = [
        {"tenant_id": variant.row.tenant_id, "variant_id": variant.row.id, "value_id": value_id}
        for variant in variants
        for value_id in variant.value_ids
    ]
    bulk.insert_values(models.VariantOptionValue, rows)
