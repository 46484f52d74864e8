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


def at(event: envelope.Event) -> str:
    """When the event happened, as text for states and documents."""
    return validation.to_text(event.occurred_at)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def to_json(document: Mapping[str, Any]) -> str:
    return orjson.dumps(document).decode()
