"""Stock by conditional updates: a row changes only where the change is allowed, and the ledger says what changed."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import NoReturn

from django.db.models import F, Q

from apps.commerce import errors, events, models
from apps.commerce.services import inputs, locations
from apps.commerce.services.recording import record, writing
from apps.kernel import ids, wording
from apps.tenants import scope


def adjust_inventory(
    *, variant_id: uuid.UUID, adjustment: inputs.InventoryAdjustment, now: datetime
) -> models.InventoryLevel:
    """Add `delta`, which may be negative. Raises VariantNotFound, LocationNotFound, InsufficientInventory."""
    with writing():
        variant = get_variant(variant_id)
        level = get_level(variant, locations.get_location(adjustment.location))
        if adjustment.delta:
            level = move(variant, level, adjustment.delta, reason=adjustment.reason, now=now)
    return level


def set_inventory(*, variant_id: uuid.UUID, count: inputs.InventoryCount, now: datetime) -> models.InventoryLevel:
    """Set the quantity that is there; the same quantity again changes nothing.

    Raises VariantNotFound, LocationNotFound, and InsufficientInventory where more than that is promised.
    """
    with writing():
        variant = get_variant(variant_id)
        level = lock_level(variant, locations.get_location(count.location))
        planning = {
            name: getattr(count, name)
            for name in ("low_stock_threshold", "incoming")
            if name in count.model_fields_set and getattr(count, name) != getattr(level, name)
        }
        if planning:
            models.InventoryLevel.objects.filter(pk=level.pk).update(**planning)
            level.refresh_from_db()
        if delta := count.quantity - level.stocked:
            level = move(variant, level, delta, reason=count.reason, now=now)
    return level


def get_variant(variant_id: uuid.UUID) -> models.Variant:
    """Raises VariantNotFound."""
    variant = models.Variant.objects.filter(id=variant_id).first()
    if variant is None:
        raise errors.VariantNotFound(
            wording.say("There is no variant {variant}.", variant=ids.encode("var", variant_id))
        )
    return variant


def get_level(variant: models.Variant, location: models.StockLocation) -> models.InventoryLevel:
    """The variant's level at the location, made with nothing in it when there is none."""
    level, _ = models.InventoryLevel.objects.get_or_create(
        variant=variant, location=location, defaults={"allow_backorder": allows_backorder(variant)}
    )
    return level


def lock_level(variant: models.Variant, location: models.StockLocation) -> models.InventoryLevel:
    """The same, held until the transaction ends."""
    return models.InventoryLevel.objects.select_for_update().get(pk=get_level(variant, location).pk)


def allows_backorder(variant: models.Variant) -> bool:
    """Whether more than is there may be promised."""
    return variant.inventory_policy == "continue" or not variant.manage_inventory


def move(
    variant: models.Variant,
    level: models.InventoryLevel,
    delta: int,
    *,
    reason: str,
    now: datetime,
    committed: models.Reservation | None = None,
) -> models.InventoryLevel:
    """Change the stocked quantity by `delta`, and with a reservation that is `committed` the reserved one as well."""
    promised = committed.quantity if committed else 0
    allowed = Q(stocked__gte=-delta, reserved__gte=promised) & (
        Q(allow_backorder=True) | Q(stocked__gte=F("reserved") - promised - delta)
    )
    rows = models.InventoryLevel.objects.filter(allowed, pk=level.pk)
    moved = rows.update(stocked=F("stocked") + delta, reserved=F("reserved") - promised)
    after = _reread(level)  # still ours: the update holds the row until the transaction ends
    if not moved:
        _refuse(variant, after, -delta)
    models.InventoryMovement.objects.create(
        variant_id=variant.id,
        location_id=after.location_id,
        delta=delta,
        quantity_after=after.stocked,
        reason=reason,
        reservation_id=committed.id if committed else None,
        at=now,
    )
    payload = events.InventoryUpdated(
        variant_id=variant.id,
        location_id=after.location_id,
        old_quantity=after.stocked - delta,
        new_quantity=after.stocked,
        reserved=after.reserved,
        reason=reason,
    )
    record(payload, variant.product_id)
    warn_when_low(variant, after, fell=delta + promised < 0)
    return after


def promise(variant: models.Variant, level: models.InventoryLevel, quantity: int) -> models.InventoryLevel:
    """Reserve `quantity`, or give it back where it is negative. Raises InsufficientInventory."""
    allowed = Q(reserved__gte=-quantity)
    if quantity > 0:
        allowed &= Q(allow_backorder=True) | Q(stocked__gte=F("reserved") + quantity)
    changed = models.InventoryLevel.objects.filter(allowed, pk=level.pk).update(reserved=F("reserved") + quantity)
    after = _reread(level)
    if not changed:
        _refuse(variant, after, quantity)
    return after


def warn_when_low(variant: models.Variant, level: models.InventoryLevel, *, fell: bool) -> None:
    """Record inventory.low when what is available fell and is now at or below the threshold."""
    available = level.stocked - level.reserved
    if fell and level.low_stock_threshold is not None and available <= level.low_stock_threshold:
        payload = events.InventoryLow(
            variant_id=variant.id,
            location_id=level.location_id,
            remaining=available,
            threshold=level.low_stock_threshold,
            sku=variant.sku,
            **_names(variant, level),
        )
        record(payload, variant.product_id)


def _names(variant: models.Variant, level: models.InventoryLevel) -> dict[str, str]:
    """What people call the variant, in the tenant's default locale or the first there is; in four queries."""
    titles = dict(
        models.ProductTranslation.objects.filter(product_id=variant.product_id).values_list("locale", "title")
    )
    chosen = models.VariantOptionValue.objects.filter(variant=variant).order_by("value__option__position")
    named = models.OptionValueTranslation.objects.filter(value__in=chosen.values("value"))
    by_value: dict[uuid.UUID, dict[str, str]] = {}
    for value_id, locale, name in named.values_list("value_id", "locale", "name"):
        by_value.setdefault(value_id, {})[locale] = name
    order = chosen.values_list("value_id", flat=True)
    return {
        "product_title": _in_default_locale(titles),
        "variant_title": " / ".join(_in_default_locale(by_value[value]) for value in order if value in by_value),
        "location_name": models.StockLocation.objects.values_list("name", flat=True).get(pk=level.location_id),
    }


def _in_default_locale(texts: dict[str, str]) -> str:
    """The text for the tenant's default locale, else that of the first locale, else none."""
    return texts.get(scope.current().default_locale) or next((texts[locale] for locale in sorted(texts)), "")


def _reread(level: models.InventoryLevel) -> models.InventoryLevel:
    after = models.InventoryLevel.objects.filter(pk=level.pk).first()
    if after is None:
        raise errors.VariantNotFound(wording.say("The variant was removed a moment ago."))
    return after


def _refuse(variant: models.Variant, level: models.InventoryLevel, requested: int) -> NoReturn:
    available = level.stocked - level.reserved
    raise errors.InsufficientInventory(
        wording.say(
            "{requested} of the variant {variant} were asked for and {available} are available ({stocked} stocked, "
            "{reserved} reserved).",
            requested=requested,
            variant=variant,
            available=available,
            stocked=level.stocked,
            reserved=level.reserved,
        ),
        requested=requested,
        available=available,
    )
