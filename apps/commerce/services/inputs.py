"""What the services of commerce take in: one definition of each rule for the API, the admin and the importers."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from apps.kernel import money, text, validation, wording
from apps.kernel.errors import ValidationFailed
from apps.kernel.seo import Seo
from apps.tenants.custom_fields import FieldValues

DEFAULT_LOCATION = "default"
MAXIMUM_VARIANTS = 2000
MAXIMUM_OPTIONS = 20
MAXIMUM_LOCATIONS = 1000
MAXIMUM_GRAMS = 2_000_000_000
MAXIMUM_DELTA = 1_000_000_000


def _check_url(value: str) -> str:
    if not value.startswith(("https://", "http://", "//", "/")) or any(sign <= " " or sign == "\x7f" for sign in value):
        raise wording.refusal("invalid_url", "an image address starts with https://, http://, // or /, without spaces")
    return value


def _one_source(value: str | None, info: ValidationInfo) -> str | None:
    if (value is None) == (info.data.get("asset_id") is None):
        raise wording.refusal("one_source", "give one of asset_id and url")
    return value


def _clean(markup: str) -> str:
    try:
        return text.clean_html(markup)
    except ValidationFailed as error:
        raise wording.refusal(error.problems[0].code, "{reason}", reason=error.problems[0].detail) from None


def _once_each(tags: list[str]) -> list[str]:
    first: dict[str, str] = {}
    for tag in tags:
        if tag:
            first.setdefault(tag.casefold(), tag)
    return list(first.values())


def _to_minor_units(value: Any, info: ValidationInfo) -> Any:
    currency = info.data.get("currency")
    if not isinstance(value, str):
        raise wording.refusal("invalid_amount", 'give the amount as decimal text, such as "19.90"')
    try:
        # A currency that is wrong is reported as such; of the amount then only what is wrong in any.
        return money.to_minor_units(value, currency or money.FINEST)
    except money.InvalidAmount as error:
        raise wording.refusal(error.problems[0].code, "{reason}", reason=error.detail) from None


def _to_optional_minor_units(value: Any, info: ValidationInfo) -> Any:
    return None if value is None or value == "" else _to_minor_units(value, info)


# How many translations.
_ONE_OR_MORE = Field(min_length=1, max_length=validation.MAXIMUM_LOCALES)
CategoryId = Annotated[uuid.UUID, validation.TypedId("cat")]
ProductId = Annotated[uuid.UUID, validation.TypedId("prod")]
VariantId = Annotated[uuid.UUID, validation.TypedId("var")]
Tags = Annotated[list[validation.ShortText], Field(max_length=1000), AfterValidator(_once_each)]
Html = Annotated[validation.LongText, AfterValidator(_clean)]
Names = Annotated[dict[validation.Locale, validation.Title], _ONE_OR_MORE, validation.ByLocale()]
ImageUrl = Annotated[
    str,
    validation.Prose(2048, minimum=1),
    AfterValidator(_check_url),
    validation.LooksLike(pattern=r"^(https?://|/)[^\u0000-\u0020\u007f]*$"),
]
OptionalImageUrl = Annotated[ImageUrl | None, validation.EmptyIsNone()]
Grams = Annotated[int, validation.Whole("weight", MAXIMUM_GRAMS)]
Code = validation.ShortSlug
Reason = validation.Title
AmountText = Annotated[
    str, Field(max_length=money.LONGEST_AMOUNT), validation.LooksLike(pattern=r"^(\d{1,16}(\.\d*)?|\.\d+)$")
]
OptionalAmountText = Annotated[AmountText | None, validation.EmptyIsNone()]
CategoryIds = Annotated[list[CategoryId], Field(max_length=1000)]
Policy = Literal["deny", "continue"]


class ProductTranslationInput(validation.Input):
    """Without a `handle` one is made of `handle_source` or else of the title, with a number where it is taken."""

    locale: validation.Locale
    title: validation.Title
    subtitle: validation.ShortText = ""
    handle: validation.OptionalSlug = None
    handle_source: validation.ShortText = ""
    description: Html = ""
    meta_title: validation.ShortText = ""
    meta_description: validation.Excerpt = ""


class OptionValueInput(validation.Input):
    """`names` by locale, such as {"en": "Red"}."""

    names: Names


class OptionInput(validation.Input):
    """`names` by locale, such as {"en": "Colour"}."""

    names: Names
    values: Annotated[list[OptionValueInput], Field(min_length=1, max_length=MAXIMUM_VARIANTS)]


class ImageInput(validation.Input):
    """An image of the media library by `asset_id`, or one elsewhere by `url`. Without an `alt` that of the asset is
    shown, in each language."""

    asset_id: Annotated[uuid.UUID, validation.TypedId("asset")] | None = None
    url: Annotated[OptionalImageUrl, AfterValidator(_one_source), Field(validate_default=True)] = None
    alt: validation.Excerpt = ""


class PriceInput(validation.Input):
    """Amounts come as decimal text such as "19.90" and are minor units from here on."""

    currency: validation.Currency
    amount: Annotated[int, BeforeValidator(_to_minor_units, json_schema_input_type=AmountText)]
    compare_at: Annotated[
        int | None, BeforeValidator(_to_optional_minor_units, json_schema_input_type=OptionalAmountText)
    ] = None


# There are fewer currencies.
Prices = Annotated[list[PriceInput], Field(max_length=200)]


class StockInput(validation.Input):
    """What is at a location, by its code."""

    location: Code = DEFAULT_LOCATION
    quantity: validation.Quantity
    low_stock_threshold: validation.Quantity | None = None


class VariantFieldsInput(validation.Input):
    """`values` are names of option values in the options' order, in any locale; `image` is the URL of an image of the
    product."""

    sku: validation.OptionalSku = None
    barcode: validation.ShortText = ""
    values: Annotated[list[validation.Title], Field(max_length=MAXIMUM_OPTIONS)] = []
    weight_grams: Grams | None = None
    inventory_policy: Policy = "deny"
    manage_inventory: validation.Flag = True
    requires_shipping: validation.Flag = True
    image: OptionalImageUrl = None
    metadata: validation.Metadata = {}


class VariantInput(VariantFieldsInput):
    prices: Prices = []
    stock: Annotated[list[StockInput], Field(max_length=MAXIMUM_LOCATIONS)] = []


class VariantChanges(VariantFieldsInput):
    """What is given is changed; what is absent stays. Prices and stock have services of their own."""

    position: validation.Position = 0


class ProductFieldsInput(validation.Input):
    vendor: validation.ShortText = ""
    product_type: validation.ShortText = ""
    tags: Tags = []
    is_gift_card: validation.Flag = False
    metadata: validation.Metadata = {}
    seo: Seo = {}
    fields: FieldValues = {}
    category_ids: CategoryIds = []
    translations: Annotated[list[ProductTranslationInput], _ONE_OR_MORE] = []
    options: Annotated[list[OptionInput], Field(max_length=MAXIMUM_OPTIONS)] = []
    images: Annotated[list[ImageInput], Field(max_length=1000)] = []


class NewProduct(ProductFieldsInput):
    translations: Annotated[list[ProductTranslationInput], _ONE_OR_MORE]
    variants: Annotated[list[VariantInput], Field(max_length=MAXIMUM_VARIANTS)] = []
    external_id: Annotated[str, validation.Prose(512, minimum=1)] | None = None
    status: Literal["draft", "published", "archived"] = "draft"


class ProductChanges(ProductFieldsInput):
    """What is given is changed: translations, options, images and categories are replaced by those given."""


class PriceList(validation.Input):
    """With `replace` the currencies not given lose their price."""

    prices: Prices
    replace: validation.Flag = False


class InventoryAdjustment(validation.Input):
    delta: Annotated[int, validation.Whole("delta", MAXIMUM_DELTA, minimum=-MAXIMUM_DELTA)]
    reason: Reason = "adjusted"
    location: Code = DEFAULT_LOCATION


class InventoryCount(validation.Input):
    """The quantity that is there. A threshold or an incoming quantity is changed where given."""

    quantity: validation.Quantity
    reason: Reason = "counted"
    location: Code = DEFAULT_LOCATION
    low_stock_threshold: validation.Quantity | None = None
    incoming: validation.Quantity = 0


class CategoryTranslationInput(validation.Input):
    """Without a `handle` one is made of the name, with a number where it is taken."""

    locale: validation.Locale
    name: validation.Title
    handle: validation.OptionalSlug = None
    description: Html = ""


class CategoryChanges(validation.Input):
    """What is given is changed; `position` counts among the children of the same parent."""

    parent_id: CategoryId | None = None
    position: validation.Position = 0
    is_active: validation.Flag = True
    translations: Annotated[list[CategoryTranslationInput], _ONE_OR_MORE] = []
    seo: Seo = {}


class NewCategory(CategoryChanges):
    """Without a `position` it comes last."""

    translations: Annotated[list[CategoryTranslationInput], _ONE_OR_MORE]


class CollectionTranslationInput(validation.Input):
    """Without a `handle` one is made of the title, with a number where it is taken."""

    locale: validation.Locale
    title: validation.Title
    handle: validation.OptionalSlug = None
    description: Html = ""


class CollectionInput(validation.Input):
    """`seo` stays as it is where it is not given."""

    translations: Annotated[list[CollectionTranslationInput], _ONE_OR_MORE]
    seo: Seo = {}


class NewLocation(validation.Input):
    code: Code
    name: validation.Title
