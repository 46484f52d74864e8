"""Full-text search over the prepared documents: keyset pages in both directions, the locale fallback in the query."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection
from django.http import HttpRequest

from apps.content import kinds as content_kinds
from apps.kernel import errors, pagination, text, wording
from apps.tenants import scope

SEARCHABLE = ("product", "content")
# In the database, because only there it can be done with the text indexes: migrations/0002
_WORDS = """%(kinds)s, websearch_to_tsquery(%(language)s::regconfig, %(text)s),
    websearch_to_tsquery(%(fallback_language)s::regconfig, %(text)s), %(locale)s, %(fallback)s, %(following)s::text[]"""
PAGE = f"""
SELECT kind, id, rank, document, category_ids, CASE kind WHEN 'content' THEN tag_ids END
FROM readmodels_search({_WORDS}, %(is_backwards)s, %(rank)s::float8, %(id)s::uuid, %(limit)s)
"""  # noqa: S608 - a constant
COUNT = f"SELECT readmodels_count_found({_WORDS})"


@dataclass(frozen=True, slots=True)
class Hit:
    """A search result; `rank` orders them, higher is better. Only content has `tag_ids`."""

    kind: str
    id: uuid.UUID
    rank: float
    document: str
    category_ids: Sequence[uuid.UUID]
    tag_ids: Sequence[uuid.UUID] | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two hits and the direction to go on in."""

    backwards: bool
    rank: float
    id: uuid.UUID

    def __str__(self) -> str:
        parts = ["p" if self.backwards else "n", self.rank, str(self.id)]
        return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def find_page(*, query: str, kinds: Sequence[str], locale: str, request: HttpRequest) -> pagination.Page[Hit]:
    """One page of hits, best first, by `limit`, `cursor` and `count` of the request; `query` in web search syntax.

    Raises ValidationFailed for a cursor not made here.
    """
    limit = pagination.read_limit(request)
    cursor = _read_cursor(request.GET.get("cursor"))
    parameters = _parameters(query, locale)
    count = _count(kinds, parameters) if pagination.read_count(request) != "none" else None
    hits = _hits(kinds, cursor, parameters | {"limit": limit + 1})
    more = len(hits) > limit
    hits = hits[:limit]
    backwards = cursor is not None and cursor.backwards
    if backwards:
        hits.reverse()
    has_next = bool(hits) and (more or backwards)
    has_previous = bool(hits) and (more if backwards else cursor is not None)
    return pagination.Page(
        hits,
        str(Cursor(False, hits[-1].rank, hits[-1].id)) if has_next else None,
        str(Cursor(True, hits[0].rank, hits[0].id)) if has_previous else None,
        count,
    )


def _hits(kinds: Sequence[str], cursor: Cursor | None, parameters: dict[str, Any]) -> list[Hit]:
    """Those beyond the cursor, the nearest first."""
    place = {
        "kinds": list(kinds),
        "is_backwards": cursor is not None and cursor.backwards,
        "rank": cursor.rank if cursor else None,
        "id": cursor.id if cursor else None,
    }
    with connection.cursor() as database:
        database.execute(PAGE, parameters | place)
        return [Hit(*row) for row in database.fetchall()]


def _count(kinds: Sequence[str], parameters: dict[str, Any]) -> int:
    with connection.cursor() as database:
        database.execute(COUNT, parameters | {"kinds": list(kinds)})
        return int(database.fetchone()[0])


def _parameters(query: str, locale: str) -> dict[str, Any]:
    tenant = scope.current()
    return {
        "text": query,
        "locale": locale,
        "fallback": tenant.default_locale,
        "following": content_kinds.following_parents(),
        "language": text.search_language(locale),
        "fallback_language": text.search_language(tenant.default_locale),
    }


def _read_cursor(given: str | None) -> Cursor | None:
    if given is None:
        return None
    try:
        direction, rank, hit_id = orjson.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
        # JSON has no NaN and no infinity.
        if direction in ("n", "p") and isinstance(rank, float) and isinstance(hit_id, str):
            return Cursor(direction == "p", rank, uuid.UUID(hit_id))
    except (binascii.Error, ValueError, TypeError):  # noqa: S110 - refused below, like a cursor of a list
        pass
    raise errors.ValidationFailed.for_field(
        "/cursor",
        "invalid_cursor",
        wording.say("the cursor was not made by this search; follow its next and prev links instead."),
    )
