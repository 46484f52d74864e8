"""Money: integer minor units and an ISO 4217 code, with the exponent the standard gives the currency."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from iso4217 import Currency

from apps.kernel import errors, wording

MAXIMUM_MINOR_UNITS = 10**15
_UNUSUAL = re.compile(r"[0-9][eE_]")


class InvalidCurrency(errors.ValidationFailed):
    """The currency is no ISO 4217 code. Send three capitals, such as EUR."""

    code = "invalid_currency"


class InvalidAmount(errors.ValidationFailed):
    """The amount is no price: not a decimal number, negative, too large, or finer than its currency. Send one such as
    19.90."""

    code = "invalid_amount"


@lru_cache(maxsize=512)
def exponent(currency: str) -> int:
    """Decimal places of the currency: 2 for EUR, 0 for JPY, 3 for KWD. Raises InvalidCurrency."""
    try:
        return int(Currency(currency).exponent or 0)
    except ValueError:
        known = [entry.code for entry in Currency]
        hint = errors.did_you_mean(currency.upper(), known)
        raise InvalidCurrency(
            wording.say("not an ISO 4217 currency code in capitals, such as EUR.{hint}", hint=hint),
            problems=[
                errors.FieldProblem(
                    "/currency",
                    "invalid_currency",
                    wording.say('"{currency}" is unknown.{hint}', currency=currency, hint=hint),
                )
            ],
        ) from None


def to_minor_units(amount: str | Decimal, currency: str) -> int:
    """`"19.90", "EUR"` → 1990. Raises InvalidAmount for text, negative, too large or too precise amounts."""
    places = exponent(currency)
    text = str(amount).strip()
    try:
        # Decimal takes exponents and underscores, which nobody writes into a price on purpose.
        number = Decimal(text if _UNUSUAL.search(text) is None else "")
    except InvalidOperation:
        raise InvalidAmount(wording.say('"{amount}" is not a decimal number such as 19.90.', amount=amount)) from None
    if not number.is_finite() or number < 0:
        raise InvalidAmount(wording.say('"{amount}" is not a price: it must be zero or more.', amount=amount))
    if number.adjusted() > 15:
        raise InvalidAmount(
            wording.say('"{amount}" is larger than the largest price that can be stored.', amount=amount)
        )
    scaled = number.scaleb(places)
    if scaled != scaled.to_integral_value():
        raise InvalidAmount(
            wording.say(
                '"{amount}" has more than the {places} decimal places of {currency}.',
                amount=amount,
                places=places,
                currency=currency,
            )
        )
    if scaled > MAXIMUM_MINOR_UNITS:
        raise InvalidAmount(
            wording.say('"{amount}" is larger than the largest price that can be stored.', amount=amount)
        )
    return int(scaled)


def to_decimal_text(minor_units: int, currency: str) -> str:
    """`1990, "EUR"` → `"19.90"`."""
    return str(Decimal(minor_units).scaleb(-exponent(currency)))
