"""What the services of content take. Ids may be given as UUID or as typed text (`node_…`, `cat_…`, `tag_…`)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Hashable, Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator

from apps.content import kinds, models
from apps.kernel import paths, validation, wording
from apps.kernel.seo import Seo
from apps.tenants.custom_fields import FieldValues

MAXIMUM_BODY_LENGTH = 1_000_000
MAXIMUM_BLOCKS = 10_000
_TAXONOMY = re.compile(r"[a-z0-9][a-z0-9_-]*")


def _check_taxonomy(name: str) -> str:
    if not _TAXONOMY.fullmatch(name):
        raise wording.refusal(
            "invalid_taxonomy",
            "a taxonomy has a-z, 0-9, _ and -, and begins with a letter or a digit, such as post_tag",
        )
    return name


def _check_body(value: Any) -> Any:
    """By what it is, so that a refusal points at the body and not at one of two ways to read it."""
    match value:
        case str() if len(value) <= MAXIMUM_BODY_LENGTH:
            return validation.refuse_nul(value)
        case str():
            raise wording.refusal(
                "string_too_long", "this has at most {max_length} characters", max_length=MAXIMUM_BODY_LENGTH
            )
        case list() if len(value) <= MAXIMUM_BLOCKS:
            return value  # what is in it is looked at where it is stored
        case list():
            raise wording.refusal("too_long", "this has at most {max_length} entries", max_length=MAXIMUM_BLOCKS)
    raise wording.refusal("not_text_or_blocks", "send text, or for the format json a list of blocks")


_Block = Annotated[dict[str, Any], Field(json_schema_extra={"x-maximum-bytes": MAXIMUM_BODY_LENGTH})]
_TextOrBlocks = (
    Annotated[str, Field(max_length=MAXIMUM_BODY_LENGTH)] | Annotated[list[_Block], Field(max_length=MAXIMUM_BLOCKS)]
)
NodeId = Annotated[uuid.UUID, validation.TypedId("node")]
CategoryId = Annotated[uuid.UUID, validation.TypedId("cat")]
TagId = Annotated[uuid.UUID, validation.TypedId("tag")]
Kind = Annotated[str, validation.OneOf(kinds.names, "invalid_kind")]
Taxonomy = Annotated[
    str, Field(max_length=64, json_schema_extra={"pattern": f"^{_TAXONOMY.pattern}$"}), AfterValidator(_check_taxonomy)
]
Format = Annotated[models.Format, validation.OneOf(lambda: models.Format.values, "invalid_format")]


def _once[Item](items: list[Item], key: Callable[[Item], Hashable]) -> list[Item]:
    seen = set()
    for item in items:
        if key(item) in seen:
            raise wording.refusal("duplicate", '"{name}" is given twice.', name=str(key(item)))
        seen.add(key(item))
    return items


def _once_per_locale[Item](items: list[Item]) -> list[Item]:
    return _once(items, lambda item: item.locale)  # type: ignore[attr-defined] # of all that are called with it


def _distinct(items: list[uuid.UUID]) -> list[uuid.UUID]:
    return _once(items, lambda item: item)


_ANY = Field(max_length=validation.MAXIMUM_LOCALES)
_ONE_OR_MORE = Field(min_length=1, max_length=validation.MAXIMUM_LOCALES)
_ONCE_PER_LOCALE = AfterValidator(_once_per_locale)
Description = Annotated[str, validation.Prose(10_000)]
# Of another system, so kept as it is.
ExternalId = Annotated[str, validation.Prose(255, minimum=1)]
CategoryIds = Annotated[list[CategoryId], Field(max_length=1000), AfterValidator(_distinct)]
TagIds = Annotated[list[TagId], Field(max_length=1000), AfterValidator(_distinct)]


def _old_path(value: str) -> str:
    try:
        return paths.plain(value)
    except paths.NoPath:
        raise wording.refusal("invalid_path", "a path begins with / and names a page, such as /2019/05/hello") from None


def _once_each(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))


OldPath = Annotated[str, validation.Line(paths.LONGEST, 1), AfterValidator(_old_path)]
OldPaths = Annotated[list[OldPath], Field(max_length=100), AfterValidator(_once_each)]


class TranslationInput(validation.Input):
    """`slug` is derived from the title when it is absent."""

    locale: validation.Locale
    title: validation.Title
    slug: validation.OptionalSlug = None
    excerpt: validation.Excerpt = ""


class TranslationChange(validation.Input):
    """A translation to add (then with a title) or to change: what is absent stays."""

    locale: validation.Locale
    title: validation.Title | None = None
    slug: validation.OptionalSlug = None
    excerpt: validation.Excerpt | None = None


class BodyInput(validation.Input):
    """For the format json, `body` is a list of blocks, each an object with a `type`; otherwise it is text."""

    # Leading blanks mean something in markdown and in plain text.
    model_config = ConfigDict(str_strip_whitespace=False)

    locale: validation.Locale
    format: Format = models.Format.MARKDOWN
    body: Annotated[str | list[dict[str, Any]], PlainValidator(_check_body, json_schema_input_type=_TextOrBlocks)]


class NewNode(validation.Input):
    """A node to create: a draft unless `publish` is true, last among its siblings unless a `position` is given.

    `old_paths` are where it was on another site: the path of an address, with what of its query names a page.
    """

    kind: Kind
    translations: Annotated[list[TranslationInput], _ONE_OR_MORE, _ONCE_PER_LOCALE]
    bodies: Annotated[list[BodyInput], _ANY, _ONCE_PER_LOCALE] = []
    parent_id: NodeId | None = None
    position: validation.Position | None = None
    author_name: validation.ShortText = ""
    metadata: validation.Metadata = {}
    seo: Seo = {}
    fields: FieldValues = {}
    category_ids: CategoryIds = []
    tag_ids: TagIds = []
    external_id: ExternalId | None = None
    old_paths: OldPaths = []
    comments_open: validation.Flag | None = None
    publish: validation.Flag = False
    published_at: validation.Moment | None = None


class BatchNode(NewNode):
    """A node of a batch; with an id drawn beforehand, later nodes of the batch can name it as their parent.

    Without `created_by` it is whoever asks.
    """

    id: uuid.UUID | None = None
    created_by: uuid.UUID | None = None


class NodeChanges(validation.Input):
    """What is given is changed; what is absent stays. Given locales are added or changed, others stay as they are.

    `comments_open` null is as the tenant's settings say.
    """

    translations: Annotated[list[TranslationChange], _ANY, _ONCE_PER_LOCALE] | None = None
    bodies: Annotated[list[BodyInput], _ANY, _ONCE_PER_LOCALE] | None = None
    author_name: validation.ShortText | None = None
    metadata: validation.Metadata | None = None
    seo: Seo | None = None
    fields: FieldValues | None = None
    category_ids: CategoryIds | None = None
    tag_ids: TagIds | None = None
    old_paths: OldPaths | None = None
    comments_open: validation.Flag | None = None


class TermTranslationInput(validation.Input):
    """`slug` is derived from the name when it is absent."""

    locale: validation.Locale
    name: validation.Title
    slug: validation.OptionalSlug = None
    description: Description = ""


class TermTranslationChange(validation.Input):
    """A translation to add (then with a name) or to change: what is absent stays."""

    locale: validation.Locale
    name: validation.Title | None = None
    slug: validation.OptionalSlug = None
    description: Description | None = None


class NewCategory(validation.Input):
    taxonomy: Taxonomy = "category"
    translations: Annotated[list[TermTranslationInput], _ONE_OR_MORE, _ONCE_PER_LOCALE]
    seo: Seo = {}
    parent_id: CategoryId | None = None
    position: validation.Position | None = None


class CategoryChanges(validation.Input):
    """What is given is changed; `parent_id` null moves the category to the top."""

    translations: Annotated[list[TermTranslationChange], _ANY, _ONCE_PER_LOCALE] | None = None
    seo: Seo | None = None
    parent_id: CategoryId | None = None
    position: validation.Position | None = None


class NewTag(validation.Input):
    translations: Annotated[list[TermTranslationInput], _ONE_OR_MORE, _ONCE_PER_LOCALE]


class TagChanges(validation.Input):
    translations: Annotated[list[TermTranslationChange], _ANY, _ONCE_PER_LOCALE]


def locales_of(*parts: Iterable[Any] | None) -> set[str]:
    """Every locale named in translations and bodies."""
    return {entry.locale for part in parts if part is not None for entry in part}


class Publication(validation.Input):
    """The moment to show as the date of publication; the earlier one, or now, when absent."""

    published_at: validation.Moment | None = None
