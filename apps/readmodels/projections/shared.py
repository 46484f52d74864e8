"""What the projections share: choosing a translation, writing a document."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from apps.events import envelope
from apps.kernel import ids, validation


def localised(names: Mapping[str, str], locale: str) -> str:
    """The name in the locale, else in the first locale by name: a document never shows an empty label."""
    return names.get(locale) or (names[min(names)] if names else "")


def typed(prefix: str, value: str | None) -> str | None:
    """A TypeID for a UUID in its text form."""
    return None if value is None else ids.encode(prefix, uuid.UUID(value))


_LONGEST_DESCRIPTION = 160


def seo(own: Mapping[str, Any], *, title: str, description: str, image_url: str | None = None) -> dict[str, Any]:
    """What search engines are told: the page's own words, else its title and the beginning of its description."""
    image_id = own.get("image_id")
    return {
        "title": own.get("title") or title,
        "description": own.get("description") or _shortened(description),
        "canonical_url": own.get("canonical_url"),
        "noindex": own.get("noindex", False),
        "image_id": typed("asset", image_id),
        "image_url": None if image_id else image_url,
    }


def _shortened(words: str) -> str:
    """On one line, cut between words."""
    line = " ".join(words.split())
    if len(line) <= _LONGEST_DESCRIPTION:
        return line
    return f"{line[:_LONGEST_DESCRIPTION].rpartition(' ')[0] or line[: _LONGEST_DESCRIPTION - 1]}…"


def at(event: envelope.Event) -> str:
    """When the event happened, as text for states and documents."""
    return validation.to_text(event.occurred_at)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def to_json(document: Mapping[str, Any]) -> str:
    return orjson.dumps(document).decode()
