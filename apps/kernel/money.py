"""Money: integer minor units and an ISO 4217 code, with the exponent the standard gives the currency."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from iso4217 import Currency

from apps.kernel import errors, wording

MAXIMUM_MINOR_UNITS = 10**15
LONGEST_AMOUNT = 40
FINEST = "CLF"  # no currency has more decimal places
_UNUSUAL = re.compile(r"[0-9][eE_]")


class InvalidCurrency(errors.ValidationFailed):
    """The currency is no ISO 4217 code. Send three capitals, such as EUR."""

    code = "invalid_currency"


class InvalidAmount(errors.ValidationFailed):
    """The amount is no price: not a decimal number, negative, too large, or finer than its currency; the code of the
    field says which. Send one such as 19.90."""

    code = "invalid_amount"


def currencies() -> list[str]:
    """The codes of ISO 4217, in order."""
    return sorted(entry.code for entry in Currency)


@lru_cache(maxsize=512)
def exponent(currency: str) -> int:
    """Decimal places of the currency: 2 for EUR, 0 for JPY, 3 for KWD. Raises InvalidCurrency."""
    try:
        return int(Currency(currency).exponent or 0)
    except ValueError:
        hint = errors.did_you_mean(currency.upper(), currencies())
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
    number = _number(str(amount).strip())
    if number is None:
        raise _refused(
            "invalid_amount", wording.say('"{amount}" is not a decimal number such as 19.90.', amount=_cut(amount))
        )
    if not number.is_finite() or number < 0:
        raise _refused(
            "price_must_be_non_negative",
            wording.say('"{amount}" is not a price: it must be zero or more.', amount=_cut(amount)),
        )
    if number.adjusted() > 15 or (scaled := number.scaleb(places)) > MAXIMUM_MINOR_UNITS:
        raise _refused(
            "price_too_large",
            wording.say(
                '"{amount}" is larger than the largest price that can be stored, {limit} {currency}.',
                amount=_cut(amount),
                limit=to_decimal_text(MAXIMUM_MINOR_UNITS, currency),
                currency=currency,
            ),
        )
    if scaled != scaled.to_integral_value():
        raise _refused(
            "price_too_precise",
            wording.say(
                '"{amount}" has more than the {places} decimal places of {currency}.',
                amount=_cut(amount),
                places=places,
                currency=currency,
            ),
        )
    return int(scaled)


def _number(text: str) -> Decimal | None:
    """Of ASCII digits only, and without the exponents and underscores that nobody writes into a price on purpose."""
    if len(text) > LONGEST_AMOUNT or not text.isascii() or _UNUSUAL.search(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _refused(code: str, detail: str) -> InvalidAmount:
    return InvalidAmount(detail, problems=[errors.FieldProblem("/amount", code, detail)])


def _cut(amount: str | Decimal) -> str:
    """As it can be sent back: not all of it where it is long, and without half characters."""
    text = str(amount).encode(errors="replace").decode()
    return f"{text[:60]}…" if len(text) > 60 else text


def to_decimal_text(minor_units: int, currency: str) -> str:
    """`1990, "EUR"` → `"19.90"`."""
    return str(Decimal(minor_units).scaleb(-exponent(currency)))
