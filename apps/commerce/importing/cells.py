"""The values in cells: what people write for amounts, quantities, weights, yes and no, and addresses of pictures."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

from apps.commerce.importing.mapped import Mapped, Note, Skipped
from apps.commerce.importing.rows import Row
from apps.commerce.services import inputs
from apps.kernel import money, validation
from apps.kernel.errors import ValidationFailed

YES = {"true", "yes", "1", "y", "t"}
NO = {"false", "no", "0", "n", "f"}
_MOST_DIGITS = 15
_LONGEST_NUMBER = 60
_THOUSANDS = str.maketrans("", "", " \u00a0\u202f\u2009'’")
# What a sign of money can stand for; one that stands for others than the currency at work is worth a note.
_SIGNS = {
    "€": {"EUR"}, "£": {"GBP", "EGP", "GIP", "FKP", "SHP"}, "₫": {"VND"}, "₽": {"RUB"}, "₹": {"INR"}, "₩": {"KRW"},
    "$": {"USD", "AUD", "CAD", "NZD", "HKD", "SGD", "MXN", "TWD", "ARS", "CLP", "COP", "BSD", "BBD", "JMD", "TTD"},
    "¥": {"JPY", "CNY"}, "₴": {"UAH"}, "₺": {"TRY"}, "₪": {"ILS"}, "฿": {"THB"}, "₱": {"PHP"},
}  # fmt: skip
_COMMON = {"USD", "GBP", "JPY"}
_CODE = re.compile(r"^([A-Z]{3})\s*(?=[\d.,-])|(?<=[\d.,])\s*([A-Z]{3})$")
_POUND = Decimal("453.59237")
GRAMS = {"": Decimal(1), "g": Decimal(1), "kg": Decimal(1000), "lb": _POUND, "lbs": _POUND, "oz": _POUND / 16}
_HOST = re.compile(r"(www\.|[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}/)", re.IGNORECASE)


def plain_number(text: str, *, mark: str = "") -> str:
    """The number with a point for decimals and nothing for thousands: `1.234,50` and `1,234.50` are both `1234.50`.

    `mark` is the decimal mark where that is known. Where both occur the last one is it; a lone comma is one unless
    three digits follow it, and a lone point always is.
    """
    bare = text.translate(_THOUSANDS)
    if mark:
        return bare.replace("." if mark == "," else ",", "").replace(mark, ".")
    comma, point = bare.rfind(","), bare.rfind(".")
    if comma < 0:
        return bare.replace(".", "") if bare.count(".") > 1 and _are_groups(bare, ".") else bare
    if point >= 0:
        return bare.replace(",", "") if point > comma else bare.replace(".", "").replace(",", ".")
    return bare.replace(",", "") if _are_groups(bare, ",") else bare.replace(",", ".")


def amount(mapped: Mapped, row: Row, key: str, currency: str, *, mark: str = "") -> int | None:
    """In minor units; None for an empty cell. Raises Skipped for what is no amount."""
    text = row.get(key)
    if not text:
        return None
    number, others = _without_currency(text)
    if others and currency not in others:
        named = " or ".join(sorted(others, key=lambda code: (code not in _COMMON, code))[:3])
        mapped.note(row, key, f"the amount is in {named}; taken as {currency}")
    plain = plain_number(number, mark=mark)
    try:
        return money.to_minor_units(plain, currency)
    except money.InvalidAmount as error:
        detail = error.detail.rstrip(".").replace(f'"{plain}"', f'"{number}"')  # as it stands in the file
        raise Skipped(Note(row.number, key, text, f'{detail}; product "{mapped.name}" skipped')) from None


def compare_at(mapped: Mapped, row: Row, key: str, currency: str, price: int, *, mark: str = "") -> int | None:
    """The price before a reduction; one that can't be one is left out."""
    try:
        found = amount(mapped, row, key, currency, mark=mark)
    except Skipped as refused:
        detail = refused.note.problem.rpartition(";")[0]
        mapped.note(row, key, f"{detail}; imported without a compare-at price")
        return None
    if found is not None and found < price:
        mapped.note(row, key, "the compare-at price is below the price; imported without it")
        return None
    return found


def price(mapped: Mapped, row: Row, keys: tuple[str, str], currency: str, *, mark: str = "") -> inputs.PriceInput:
    """From the columns of the price and of the one before a reduction. Raises Skipped where there is none."""
    found = amount(mapped, row, keys[0], currency, mark=mark)
    if found is None:
        problem = f'a variant without a price; product "{mapped.name}" skipped'
        raise Skipped(Note(row.number, keys[0], "", problem))
    return priced(currency, found, compare_at(mapped, row, keys[1], currency, found, mark=mark))


def priced(currency: str, amount: int, before: int | None) -> inputs.PriceInput:
    """A price of minor units that are known to be right."""
    return inputs.PriceInput.model_construct(currency=currency, amount=amount, compare_at=before)


def weight(mapped: Mapped, row: Row, key: str, *, unit: str = "g", mark: str = "") -> int | None:
    """In grams; None for an empty cell and for what is no weight."""
    text = row.get(key)
    if not text:
        return None
    number = decimal(text, mark=mark)
    grams = None if number is None else round(number * GRAMS[unit])
    if grams is None or not validation.fits(inputs.Grams, grams):
        named = {"g": "grams", "kg": "kilograms", "lb": "pounds", "lbs": "pounds", "oz": "ounces"}.get(unit, unit)
        mapped.note(row, key, f"not a weight in {named}; imported without a weight")
        return None
    return grams


def quantity(mapped: Mapped, row: Row, key: str, *, mark: str = "") -> int | None:
    """A stock; None for an empty cell and for what is none. A negative one counts as 0."""
    text = row.get(key)
    if not text:
        return None
    number = decimal(text, mark=mark)
    if number is not None and number < 0:
        mapped.note(row, key, "the stock is negative; imported as 0")
        return 0
    if number is None or number != number.to_integral_value() or not validation.fits(validation.Quantity, int(number)):
        mapped.note(row, key, "not a quantity; imported without stock")
        return None
    return int(number)


def decimal(text: str, *, mark: str = "") -> Decimal | None:
    if len(text) > _LONGEST_NUMBER:
        return None
    plain = plain_number(text, mark=mark)
    try:
        number = Decimal(plain if plain.isascii() else "")
    except InvalidOperation:
        return None
    # 1e999999 is quickly read, and takes forever to be written out.
    return number if number.is_finite() and number.adjusted() <= _MOST_DIGITS else None


def flag(mapped: Mapped, row: Row, key: str, *, default: bool) -> bool:
    text = row.get(key).casefold()
    if text in YES:
        return True
    if text in NO or not text:
        return default if not text else False
    mapped.note(row, key, "neither true nor false; taken as false")
    return False


def sku(mapped: Mapped, row: Row, key: str) -> str | None:
    """As it is kept here, so that those of other variants are found. One that can't be kept costs no variant."""
    text = row.get(key).lstrip("'").strip()
    try:
        found: str | None = validation.check(validation.OptionalSku, text, field="sku")
    except ValidationFailed as failure:
        mapped.note(row, key, f"{failure.problems[0].detail}; imported without a SKU", value=text)
        return None
    return found


def image_url(mapped: Mapped, row: Row, key: str, url: str) -> str:
    """The address of a picture, with a scheme where it had none; empty for what is no address."""
    if not url.startswith(("https://", "http://", "//")) and _HOST.match(url):
        mapped.note(row, key, "the address has no scheme; taken with https://", value=url)
        url = f"https://{url}"
    if " " in url and url.startswith(("https://", "http://", "//")):
        mapped.note(row, key, "the address has spaces; taken with %20 in their place", value=url)
        url = url.replace(" ", "%20")
    if url.startswith(("https://", "http://", "//")) and validation.fits(inputs.ImageUrl, url):
        return url
    problem = "not an address that starts with https:// or http://, without spaces; imported without this image"
    mapped.note(row, key, problem, value=url)
    return ""


def _are_groups(bare: str, sign: str) -> bool:
    """Whether the signs set off groups of three digits."""
    first, *groups = bare.lstrip("+-").split(sign)
    return 1 <= len(first) <= 3 and all(len(group) == 3 and group.isdigit() for group in groups)


def _without_currency(text: str) -> tuple[str, set[str]]:
    """The number, and what currencies the sign or code beside it can mean; none where there is no sign."""
    if text.isascii() and text[-1:].isdigit() and text[0].isdigit():
        return text, set()
    named: set[str] = set()
    if code := _CODE.search(text):
        named, text = {code[1] or code[2]}, _CODE.sub("", text, count=1)
    signs = {sign for sign in text if unicodedata.category(sign) == "Sc"}
    if len(signs) == 1:
        (sign,) = signs
        if text.startswith(sign) or text.endswith(sign) or text.startswith(f"-{sign}"):
            return text.replace(sign, "", 1).strip(), named or _SIGNS.get(sign, set())
    return text.strip(), named
