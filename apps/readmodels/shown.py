"""The prepared documents of the storefront, as the projections write them and the API joins them."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from apps.kernel.operations import Amount, Free, Id, Moment, Named, one_of


class TermLabel(TypedDict):
    id: Id
    name: str
    slug: str
    taxonomy: str


class Seo(TypedDict):
    """What search engines are told, with what the page says where nobody said more; `canonical_url` null is the address
    of the page. `image_id` is an asset; without one there may be an image by its address."""

    title: str
    description: str
    canonical_url: str | None
    noindex: bool
    image_id: Id | None
    image_url: str | None


class StoreOption(TypedDict):
    name: str
    values: list[str]


class StorePrice(TypedDict):
    """The amounts as decimal text, and in minor units of the currency."""

    currency: str
    amount: Amount
    amount_minor: int
    compare_at: Amount | None
    compare_at_minor: int | None


class StoreVariant(TypedDict):
    """`options` has the value chosen of each option."""

    id: Id
    title: str
    sku: str | None
    barcode: str
    options: Named
    prices: list[StorePrice]
    in_stock: bool
    weight_grams: int | None
    requires_shipping: bool
    image_id: Id | None
    metadata: Free


class StoreRendition(TypedDict):
    """An image in another size: thumbnail, small, medium or large."""

    name: str
    url: str
    width: int
    height: int


class StoreImage(TypedDict):
    """One of the media library has `renditions`, from small to large; addresses are then paths, the same on every
    host."""

    id: Id
    url: str
    alt: str
    renditions: NotRequired[list[StoreRendition]]


class PriceRange(TypedDict):
    currency: str
    minimum: Amount
    maximum: Amount


class StoreProduct(TypedDict):
    """A published product in one language; `locales` names all it is in. `description` is clean HTML."""

    id: Id
    locale: str
    locales: list[str]
    title: str
    subtitle: str
    handle: str
    description: str
    vendor: str
    product_type: str
    tags: list[str]
    is_gift_card: bool
    seo: Seo
    options: list[StoreOption]
    variants: list[StoreVariant]
    images: list[StoreImage]
    price_ranges: list[PriceRange]
    in_stock: bool
    on_sale: bool
    metadata: Free
    fields: Free
    version: int
    published_at: Moment
    updated_at: Moment
    categories: list[TermLabel]


class StoreProductCard(TypedDict):
    """A product in a grid of products, without all that its own page shows."""

    id: Id
    title: str
    handle: str
    vendor: str
    image: StoreImage | None
    price_ranges: list[PriceRange]
    in_stock: bool
    on_sale: bool


class StoreBody(TypedDict):
    """Clean `html`, or the `blocks` of a body in JSON: docs/reference/blocks.md. Those of the type `product_grid` have
    the `products`."""

    format: Annotated[str, one_of("markdown", "html", "plain", "json")]
    html: NotRequired[str]
    blocks: NotRequired[list[Any]]


class StoreContent(TypedDict):
    """A published node in one language; `locales` names all it is in. `comments_open` null is as the shop says."""

    id: Id
    kind: str
    locale: str
    locales: list[str]
    title: str
    slug: str
    excerpt: str
    body: StoreBody | None
    author: str | None
    parent_id: Id | None
    position: int
    depth: int
    seo: Seo
    metadata: Free
    fields: Free
    comments_open: bool | None
    version: int
    published_at: Moment
    updated_at: Moment
    categories: list[TermLabel]
    content_tags: list[TermLabel]


class StoreComment(TypedDict):
    """An approved comment; `html` is clean. `parent_id` is what it is about, or the comment it answers."""

    id: Id
    parent_id: Id
    author: str | None
    locale: str
    html: str
    published_at: Moment


class StoreRedirect(TypedDict):
    """Where a page of a former site is now; `location` is a path, as the setting `site` has it."""

    path: str
    location: str
    id: Id
    kind: str
    slug: str
    locale: str


class StoreTerm(TypedDict):
    """A category, collection or tag in one language; `type` says which."""

    id: Id
    type: Annotated[str, one_of("commerce.category", "commerce.collection", "content.category", "content.tag")]
    taxonomy: str
    locale: str
    locales: list[str]
    name: str
    slug: str
    description: str
    seo: Seo
    parent_id: Id | None
    position: int
    depth: int


class StoreFocalPoint(TypedDict):
    """In percent from the left and from the top."""

    x: int
    y: int


class StoreAsset(TypedDict):
    """A file of the media library in one language. Addresses are paths, the same on every host; `size` is in bytes."""

    id: Id
    kind: Annotated[str, one_of("image", "document", "video", "audio")]
    media_type: str
    url: str
    size: int
    width: int | None
    height: int | None
    focal_point: StoreFocalPoint | None
    renditions: list[StoreRendition]
    locale: str
    alt: str
    caption: str
    updated_at: Moment


class StoreMenuTarget(TypedDict):
    """What an item leads to, as it is called in the language of the menu; only nodes have a `kind`. `path` is where the
    frontend shows it, by the tenant's setting `site`."""

    type: Annotated[str, one_of("node", "content_category", "tag", "product", "category", "collection")]
    id: Id
    kind: str | None
    title: str
    slug: str
    path: str


class StoreMenuItem(TypedDict):
    """An item leads to its `target`, to its `url`, or nowhere: a heading."""

    id: Id
    title: str
    url: str | None
    target: StoreMenuTarget | None
    icon: str
    children: list[StoreMenuItem]


class StoreMenu(TypedDict):
    """A menu in one language, without what leads to something that is not published."""

    id: Id
    name: str
    location: Annotated[str, one_of("header", "footer", "sidebar", "mobile")] | None
    locale: str
    items: list[StoreMenuItem]
    updated_at: Moment


class SearchHit(TypedDict):
    """What was found, best first: higher `rank` is better."""

    type: Annotated[str, one_of("product", "content")]
    rank: float
    document: StoreProduct | StoreContent
