"""Reservations: a quantity promised for a while, without ever promising more than there is."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Annotated

from apps.commerce import errors, events, models
from apps.commerce.services import inputs, inventory, locations
from apps.commerce.services.recording import record, writing
from apps.kernel import ids, validation, wording
from apps.kernel.errors import ValidationFailed

DEFAULT_LIFETIME_SECONDS = 15 * 60
_EXPIRED_AT_ONCE = 500


class NewReservation(validation.Input):
    """It ends at `expires_at`, or `lifetime_seconds` from now (default 900)."""

    variant_id: inputs.VariantId
    quantity: Annotated[int, validation.Whole("quantity", 1_000_000_000, minimum=1)]
    location: inputs.Code = inputs.DEFAULT_LOCATION
    lifetime_seconds: Annotated[int, validation.Whole("lifetime", 30 * 24 * 3600, minimum=1)] = DEFAULT_LIFETIME_SECONDS
    expires_at: validation.Moment | None = None
    reference: validation.ShortText = ""


def reserve(*, new: NewReservation, now: datetime) -> models.Reservation:
    """Promise a quantity. Raises VariantNotFound, LocationNotFound, InsufficientInventory, ValidationFailed."""
    expires_at = new.expires_at or now + timedelta(seconds=new.lifetime_seconds)
    if expires_at <= now:
        raise ValidationFailed.for_field("/expires_at", "in_the_past", wording.say("the moment has passed already."))
    with writing():
        variant = inventory.get_variant(new.variant_id)
        location = locations.get_location(new.location)
        level = inventory.promise(variant, inventory.get_level(variant, location), new.quantity)
        reservation = models.Reservation.objects.create(
            variant=variant,
            location=location,
            quantity=new.quantity,
            expires_at=expires_at,
            reference=new.reference,
            created_at=now,
        )
        payload = events.InventoryReserved(
            variant_id=variant.id,
            location_id=location.id,
            reservation_id=reservation.id,
            quantity=new.quantity,
            reserved=level.reserved,
            expires_at=expires_at,
        )
        record(payload, variant.product_id)
        inventory.warn_when_low(variant, level, fell=True)
    return reservation


def release(*, reservation_id: uuid.UUID) -> models.Reservation:
    """Take a promise back. Raises ReservationNotFound, ReservationEnded."""
    with writing():
        reservation = _lock_active(reservation_id)
        _give_back(reservation, models.Reservation.Status.RELEASED)
    return reservation


def commit_reservation(*, reservation_id: uuid.UUID, now: datetime) -> models.Reservation:
    """The promised goods leave the stock. Raises ReservationNotFound, ReservationEnded, InsufficientInventory."""
    with writing():
        reservation = _lock_active(reservation_id)
        variant = inventory.get_variant(reservation.variant_id)
        level = inventory.get_level(variant, reservation.location)
        inventory.move(variant, level, -reservation.quantity, reason="committed", now=now, committed=reservation)
        reservation.status = models.Reservation.Status.COMMITTED
        reservation.save(update_fields=["status"])
    return reservation


def expire_reservations(*, now: datetime) -> int:
    """Take back every promise of the tenant in scope whose time is over; returns how many there were.

    One transaction each: a lock is held for a moment only, and a second run beside this one takes other rows.
    """
    expired = 0
    due = models.Reservation.objects.filter(status="active", expires_at__lte=now).order_by("expires_at")
    while reservation_ids := list(due.values_list("id", flat=True)[:_EXPIRED_AT_ONCE]):
        taken = sum(_expire(reservation_id) for reservation_id in reservation_ids)
        expired += taken
        if not taken:
            break  # another run has them all
    return expired


def _expire(reservation_id: uuid.UUID) -> bool:
    with writing():
        free = models.Reservation.objects.select_for_update(skip_locked=True, of=("self",))
        reservation = free.filter(id=reservation_id, status="active").first()
        if reservation is None:
            return False
        _give_back(reservation, models.Reservation.Status.EXPIRED)
    return True


def _lock_active(reservation_id: uuid.UUID) -> models.Reservation:
    reservation = models.Reservation.objects.select_for_update().filter(id=reservation_id).first()
    if reservation is None:
        raise errors.ReservationNotFound(
            wording.say("There is no reservation {reservation}.", reservation=ids.encode("res", reservation_id))
        )
    if reservation.status != models.Reservation.Status.ACTIVE:
        raise errors.ReservationEnded(
            wording.say(
                "The reservation {reservation} is {status} already.", reservation=reservation, status=reservation.status
            ),
            reservation_status=reservation.status,
        )
    return reservation


def _give_back(reservation: models.Reservation, status: models.Reservation.Status) -> None:
    variant = inventory.get_variant(reservation.variant_id)
    level = inventory.get_level(variant, reservation.location)
    level = inventory.promise(variant, level, -reservation.quantity)
    reservation.status = status
    reservation.save(update_fields=["status"])
    payload = events.InventoryReleased(
        variant_id=reservation.variant_id,
        location_id=reservation.location_id,
        reservation_id=reservation.id,
        quantity=reservation.quantity,
        reserved=level.reserved,
        reason=status.value,
    )
    record(payload, variant.product_id)
