"""Prices of a variant: at most one per currency."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from apps.commerce import errors, events, models, permitted, snapshots
from apps.commerce.services import inputs
from apps.commerce.services.recording import record, writing
from apps.kernel import wording


def set_prices(*, variant_id: uuid.UUID, prices: inputs.PriceList) -> snapshots.Variant:
    """Set the price in each given currency. Raises VariantNotFound, InvalidPrice."""
    with writing():
        snapshot, variant = snapshots.get_by_variant(variant_id, lock=True)
        permitted.check("update", snapshot)
        apply_prices(snapshot, variant, prices.prices, replace=prices.replace)
    return variant


def check_prices(prices: Sequence[inputs.PriceInput], *, pointer: str = "/prices") -> None:
    """Raises InvalidPrice for a currency given twice and for a compare-at price below the price."""
    seen = set()
    for index, price in enumerate(prices):
        here = f"{pointer}/{index}"
        if price.currency in seen:
            raise errors.InvalidPrice.for_field(
                f"{here}/currency",
                "currency_given_twice",
                wording.say('"{name}" is given twice.', name=price.currency),
            )
        if price.compare_at is not None and price.compare_at < price.amount:
            raise errors.InvalidPrice.for_field(
                f"{here}/compare_at", "compare_at_below_amount", wording.say("the compare-at price is below the price.")
            )
        seen.add(price.currency)


def build_price(variant: models.Variant, price: inputs.PriceInput) -> models.Price:
    return models.Price(
        tenant_id=variant.tenant_id,
        variant_id=variant.id,
        currency=price.currency,
        amount=price.amount,
        compare_at=price.compare_at,
    )


def apply_prices(
    snapshot: snapshots.Snapshot,
    variant: snapshots.Variant,
    prices: Sequence[inputs.PriceInput],
    *,
    replace: bool = False,
    pointer: str = "/prices",
) -> bool:
    """Write what differs and record it; returns whether anything did."""
    check_prices(prices, pointer=pointer)
    changed = False
    for price in prices:
        stored = variant.prices.get(price.currency)
        if stored is not None and (stored.amount, stored.compare_at) == (price.amount, price.compare_at):
            continue
        before = {"amount": stored.amount, "compare_at": stored.compare_at} if stored else {}
        if stored is None:
            stored = variant.prices[price.currency] = build_price(variant.row, price)
            stored.save(force_insert=True)
        else:
            stored.amount, stored.compare_at = price.amount, price.compare_at
            stored.save(update_fields=["amount", "compare_at"])
        _record(snapshot, variant, price.currency, before, stored)
        changed = True
    if replace:
        for currency in sorted(variant.prices.keys() - {price.currency for price in prices}):
            removed = variant.prices.pop(currency)
            removed.delete()
            _record(snapshot, variant, currency, {"amount": removed.amount, "compare_at": removed.compare_at}, None)
            changed = True
    return changed


def _record(
    snapshot: snapshots.Snapshot,
    variant: snapshots.Variant,
    currency: str,
    before: dict[str, int | None],
    price: models.Price | None,
) -> None:
    payload = events.PriceUpdated(
        variant_id=variant.row.id,
        currency=currency,
        old_amount=before.get("amount"),
        new_amount=price.amount if price else None,
        new_compare_at=price.compare_at if price else None,
    )
    after = {"variant_id": variant.row.id, "currency": currency}
    if price:
        after |= {"amount": price.amount, "compare_at": price.compare_at}
    record(payload, snapshot.id, before=before, after=after)
