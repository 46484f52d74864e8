"""The rules of single fields. Each refusal has a stable code of its own, and a sentence that says what to do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import idna
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from apps.kernel import errors, ids, money, wording
from apps.kernel.validation.stored import MAXIMUM_METADATA_BYTES, check_metadata, refuse_nul, to_moment

MAXIMUM_LOCALES = 100
MAXIMUM_DEPTH = 100
MAXIMUM_SKU = 255
MAXIMUM_EMAIL = 254  # RFC 5321, 4.5.3.1.3, without the brackets
_LOCALE = re.compile(r"[a-z]{2}(-[A-Z0-9]{2})?")
_DATE = re.compile(r"\s*[0-9]{4}-")
_LOCALE_PATTERN = "^[a-z]{2}(-[A-Z0-9]{2})?$"
_SLUG = re.compile(r"[a-z0-9-]*")
# Letters, digits, punctuation and symbols. Not among them is what nobody sees: controls, joiners, marks of direction.
_CATEGORIES_OF_A_SKU = frozenset("LMNPS")
_LINE = r"^[^\u0000-\u001f\u007f\u2028\u2029]*$"
_VISIBLE_LINE = (
    r"^[^\u0000-\u001f\u007f\u2028\u2029]*[^\s\u0000-\u001f\u007f\u2028\u2029][^\u0000-\u001f\u007f\u2028\u2029]*$"
)
# Separators of lines that are no control characters.
_LINE_SEPARATORS = frozenset("\u2028\u2029")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, which text and 1.0 are not. Refused as `<name>_must_be_non_negative`, `<name>_too_small` or
    `<name>_too_large`."""

    name: str
    maximum: int
    minimum: int = 0

    def check(self, value: int) -> int:
        if value < self.minimum == 0:
            raise wording.refusal(f"{self.name}_must_be_non_negative", "this is zero or more")
        if value < self.minimum:
            raise wording.refusal(f"{self.name}_too_small", "this is {minimum} or more", minimum=self.minimum)
        if value > self.maximum:
            raise wording.refusal(f"{self.name}_too_large", "this is {maximum} at most", maximum=self.maximum)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, core_schema.int_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text in the composed form of Unicode (NFC), so that what looks the same is the same.

    With a `minimum` there is something to be seen in it.
    """

    maximum: int
    minimum: int = 0

    def check(self, value: str) -> str:
        refuse_nul(value)
        composed = value if value.isascii() else unicodedata.normalize("NFC", value)
        if len(composed) > self.maximum:  # a few characters are written as several in this form
            raise wording.refusal(
                "string_too_long", "this has at most {max_length} characters", max_length=self.maximum
            )
        if found := next((character for character in composed if _breaks_a_line(character)), ""):
            raise wording.refusal(
                "control_character",
                "this is one line of text; remove the line break or control character {character}",
                character=_code_point(found),
            )
        return check_visible(composed) if self.minimum else composed

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(min_length=self.minimum or None, max_length=self.maximum)
        return core_schema.no_info_after_validator_function(self.check, text)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Without what Unicode's tables know: which characters are composed, and which can be seen."""
        return {**handler(schema), "pattern": _VISIBLE_LINE if self.minimum else _LINE}


@dataclass(frozen=True, slots=True)
class Secret:
    """A password or token, as it was typed: nothing trimmed, cut off or folded, and never repeated in a refusal."""

    name: str
    maximum: int
    minimum: int = 0

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise _unrepeated("string_type", wording.say("send text"))
        try:
            refuse_nul(value)
        except PydanticCustomError as error:
            raise _unrepeated(error.type, (error.context or {})["said"]) from None
        if len(value) > self.maximum:
            said = wording.say("this has at most {max_length} characters", max_length=self.maximum)
            raise _unrepeated(f"{self.name}_too_long", said)
        if len(value) < self.minimum:
            said = wording.say("this has at least {min_length} characters", min_length=self.minimum)
            raise _unrepeated(f"{self.name}_too_short", said)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "password", "minLength": self.minimum, "maxLength": self.maximum}


def _unrepeated(code: str, said: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{said}", {"said": said, "is_secret": True})


@dataclass(frozen=True, slots=True)
class TypedId:
    """For a UUID: the id as the API returned it, `node_…`, or a plain UUID. Refused as `invalid_id`."""

    prefix: str

    def decode(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return ids.decode(self.prefix, value)
        except ids.InvalidId as error:
            raise wording.refusal("invalid_id", "{reason}", reason=error.detail) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.decode, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        shown = f"a typed id: {self.prefix}_ and 26 characters, or a UUID"
        return {"type": "string", "pattern": ids.pattern(self.prefix), "maxLength": 36, "description": shown}


@dataclass(frozen=True, slots=True)
class Prose:
    """Text of any shape, kept as it is but for blanks around it."""

    maximum: int
    minimum: int = 0

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(min_length=self.minimum or None, max_length=self.maximum)
        return core_schema.no_info_after_validator_function(refuse_nul, text)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": r"\S"} if self.minimum else handler(schema)


@dataclass(frozen=True, slots=True)
class SlugRule:
    """A name for URLs, in ASCII only: no two slugs look alike and differ."""

    maximum: int

    def check(self, value: str) -> str:
        if not value:
            raise wording.refusal("slug_empty", "a slug has at least one character")
        if len(value) > self.maximum:
            raise wording.refusal("slug_too_long", "a slug has at most {limit} characters", limit=self.maximum)
        if not _SLUG.fullmatch(value):
            raise wording.refusal(
                "slug_invalid_characters", "a slug has only a-z, 0-9 and single hyphens between them, such as red-shoes"
            )
        if value.startswith("-") or value.endswith("-"):
            raise wording.refusal("slug_hyphen_boundary", "a slug neither begins nor ends with a hyphen")
        if "--" in value:
            raise wording.refusal("slug_consecutive_hyphens", "a slug has no two hyphens in a row")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, core_schema.str_schema())

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        pattern = "^[a-z0-9]+(-[a-z0-9]+)*$"
        return {**handler(schema), "minLength": 1, "maxLength": self.maximum, "pattern": pattern}


@dataclass(frozen=True, slots=True)
class EmptyIsNone:
    """Takes empty text as nothing given, as forms and tables send it."""

    @staticmethod
    def check(value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(schema)
        return {"anyOf": [*found.get("anyOf", [found]), {"const": ""}]}


class LooksLike:
    """Says in the OpenAPI document what the texts look like that the rule behind it takes."""

    def __init__(self, **schema: Any) -> None:
        self._schema = schema

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), **self._schema}


@dataclass(frozen=True, slots=True)
class ByLocale:
    """Says in the OpenAPI document that no other names of members are taken than locales."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(schema)
        ((pattern, value),) = found.pop("patternProperties").items()
        names = {**found.get("propertyNames", {}), "pattern": pattern}
        return {**found, "propertyNames": names, "additionalProperties": value}


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words, which may still become more; refused as `code` with the nearest of them."""

    words: Callable[[], Iterable[str]]
    code: str

    def check(self, value: Any) -> Any:
        known = list(self.words())
        if not isinstance(value, str) or value not in known:
            hint = errors.did_you_mean(value, known) if isinstance(value, str) else ""
            raise wording.refusal(self.code, "this is one of {known}.{hint}", known=", ".join(known), hint=hint)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words())}


def check_visible(value: str) -> str:
    """Text with something to be seen in it. Raises PydanticCustomError."""
    if not any(unicodedata.category(character)[0] in "LMNPS" for character in value):
        raise wording.refusal("nothing_visible", "there is nothing to be seen in this; write something")
    return value


def _breaks_a_line(character: str) -> bool:
    return character < " " or character == "\x7f" or character in _LINE_SEPARATORS


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def _check_locale(value: str) -> str:
    if not 2 <= len(value) <= 10:
        raise wording.refusal("invalid_locale_length", 'a locale has 2 to 10 characters, such as "en" or "en-GB"')
    if not _LOCALE.fullmatch(value):
        raise wording.refusal("invalid_locale_format", 'a locale looks like "en" or "en-GB"')
    return value


def _check_sku(value: str) -> str:
    """Composed, so that two ways to type it are one SKU. Case matters, as it does to those who print the labels."""
    refuse_nul(value)
    composed = unicodedata.normalize("NFC", value)
    if not composed:
        raise wording.refusal("sku_empty", "a SKU has at least one character; leave it out where there is none")
    if len(composed) > MAXIMUM_SKU:
        raise wording.refusal("sku_too_long", "a SKU has at most {limit} characters", limit=MAXIMUM_SKU)
    for character in composed:
        if character != " " and unicodedata.category(character)[0] not in _CATEGORIES_OF_A_SKU:
            raise wording.refusal(
                "sku_invalid_characters",
                "a SKU has letters, digits, punctuation and plain spaces; remove {character}",
                character=_code_point(character),
            )
    return composed


def _check_currency(value: str) -> str:
    try:
        money.exponent(value)
    except money.InvalidCurrency as error:
        raise wording.refusal("invalid_currency", "{reason}", reason=error.detail) from None
    return value


def _check_email(value: str) -> str:
    """In lower case, the domain as it is in the DNS: one mailbox has one address, however it is typed."""
    refuse_nul(value)
    if len(value) > MAXIMUM_EMAIL:
        raise wording.refusal("email_too_long", "an e-mail address has at most {limit} characters", limit=MAXIMUM_EMAIL)
    local, _, domain = value.rpartition("@")
    try:
        # Before it is put into lower case: there, signs that look like letters become letters.
        found = f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True, std3_rules=True).decode()}"
        validate_email(found)
    except (ValidationError, idna.IDNAError):
        raise wording.refusal("invalid_email", "this is not an e-mail address such as ann@example.com") from None
    if not local.isascii() or len(found) > MAXIMUM_EMAIL:
        raise wording.refusal("invalid_email", "this is not an e-mail address such as ann@example.com")
    return found.lower()


def find_email(text: str) -> str:
    """The address as accounts have it, to look somebody up; what is no address is nobody's, and comes back as it is."""
    try:
        return _check_email(text.strip())
    except PydanticCustomError:
        return text


def _from_text(value: Any) -> Any:
    """Numbers, and text of digits only, would be taken as seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise wording.refusal("datetime_type", "send a moment such as 2026-01-31T12:00:00Z")


Title = Annotated[str, Line(255, minimum=1)]
ShortText = Annotated[str, Line(255)]
Excerpt = Annotated[str, Prose(1000)]
LongText = Annotated[str, Prose(1_000_000)]
# Their own messages say more than that the text is too long; the schema tells the length all the same.
Locale = Annotated[
    str,
    Field(json_schema_extra={"minLength": 2, "maxLength": 10, "pattern": _LOCALE_PATTERN}),
    AfterValidator(_check_locale),
]
Slug = Annotated[str, SlugRule(255)]
ShortSlug = Annotated[str, SlugRule(64)]
OptionalSlug = Annotated[Slug | None, EmptyIsNone()]
Sku = Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": MAXIMUM_SKU}), AfterValidator(_check_sku)]
OptionalSku = Annotated[Sku | None, EmptyIsNone()]
Currency = Annotated[str, Field(json_schema_extra={"enum": money.currencies()}), AfterValidator(_check_currency)]
Email = Annotated[
    str,
    Field(json_schema_extra={"format": "email", "minLength": 3, "maxLength": MAXIMUM_EMAIL}),
    AfterValidator(_check_email),
]
# What is shown to prove something. Passwords that are chosen are bounded further: accounts.services.passwords.
Password = Annotated[str, Secret("password", 1024)]
Token = Annotated[str, Secret("token", 255), AfterValidator(str.strip)]
Position = Annotated[int, Whole("position", 100_000)]
Depth = Annotated[int, Whole("depth", MAXIMUM_DEPTH)]
ReplyCount = Annotated[int, Whole("reply_count", 2**31 - 1)]
Quantity = Annotated[int, Whole("quantity", 1_000_000_000)]
Metadata = Annotated[
    dict[str, Any], Field(json_schema_extra={"x-maximum-bytes": MAXIMUM_METADATA_BYTES}), AfterValidator(check_metadata)
]
Flag = Annotated[bool, Strict()]
Moment = Annotated[AwareDatetime, BeforeValidator(_from_text), AfterValidator(to_moment)]
