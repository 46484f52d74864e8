"""Money is exact, in the currency's own exponent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.kernel import money


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("19.90", "EUR", 1990),
        ("19.9", "USD", 1990),
        ("14000000", "VND", 14_000_000),
        ("1.234", "KWD", 1234),
        ("0", "JPY", 0),
    ],
)
def test_amounts_become_minor_units(amount: str, currency: str, minor: int) -> None:
    assert money.to_minor_units(amount, currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency", "complaint"),
    [
        ("19.999", "EUR", "more than the 2 decimal places"),
        ("15.99", "VND", "more than the 0 decimal places"),
        ("-1", "EUR", "zero or more"),
        ("$5", "EUR", "not a decimal number"),
        ("1,50", "EUR", "not a decimal number"),
        ("NaN", "EUR", "zero or more"),
        ("Infinity", "EUR", "zero or more"),
        ("9" * 30, "EUR", "larger than the largest"),
        ("", "EUR", "not a decimal number"),
    ],
)
def test_what_is_not_a_price_is_refused(amount: str, currency: str, complaint: str) -> None:
    with pytest.raises(money.InvalidAmount, match=complaint):
        money.to_minor_units(amount, currency)


@pytest.mark.parametrize("currency", ["EURO", "eur", "", "XQX"])
def test_an_unknown_currency_is_named(currency: str) -> None:
    with pytest.raises(money.InvalidCurrency, match="ISO 4217"):
        money.exponent(currency)


def test_a_lower_case_currency_suggests_the_right_one() -> None:
    with pytest.raises(money.InvalidCurrency, match='Did you mean "EUR"'):
        money.exponent("eur")


@given(minor=st.integers(0, money.MAXIMUM_MINOR_UNITS), currency=st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_there_and_back_is_the_same(minor: int, currency: str) -> None:
    assert money.to_minor_units(money.to_decimal_text(minor, currency), currency) == minor
