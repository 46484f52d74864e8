"""Products that blocks of a body show, put into the document when it is read: prices and stock are those of now."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from apps.kernel import ids
from apps.readmodels import models, queries, shown
from apps.tenants import scope

# As many of a collection are looked at: the first ones may not be published.
_LONGEST_COLLECTION = 500
# What a document that has one looks like; all others are sent as they are stored.
_MARK = '"type":"product_grid"'


def filled(documents: Sequence[str], locale: str) -> list[str]:
    """The documents with `products` in each of their product grids: two queries for all of them, none without grids."""
    marked = {number: orjson.loads(text) for number, text in enumerate(documents) if _MARK in text}
    grids = [grid for document in marked.values() for grid in _grids(document)]
    if not grids:
        return list(documents)
    members = _members(grids)
    cards = _cards({product_id for grid in grids for product_id in _wanted(grid, members)}, locale)
    for grid in grids:
        found = [cards[product_id] for product_id in _wanted(grid, members) if product_id in cards]
        grid["products"] = found[: _shown_limit(grid)]
    return [
        orjson.dumps(marked[number]).decode() if number in marked else text for number, text in enumerate(documents)
    ]


def _grids(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    blocks = (document.get("body") or {}).get("blocks") or []
    return [block for block in blocks if isinstance(block, dict) and block.get("type") == "product_grid"]


def _shown_limit(grid: Mapping[str, Any]) -> int:
    limit = grid.get("limit")
    return limit if isinstance(limit, int) else 0


def _wanted(grid: Mapping[str, Any], members: Mapping[str, Sequence[uuid.UUID]]) -> Sequence[uuid.UUID]:
    if (collection_id := grid.get("collection_id")) is not None:
        return members.get(str(collection_id), ())
    given = grid.get("product_ids")
    return _decoded("prod", given if isinstance(given, list) else [])


def _members(grids: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[uuid.UUID]]:
    """The products of each collection, in its order."""
    wanted = _decoded("coll", [grid["collection_id"] for grid in grids if grid.get("collection_id") is not None])
    if not wanted or not scope.current().has_one_of(["commerce"]):
        return {}
    terms = models.LiveTerm.objects.filter(id__in=wanted, source="commerce.collection")
    found = terms.values_list("id", "member_ids")
    return {ids.encode("coll", term_id): members[:_LONGEST_COLLECTION] for term_id, members in found}


def _decoded(prefix: str, given: Sequence[Any]) -> list[uuid.UUID]:
    """Without what is no id: bodies from before blocks had types may hold anything."""
    found = []
    for each in given:
        with suppress(ids.InvalidId):  # said in the docstring
            found.append(ids.decode(prefix, str(each)))
    return found


def _cards(product_ids: Iterable[uuid.UUID], locale: str) -> dict[uuid.UUID, shown.StoreProductCard]:
    wanted = set(product_ids)
    if not wanted or not scope.current().has_one_of(["commerce"]):
        return {}
    products = queries.in_locale(models.LiveProduct.objects.filter(id__in=wanted), locale)
    return {
        product_id: _card(orjson.loads(document)) for product_id, document in products.values_list("id", "document")
    }


def _card(product: Mapping[str, Any]) -> shown.StoreProductCard:
    return {
        "id": product["id"],
        "title": product["title"],
        "handle": product["handle"],
        "vendor": product["vendor"],
        "image": next(iter(product["images"]), None),
        "price_ranges": product["price_ranges"],
        "in_stock": product["in_stock"],
        "on_sale": product["on_sale"],
    }
