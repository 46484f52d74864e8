"""Fields that mean the same in every payload, described once; the descriptions are part of the published schemas."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from apps.events import registry

Locale = Annotated[str, Field(description="Language tag such as `en` or `pt-BR`.")]
Currency = Annotated[str, Field(description="ISO 4217 code such as `EUR`.")]
MinorUnits = Annotated[int, Field(description="Integer minor units of the currency, such as cents.")]
Html = Annotated[str, Field(description="Sanitised HTML.")]
Slug = Annotated[str, Field(description="The part of the address that names it, unique in its locale.")]
Depth = Annotated[int, Field(description="How many ancestors it has: 0 at the root.")]
Order = Annotated[int, Field(description="Place among its siblings, ascending; gaps are normal.")]
Metadata = Annotated[dict[str, Any], Field(description="Whatever the tenant's own software wants to keep there.")]
Parent = Annotated[uuid.UUID | None, Field(description="The one above it in the tree; null at the root.")]
PublishedAt = Annotated[datetime, Field(description="When it was published, UTC.")]


class Seo(registry.Payload):
    """What search engines are told about a page in one language; what is empty is taken from the page."""

    title: str
    description: str
    canonical_url: str | None
    noindex: bool
    image_id: Annotated[uuid.UUID | None, Field(description="An asset of the media library.")]
