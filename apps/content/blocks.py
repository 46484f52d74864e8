"""The blocks a body in the format `json` is made of: fifteen types, each with bounded fields and an example.

What was stored before there were types is shown as it is; what is written now is one of these.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from apps.kernel import errors, text, validation, wording

_SCHEMES = ("https://", "http://", "mailto:", "tel:", "/", "#")
_ADDRESS = r"^(https?://|mailto:|tel:|/|#)[^\u0000-\u0020\u007f]*$"


def check_address(value: str) -> str:
    """An address that a link may lead to: nothing in it runs. Raises PydanticCustomError."""
    if not value.startswith(_SCHEMES) or any(sign <= " " or sign == "\x7f" for sign in value):
        raise wording.refusal(
            "invalid_url", "an address starts with https://, http://, mailto:, tel:, / or #, and has no spaces"
        )
    return value


def _clean(markup: str) -> str:
    try:
        return text.clean_html(markup)
    except errors.ValidationFailed as error:
        raise wording.refusal(error.problems[0].code, "{reason}", reason=error.problems[0].detail) from None


def _asset_or_address(value: str | None, info: ValidationInfo) -> str | None:
    if (value is None) == (info.data.get("asset_id") is None):
        raise wording.refusal("one_source", "give one of asset_id and url")
    return value


def _products_or_collection(value: uuid.UUID | None, info: ValidationInfo) -> uuid.UUID | None:
    if (value is None) == (not info.data.get("product_ids")):
        raise wording.refusal("one_source", "give one of product_ids and collection_id")
    return value


Address = Annotated[
    str, validation.Prose(2048, minimum=1), AfterValidator(check_address), validation.LooksLike(pattern=_ADDRESS)
]
OptionalAddress = Annotated[Address | None, validation.EmptyIsNone()]
# Where an asset is named beside it.
OtherAddress = Annotated[OptionalAddress, AfterValidator(_asset_or_address), Field(validate_default=True)]
AssetId = Annotated[uuid.UUID, validation.TypedId("asset")]
ProductId = Annotated[uuid.UUID, validation.TypedId("prod")]
CollectionId = Annotated[uuid.UUID, validation.TypedId("coll")]
Text = Annotated[str, validation.Prose(5000)]
LongText = Annotated[str, validation.Prose(100_000)]
Html = Annotated[str, validation.Prose(100_000), AfterValidator(_clean)]
Columns = Annotated[int, validation.Whole("columns", 6, 1)]
Heading = validation.ShortText


class Action(validation.Input):
    """A button or link."""

    label: validation.Title
    url: Address
    style: Literal["primary", "secondary", "link"] = "primary"


class Picture(validation.Input):
    """An asset of the media library, or an image elsewhere."""

    asset_id: AssetId | None = None
    url: OtherAddress = None
    alt: validation.Excerpt = ""
    caption: validation.Excerpt = ""


class Block(validation.Input):
    """What all have: `anchor` is a name to link to."""

    example: ClassVar[Mapping[str, Any]]

    anchor: Annotated[validation.ShortSlug | None, validation.EmptyIsNone()] = None


class Hero(Block):
    """The opening of a page: a large title over or beside a picture."""

    type: Literal["hero"]
    title: validation.Title
    subtitle: validation.ShortText = ""
    text: Text = ""
    picture: Picture | None = None
    alignment: Literal["left", "center", "right"] = "left"
    actions: Annotated[list[Action], Field(max_length=3)] = []

    example = {
        "type": "hero",
        "title": "Enamel that lasts",
        "picture": {"url": "https://images.example.com/fire.jpg", "alt": "Mugs by a fire"},
        "actions": [{"label": "To the shop", "url": "/products"}],
    }


class TextBlock(Block):
    """Text in Markdown; its document has it as `html` as well."""

    type: Literal["text"]
    text: LongText

    example = {"type": "text", "text": "Made in **Tannery Lane** since 1911."}


class Image(Block):
    """One picture, perhaps with a link."""

    type: Literal["image"]
    picture: Picture
    link: OptionalAddress = None
    width: Literal["normal", "wide", "full"] = "normal"

    example = {"type": "image", "picture": {"url": "/pictures/kiln.jpg", "alt": "The kiln", "caption": "At 820 °C"}}


class Gallery(Block):
    """Several pictures."""

    type: Literal["gallery"]
    pictures: Annotated[list[Picture], Field(min_length=1, max_length=100)]
    layout: Literal["grid", "carousel", "masonry"] = "grid"
    columns: Columns = 3

    example = {"type": "gallery", "pictures": [{"url": "/pictures/1.jpg"}, {"url": "/pictures/2.jpg"}], "columns": 2}


class CallToAction(Block):
    """A sentence and what to do about it."""

    type: Literal["cta"]
    title: validation.Title
    text: Text = ""
    actions: Annotated[list[Action], Field(min_length=1, max_length=3)]

    example = {"type": "cta", "title": "Visit us", "actions": [{"label": "How to find us", "url": "/find-us"}]}


class Feature(validation.Input):
    title: validation.Title
    text: Text = ""
    icon: Annotated[str, validation.Line(64)] = ""


class Features(Block):
    """Short points side by side."""

    type: Literal["features"]
    title: Heading = ""
    items: Annotated[list[Feature], Field(min_length=1, max_length=50)]
    columns: Columns = 3

    example = {"type": "features", "items": [{"title": "Survives a fall", "icon": "shield"}]}


class Testimonial(validation.Input):
    quote: Annotated[str, validation.Prose(5000, minimum=1)]
    author: validation.Title
    role: validation.ShortText = ""
    picture: Picture | None = None


class Testimonials(Block):
    """What others say."""

    type: Literal["testimonials"]
    title: Heading = ""
    items: Annotated[list[Testimonial], Field(min_length=1, max_length=50)]

    example = {"type": "testimonials", "items": [{"quote": "Mine is older than I am.", "author": "Dora"}]}


class Plan(validation.Input):
    """`price` is as it is to be read, such as "19 € a month"."""

    name: validation.Title
    price: validation.ShortText = ""
    text: Text = ""
    features: Annotated[list[validation.Title], Field(max_length=50)] = []
    action: Action | None = None
    is_highlighted: validation.Flag = False


class Pricing(Block):
    """Plans to choose from."""

    type: Literal["pricing"]
    title: Heading = ""
    plans: Annotated[list[Plan], Field(min_length=1, max_length=12)]

    example = {"type": "pricing", "plans": [{"name": "Workshop day", "price": "90 €", "features": ["Lunch"]}]}


class Question(validation.Input):
    question: validation.Title
    answer: Annotated[str, validation.Prose(10_000, minimum=1)]


class Faq(Block):
    """Questions and answers; the answers are in Markdown and have `html` in the document."""

    type: Literal["faq"]
    title: Heading = ""
    items: Annotated[list[Question], Field(min_length=1, max_length=100)]

    example = {"type": "faq", "items": [{"question": "Dishwasher?", "answer": "Yes, **without** a chip."}]}


class Contact(Block):
    """How to reach somebody; `has_form` asks the frontend for a form of its own."""

    type: Literal["contact"]
    title: Heading = ""
    text: Text = ""
    email: Annotated[validation.Email | None, validation.EmptyIsNone()] = None
    phone: Annotated[str, validation.Line(64)] = ""
    address: validation.Excerpt = ""
    has_form: validation.Flag = False

    example = {"type": "contact", "email": "hello@example.com", "phone": "+49 421 123"}


class ProductGrid(Block):
    """Products: those named, or those of a collection in its order. Its document has them as `products`; what is not
    published is left out."""

    type: Literal["product_grid"]
    title: Heading = ""
    product_ids: Annotated[list[ProductId], Field(max_length=50)] = []
    collection_id: Annotated[
        CollectionId | None, AfterValidator(_products_or_collection), Field(validate_default=True)
    ] = None
    limit: Annotated[int, validation.Whole("limit", 50, 1)] = 12
    columns: Columns = 4

    example = {"type": "product_grid", "product_ids": ["prod_01h455vb4pex5vsknk084sn02q"], "columns": 3}


class Newsletter(Block):
    """An invitation to subscribe; where the address goes is the frontend's."""

    type: Literal["newsletter"]
    title: Heading = ""
    text: Text = ""
    label: validation.ShortText = ""
    placeholder: validation.ShortText = ""

    example = {"type": "newsletter", "title": "Four letters a year", "label": "Subscribe"}


class Video(Block):
    """A film by its address, or one of the media library."""

    type: Literal["video"]
    asset_id: AssetId | None = None
    url: OtherAddress = None
    title: validation.ShortText = ""
    poster: Picture | None = None

    example = {"type": "video", "url": "https://videos.example.com/kiln.mp4", "title": "The kiln"}


class HtmlBlock(Block):
    """HTML without anything that could run: it is cleaned when it is written and again when it is shown."""

    type: Literal["html"]
    html: Html

    example = {"type": "html", "html": "<table><tr><td>820 °C</td></tr></table>"}


class Spacer(Block):
    """Nothing, for a while."""

    type: Literal["spacer"]
    size: Literal["small", "medium", "large"] = "medium"

    example = {"type": "spacer", "size": "large"}


TYPES: Mapping[str, type[Block]] = {
    "hero": Hero,
    "text": TextBlock,
    "image": Image,
    "gallery": Gallery,
    "cta": CallToAction,
    "features": Features,
    "testimonials": Testimonials,
    "pricing": Pricing,
    "faq": Faq,
    "contact": Contact,
    "product_grid": ProductGrid,
    "newsletter": Newsletter,
    "video": Video,
    "html": HtmlBlock,
    "spacer": Spacer,
}


def parse(value: object) -> Block:
    """The block. Raises ValidationFailed, which points at all that is wrong in it."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or not kind:
        said = wording.say('a block is an object with a "type", such as {example}.', example='{"type": "spacer"}')
        raise errors.ValidationFailed.for_field("", "not_a_block", said)
    if kind not in TYPES:
        said = wording.say(
            '"{value}" is not a type of block.{hint} There are: {known}.',
            value=kind[:60],
            hint=errors.did_you_mean(kind, TYPES),
            known=", ".join(TYPES),
        )
        raise errors.ValidationFailed.for_field("/type", "unknown_block", said)
    return validation.parse(TYPES[kind], value)


def dump(block: Block) -> dict[str, Any]:
    """As it is stored: with its defaults, without what is not there, ids as UUIDs."""
    written = block.model_dump(mode="json", exclude_none=True)
    return {"type": written.pop("type"), **written}
