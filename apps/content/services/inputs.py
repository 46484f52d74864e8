"""What the services of content take. Ids may be given as UUID or as typed text (`node_…`, `cat_…`, `tag_…`)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Hashable, Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from apps.content import models
from apps.kernel import ids, validation, wording

MAXIMUM_BODY_LENGTH = 1_000_000
_TAXONOMY = r"^[a-z0-9][a-z0-9_-]*$"


def _decoded(prefix: str) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return ids.decode(prefix, value)
        except ids.InvalidId as error:
            raise wording.refusal("invalid_id", "{reason}", reason=error.detail) from None

    return decode


def _shown(prefix: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": f"a typed id: {prefix}_ and 26 characters"})


NodeId = Annotated[uuid.UUID, BeforeValidator(_decoded("node")), _shown("node")]
CategoryId = Annotated[uuid.UUID, BeforeValidator(_decoded("cat")), _shown("cat")]
TagId = Annotated[uuid.UUID, BeforeValidator(_decoded("tag")), _shown("tag")]


def _once[Item](items: list[Item], key: Callable[[Item], Hashable]) -> list[Item]:
    seen = set()
    for item in items:
        if key(item) in seen:
            raise wording.refusal("duplicate", '"{name}" is given twice.', name=str(key(item)))
        seen.add(key(item))
    return items


def _once_per_locale[Item](items: list[Item]) -> list[Item]:
    return _once(items, lambda item: item.locale)  # type: ignore[attr-defined]


def _distinct(items: list[uuid.UUID]) -> list[uuid.UUID]:
    return _once(items, lambda item: item)


ExternalId = Annotated[validation.Text, Field(min_length=1, max_length=255)]
CategoryIds = Annotated[list[CategoryId], AfterValidator(_distinct), Field(max_length=1000)]
TagIds = Annotated[list[TagId], AfterValidator(_distinct), Field(max_length=1000)]


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
    format: models.Format = models.Format.MARKDOWN
    body: (
        Annotated[validation.Text, Field(max_length=MAXIMUM_BODY_LENGTH)]
        | Annotated[list[dict[str, Any]], Field(max_length=10_000)]
    )


class NewNode(validation.Input):
    """A node to create: a draft unless `publish` is true, last among its siblings unless a `position` is given."""

    kind: validation.ShortText
    translations: Annotated[list[TranslationInput], Field(min_length=1), AfterValidator(_once_per_locale)]
    bodies: Annotated[list[BodyInput], AfterValidator(_once_per_locale)] = []
    parent_id: NodeId | None = None
    position: validation.Position | None = None
    author_name: validation.ShortText = ""
    metadata: validation.Metadata = {}
    category_ids: CategoryIds = []
    tag_ids: TagIds = []
    external_id: ExternalId | None = None
    publish: bool = False
    published_at: validation.Moment | None = None


class BatchNode(NewNode):
    """A node of a batch; with an id drawn beforehand, later nodes of the batch can name it as their parent."""

    id: uuid.UUID | None = None


class NodeChanges(validation.Input):
    """What is given is changed; what is absent stays. Given locales are added or changed, others stay as they are."""

    translations: Annotated[list[TranslationChange], AfterValidator(_once_per_locale)] | None = None
    bodies: Annotated[list[BodyInput], AfterValidator(_once_per_locale)] | None = None
    author_name: validation.ShortText | None = None
    metadata: validation.Metadata | None = None
    category_ids: CategoryIds | None = None
    tag_ids: TagIds | None = None


class TermTranslationInput(validation.Input):
    """`slug` is derived from the name when it is absent."""

    locale: validation.Locale
    name: validation.Title
    slug: validation.OptionalSlug = None
    description: Annotated[validation.Text, Field(max_length=10_000)] = ""


class TermTranslationChange(validation.Input):
    """A translation to add (then with a name) or to change: what is absent stays."""

    locale: validation.Locale
    name: validation.Title | None = None
    slug: validation.OptionalSlug = None
    description: Annotated[validation.Text, Field(max_length=10_000)] | None = None


class NewCategory(validation.Input):
    taxonomy: Annotated[str, Field(max_length=64, pattern=_TAXONOMY)] = "category"
    translations: Annotated[list[TermTranslationInput], Field(min_length=1), AfterValidator(_once_per_locale)]
    parent_id: CategoryId | None = None
    position: validation.Position | None = None


class CategoryChanges(validation.Input):
    """What is given is changed; `parent_id` null moves the category to the top."""

    translations: Annotated[list[TermTranslationChange], AfterValidator(_once_per_locale)] | None = None
    parent_id: CategoryId | None = None
    position: validation.Position | None = None


class NewTag(validation.Input):
    translations: Annotated[list[TermTranslationInput], Field(min_length=1), AfterValidator(_once_per_locale)]


class TagChanges(validation.Input):
    translations: Annotated[list[TermTranslationChange], AfterValidator(_once_per_locale)]


def locales_of(*parts: Iterable[Any] | None) -> set[str]:
    """Every locale named in translations and bodies."""
    return {entry.locale for part in parts if part is not None for entry in part}


class Publication(validation.Input):
    """The moment to show as the date of publication; the earlier one, or now, when absent."""

    published_at: validation.Moment | None = None
