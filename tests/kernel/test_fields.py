"""The rule of each field at its bounds, and what Unicode can do to names that people compare."""

from __future__ import annotations

import uuid
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.services import passwords
from apps.commerce.services import inputs as commerce
from apps.content.services import inputs as content
from apps.kernel import errors, validation

NBSP, ZERO_WIDTH, OVERRIDE, KELVIN, SOFT_HYPHEN = "\u00a0", "\u200b", "\u202e", "\u212a", "\u00ad"
LONG_S, COMBINING_ACUTE, FULL_WIDTH_A, CYRILLIC_A = "\u017f", "\u0301", "\uff21", "\u0410"
# One character that the composed form writes as three.
GROWS = "\ufb2c"


class Thing(validation.Input):
    """A field of each rule."""

    kind: content.Kind = "page"
    format: content.Format = content.models.Format.PLAIN
    locale: validation.Locale = "en"
    slug: validation.Slug = "a"
    position: validation.Position = 0
    depth: validation.Depth = 0
    reply_count: validation.ReplyCount = 0
    sku: validation.Sku = "a"
    quantity: validation.Quantity = 0
    currency: validation.Currency = "EUR"
    email: validation.Email = "ann@example.com"
    password: passwords.NewPassword = "correct horse"
    token: validation.Token = ""
    title: validation.Title = "a"
    short: validation.ShortText = ""
    excerpt: validation.Excerpt = ""
    flag: validation.Flag = True
    at: validation.Moment | None = None
    node_id: content.NodeId | None = None
    taxonomy: content.Taxonomy = "category"


def taken(**field: Any) -> Any:
    """The value of the one field, as the model has it."""
    [name] = field
    return getattr(validation.parse(Thing, field), name)


def refused(**field: Any) -> errors.FieldProblem:
    """What is said about the one field, which can be sent as JSON."""
    with pytest.raises(errors.ValidationFailed) as failure:
        validation.parse(Thing, field)
    [problem] = failure.value.problems
    assert problem.pointer == f"/{next(iter(field))}"
    orjson.dumps([problem.code, problem.detail])
    return problem


@pytest.mark.parametrize(
    ("field", "value", "code", "fix"),
    [
        (
            "kind",
            "pgae",
            "invalid_kind",
            'one of article, attachment, comment, custom, page, post. Did you mean "page"?',
        ),
        ("kind", "", "invalid_kind", "one of article"),
        ("kind", None, "invalid_kind", "one of article"),
        ("kind", "Page", "invalid_kind", 'Did you mean "page"?'),
        ("kind", "p\u0430ge", "invalid_kind", "one of article"),  # a Cyrillic a
        ("kind", "x" * 65, "invalid_kind", "one of article"),
        ("format", "htm", "invalid_format", 'one of markdown, html, plain, json. Did you mean "html"?'),
        ("format", 1, "invalid_format", "one of markdown"),
        ("locale", "e", "invalid_locale_length", "2 to 10 characters"),
        ("locale", "", "invalid_locale_length", "2 to 10 characters"),
        ("locale", "en-GB-oxend", "invalid_locale_length", "2 to 10 characters"),
        ("locale", "en_GB", "invalid_locale_format", 'looks like "en" or "en-GB"'),
        ("locale", "EN", "invalid_locale_format", 'looks like "en"'),
        ("locale", "en-GB-x", "invalid_locale_format", 'looks like "en"'),
        ("locale", "\uff45\uff4e", "invalid_locale_format", 'looks like "en"'),
        ("slug", "", "slug_empty", "at least one character"),
        ("slug", "a" * 256, "slug_too_long", "at most 255 characters"),
        ("slug", "Red", "slug_invalid_characters", "a-z, 0-9 and single hyphens"),
        ("slug", "-red", "slug_hyphen_boundary", "neither begins nor ends"),
        ("slug", "red-", "slug_hyphen_boundary", "neither begins nor ends"),
        ("slug", "red--shoes", "slug_consecutive_hyphens", "no two hyphens in a row"),
        ("position", -1, "position_must_be_non_negative", "zero or more"),
        ("position", 100_001, "position_too_large", "100000 at most"),
        ("position", "1", "int_type", "send a whole number"),
        ("position", 1.0, "int_type", "send a whole number"),
        ("position", True, "int_type", "send a whole number"),
        ("depth", -1, "depth_must_be_non_negative", "zero or more"),
        ("depth", 101, "depth_too_large", "100 at most"),
        ("reply_count", -1, "reply_count_must_be_non_negative", "zero or more"),
        ("reply_count", 2**31, "reply_count_too_large", "2147483647 at most"),
        ("reply_count", 10**400, "reply_count_too_large", "2147483647 at most"),
        ("sku", "", "sku_empty", "leave it out"),
        ("sku", "a" * 256, "sku_too_long", "at most 255 characters"),
        ("sku", 12, "string_type", "send text"),
        ("quantity", -1, "quantity_must_be_non_negative", "zero or more"),
        ("quantity", 1_000_000_001, "quantity_too_large", "1000000000 at most"),
        ("currency", "eur", "invalid_currency", 'in capitals, such as EUR. Did you mean "EUR"?'),
        ("currency", "XQX", "invalid_currency", "ISO 4217"),
        ("currency", "", "invalid_currency", "ISO 4217"),
        ("email", "", "invalid_email", "such as ann@example.com"),
        ("email", "ann", "invalid_email", "such as ann@example.com"),
        ("email", "ann@", "invalid_email", "such as ann@example.com"),
        ("email", "ann@example..com", "invalid_email", "such as ann@example.com"),
        ("email", "Ann <ann@example.com>", "invalid_email", "such as ann@example.com"),
        ("email", "ann@example.com, bob@example.com", "invalid_email", "such as ann@example.com"),
        ("email", "ann@example.com\nBcc: bob@example.com", "invalid_email", "such as ann@example.com"),
        ("email", f"{'a' * 243}@example.com", "email_too_long", "at most 254 characters"),
        ("email", 5, "string_type", "send text"),
        ("password", "123456789", "password_too_short", "at least 10 characters"),
        ("password", "x" * 129, "password_too_long", "at most 128 characters"),
        ("token", "x" * 256, "token_too_long", "at most 255 characters"),
        ("title", "", "string_too_short", "at least 1 characters"),
        ("title", " \t ", "string_too_short", "at least 1 characters"),
        ("title", "x" * 256, "string_too_long", "at most 255 characters"),
        ("short", "x" * 256, "string_too_long", "at most 255 characters"),
        ("excerpt", "x" * 1001, "string_too_long", "at most 1000 characters"),
        ("flag", "true", "bool_type", "send true or false"),
        ("flag", 1, "bool_type", "send true or false"),
        ("at", 1_700_000_000, "datetime_type", "such as 2026-01-31T12:00:00Z"),
        ("at", "1700000000", "datetime_type", "such as 2026-01-31T12:00:00Z"),
        ("at", "2026-01-31T12:00:00", "timezone_aware", "time zone"),
        ("node_id", "prod_01h455vb4pex5vsknk084sn02q", "invalid_id", "expected node_"),
        ("node_id", 5, "uuid_type", "send an identifier"),
        ("taxonomy", "Post Tag", "invalid_taxonomy", "such as post_tag"),
        ("taxonomy", "x" * 65, "string_too_long", "at most 64 characters"),
    ],
)
def test_a_value_outside_its_bounds_is_refused_with_code_and_fix(field: str, value: Any, code: str, fix: str) -> None:
    problem = refused(**{field: value})

    assert problem.code == code
    assert fix in problem.detail


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("kind", kind) for kind in ("post", "page", "article", "custom")),
        *(("format", form) for form in ("markdown", "html", "plain", "json")),
        *(("locale", locale) for locale in ("en", "en-GB", "es-41")),
        *(("slug", slug) for slug in ("a", "7", "a" * 255, "red-shoes-2")),
        *(("position", number) for number in (0, 100_000)),
        *(("depth", number) for number in (0, 100)),
        *(("reply_count", number) for number in (0, 2**31 - 1)),
        *(("sku", sku) for sku in ("a", "A" * 255, "RED/42 (EU) №7", "Диван-XL", "靴-1")),
        *(("quantity", number) for number in (0, 1_000_000_000)),
        *(("currency", code) for code in ("EUR", "JPY", "KWD")),
        *(
            ("email", text)
            for text in ("a@b.co", f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 57}.com", "o'hara+x@example.com")
        ),
        *(("password", text) for text in ("1234567890", "x" * 128, "  as it was typed  ")),
        *(("title", text) for text in ("a", "x" * 255, "👩‍👩‍👧 и 靴")),
        ("excerpt", "two\nlines"),
        ("node_id", "0195f0a0-0000-7000-8000-000000000000"),
    ],
)
def test_a_value_at_its_bounds_is_taken_as_it_is(field: str, value: Any) -> None:
    found = taken(**{field: value})

    assert found == value or found == uuid.UUID(value)


@pytest.mark.parametrize(
    ("amount", "code", "fix"),
    [
        ("-0.01", "price_must_be_non_negative", "zero or more"),
        ("10000000000000.01", "price_too_large", "10000000000000.00 EUR"),
        ("9" * 40, "price_too_large", "larger than the largest price"),
        ("1.999", "price_too_precise", "the 2 decimal places of EUR"),
        ("", "invalid_amount", "decimal number such as 19.90"),
        ("1,50", "invalid_amount", "decimal number such as 19.90"),
        ("1e3", "invalid_amount", "decimal number such as 19.90"),
        ("1_000", "invalid_amount", "decimal number such as 19.90"),
        ("0" * 41, "invalid_amount", "decimal number such as 19.90"),
        ("9" * 1_000_000, "invalid_amount", "decimal number such as 19.90"),
        ("\u0661\u0669", "invalid_amount", "decimal number such as 19.90"),  # Arabic digits
        ("\uff11\uff19", "invalid_amount", "decimal number such as 19.90"),  # digits of full width
        ("\u22121", "invalid_amount", "decimal number such as 19.90"),  # a minus of typographers
        ("\ud800", "invalid_amount", "decimal number such as 19.90"),
        (19.9, "invalid_amount", 'decimal text, such as "19.90"'),
        (None, "invalid_amount", 'decimal text, such as "19.90"'),
    ],
)
def test_what_is_no_price_is_refused_with_code_and_fix(amount: Any, code: str, fix: str) -> None:
    with pytest.raises(errors.ValidationFailed) as failure:
        validation.parse(commerce.PriceInput, {"currency": "EUR", "amount": amount})

    [problem] = failure.value.problems
    assert (problem.pointer, problem.code) == ("/amount", code)
    assert fix in problem.detail
    assert len(orjson.dumps(problem.detail)) < 400


@pytest.mark.parametrize(("amount", "minor"), [("0", 0), ("0.01", 1), ("10000000000000.00", 10**15)])
def test_the_smallest_and_the_largest_price_are_taken(amount: str, minor: int) -> None:
    assert validation.parse(commerce.PriceInput, {"currency": "EUR", "amount": amount}).amount == minor


def test_a_wrong_currency_does_not_hide_a_wrong_amount() -> None:
    with pytest.raises(errors.ValidationFailed) as failure:
        validation.parse(commerce.PriceInput, {"currency": "EURO", "amount": "much"})

    assert [problem.code for problem in failure.value.problems] == ["invalid_currency", "invalid_amount"]


# --- Unicode -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", ["slug", "sku", "email", "title", "short", "excerpt", "password", "token", "taxonomy"]
)
@pytest.mark.parametrize(("text", "code"), [("a\x00b", "nul_character"), ("a\ud800b", "lone_surrogate")])
def test_text_that_cannot_be_stored_is_refused(field: str, text: str, code: str) -> None:
    asked = f"{text}@example.com" if field == "email" else text * 10

    assert refused(**{field: asked}).code in {code, "slug_invalid_characters", "invalid_taxonomy"}


@pytest.mark.parametrize(
    "text",
    [
        "résumé",
        "\u0440\u0430ypal",
        f"a{ZERO_WIDTH}b",
        f"a{OVERRIDE}b",
        f"a{SOFT_HYPHEN}b",
        "\uff41",
        "ﬁ",
        "①",
        KELVIN,
        "İ",
        "a\nb",
    ],
)
def test_no_two_slugs_look_alike_and_differ(text: str) -> None:
    assert refused(slug=text).code == "slug_invalid_characters"


@pytest.mark.parametrize(
    "character", ["\n", "\t", "\x7f", NBSP, ZERO_WIDTH, OVERRIDE, SOFT_HYPHEN, "\u2028", "\ufeff", "\ue000", "\u200d"]
)
def test_nothing_invisible_tells_two_skus_apart(character: str) -> None:
    problem = refused(sku=f"RED{character}42")

    assert problem.code == "sku_invalid_characters"
    assert f"remove U+{ord(character):04X}" in problem.detail


@pytest.mark.parametrize("field", ["sku", "title", "short"])
def test_two_ways_to_type_a_name_are_one_name(field: str) -> None:
    assert taken(**{field: f"Cafe{COMBINING_ACUTE}"}) == "Café" == taken(**{field: "Café"})
    assert taken(**{field: f"  {NBSP}a b "}) == "a b"


@pytest.mark.parametrize(("field", "code"), [("sku", "sku_too_long"), ("title", "string_too_long")])
def test_a_text_that_grows_when_it_is_composed_stays_within_its_bounds(field: str, code: str) -> None:
    assert len(taken(**{field: GROWS * 85})) == 255
    assert refused(**{field: GROWS * 86}).code == code


@pytest.mark.parametrize("text", [ZERO_WIDTH, OVERRIDE * 3, SOFT_HYPHEN, "\u2060", "\ufeff\u200d"])
def test_a_title_has_something_to_be_seen(text: str) -> None:
    assert refused(title=text).code == "nothing_visible"
    assert taken(short=text) == text


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\x1b", "\x7f", "\u2028", "\u2029"])
def test_a_title_is_one_line(character: str) -> None:
    problem = refused(title=f"a{character}b")

    assert problem.code == "control_character"
    assert f"U+{ord(character):04X}" in problem.detail


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("  Ann@Example.COM ", "ann@example.com"),
        ("ann@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com", "ann@example.com"),
        (f"ann@{KELVIN}ayak.com", "ann@kayak.com"),
        (f"ann@exam{SOFT_HYPHEN}ple.com", "ann@example.com"),
        ("ann@пример.рф", "ann@xn--e1afmkfd.xn--p1ai"),
        ("ann@XN--E1AFMKFD.xn--p1ai", "ann@xn--e1afmkfd.xn--p1ai"),
        ("ann@faß.de", "ann@xn--fa-hia.de"),  # not fass.de, which is somebody else's
    ],
)
def test_a_mailbox_has_one_address_however_it_is_typed(typed: str, address: str) -> None:
    assert taken(email=typed) == address
    assert validation.find_email(typed) == address


@pytest.mark.parametrize(
    "address",
    [
        f"{KELVIN}ate@example.com",  # in lower case this would be kate
        f"jame{LONG_S}@example.com",
        "mıke@example.com",
        f"an{ZERO_WIDTH}n@example.com",
        f"ann@exam{ZERO_WIDTH[:0]}\u200dple.com",
        "\u0430nn@example.com",
        f"{OVERRIDE}ann@example.com",
        "ann@exam ple.com",
    ],
)
def test_an_address_that_only_looks_like_one_is_refused(address: str) -> None:
    assert refused(email=address).code == "invalid_email"


@given(st.text(max_size=40))
def test_whatever_is_typed_is_taken_the_same_again_or_refused_in_words(text: str) -> None:
    for field in ("slug", "sku", "email", "title", "short", "excerpt"):
        try:
            found = taken(**{field: text})
        except errors.ValidationFailed as failure:
            assert all(problem.detail for problem in failure.problems)
        else:
            assert taken(**{field: found}) == found


# --- Secrets, and single values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["hunter2", "hunter2 " * 100, "hunter2 and more\x00", "hunter2 and more\ud800", 712_345_678]
)
def test_a_secret_is_not_repeated_by_its_refusal(value: Any) -> None:
    problem = refused(password=value)

    assert "hunter2" not in problem.detail
    assert "712345678" not in problem.detail


def test_what_nobody_sees_is_shown_in_the_refusal_and_no_terminal_obeys_it() -> None:
    assert refused(sku=f"RED{ZERO_WIDTH}42").detail.startswith(r'"RED\u200b42": ')
    assert refused(title="a\x1b[2Jb").detail.startswith(r'"a\x1b[2Jb": ')
    assert refused(slug="é" * 61).detail.startswith(f'"{"é" * 60}…": ')


def test_one_value_is_checked_as_a_model_would_and_the_refusal_names_its_field() -> None:
    assert validation.check(validation.Sku, "  RED-42 ", field="sku") == "RED-42"
    with pytest.raises(errors.ValidationFailed) as failure:
        validation.check(validation.Quantity, -1, field="quantity")

    assert str(failure.value.detail) == 'quantity: "-1": this is zero or more'
    assert failure.value.problems[0].pointer == "/quantity"


def test_a_word_that_is_none_of_those_allowed_is_told_the_nearest() -> None:
    with pytest.raises(errors.ValidationFailed, match='Did you mean "continue"'):
        validation.parse(commerce.VariantInput, {"inventory_policy": "continu"})
