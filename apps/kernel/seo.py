"""What search engines and networks are told about a page, by language; what is left empty is taken from the page."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from pydantic import AfterValidator, Field

from apps.kernel import ids, validation, wording
from apps.kernel.operations import Id


def _check_web_address(value: str) -> str:
    if not value.startswith(("https://", "http://")) or any(sign <= " " or sign == "\x7f" for sign in value):
        raise wording.refusal("invalid_url", "an address on the web starts with https:// or http://, without spaces")
    return value


WebAddress = Annotated[
    str,
    validation.Prose(2048, minimum=1),
    AfterValidator(_check_web_address),
    validation.LooksLike(pattern=r"^https?://[^\u0000-\u0020\u007f]*$"),
]


class SeoInput(validation.Input):
    """In one language. `noindex` keeps the page out of search engines, sitemaps and feeds."""

    title: validation.ShortText = ""
    description: validation.Excerpt = ""
    canonical_url: Annotated[WebAddress | None, validation.EmptyIsNone()] = None
    noindex: validation.Flag = False
    image_id: Annotated[uuid.UUID, validation.TypedId("asset")] | None = None


Seo = Annotated[dict[validation.Locale, SeoInput], Field(max_length=validation.MAXIMUM_LOCALES), validation.ByLocale()]


class SeoWords(TypedDict):
    """What is said in one language; what is empty is taken from the page."""

    title: str
    description: str
    canonical_url: str | None
    noindex: bool
    image_id: Id | None


def stored(given: Mapping[str, SeoInput]) -> dict[str, dict[str, Any]]:
    """As it is kept and recorded: by locale, without what says nothing."""
    empty = SeoInput()
    return {locale: words.model_dump(mode="json") for locale, words in sorted(given.items()) if words != empty}


def shown(kept: Mapping[str, Mapping[str, Any]]) -> dict[str, SeoWords]:
    """As editors read it."""
    return {
        locale: {
            "title": words["title"],
            "description": words["description"],
            "canonical_url": words["canonical_url"],
            "noindex": words["noindex"],
            "image_id": None if words["image_id"] is None else ids.encode("asset", uuid.UUID(words["image_id"])),
        }
        for locale, words in kept.items()
    }
