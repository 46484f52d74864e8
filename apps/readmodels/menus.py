"""Menus as a storefront shows them: titles and names follow what items lead to, and what is not public is left out."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from apps.content.services import menus
from apps.kernel import errors, ids, wording
from apps.readmodels import addresses, models, queries, shown
from apps.readmodels.projections import shared
from apps.tenants import scope

# Whose term each type of target is.
_SOURCES = {
    "category": "commerce.category",
    "collection": "commerce.collection",
    "content_category": "content.category",
    "tag": "content.tag",
}

type Item = Mapping[str, Any]
type Targets = Mapping[tuple[str, str], shown.StoreMenuTarget]


class MenuNotFound(errors.NotFound):
    """No menu is shown at this location, or has this id. Editors choose the locations of menus."""

    code = "menu_not_found"


def get_menu(*, location_or_id: str, locale: str) -> shown.StoreMenu:
    """By where it is shown, or by id; at most five queries, however large it is. Raises MenuNotFound."""
    all_menus = models.LiveMenu.objects.all()
    if location_or_id.startswith("menu_"):
        found = all_menus.filter(id=ids.decode("menu", location_or_id)).first()
    else:
        found = all_menus.filter(location=location_or_id).first()
    if found is None:
        raise MenuNotFound(wording.say('There is no menu "{menu}".', menu=location_or_id))
    state = orjson.loads(found.document)
    return {
        "id": ids.encode("menu", found.id),
        "name": state["name"],
        "location": state["location"],
        "locale": locale,
        "items": list(_shown(state["items"], _find_targets(state["items"], locale), locale)),
        "updated_at": state["updated_at"],
    }


def _shown(items: Iterable[Item], targets: Targets, locale: str) -> Iterator[shown.StoreMenuItem]:
    """Without what leads to something the public does not see, and what is below that."""
    for item in items:
        target = targets.get(_key(item["target"])) if item["target"] else None
        if item["target"] and target is None:
            continue
        yield {
            "id": ids.encode("item", uuid.UUID(item["id"])),
            "title": _title(item["titles"], target, locale),
            "url": item["url"],
            "target": target,
            "icon": item["icon"],
            "children": list(_shown(item["children"], targets, locale)),
        }


def _title(titles: Mapping[str, str], target: shown.StoreMenuTarget | None, locale: str) -> str:
    """The item's own, else that of the target, else its own in the default locale, or in any."""
    if locale in titles:
        return titles[locale]
    return target["title"] if target else shared.localised(titles, scope.current().default_locale)


def _key(target: Mapping[str, str]) -> tuple[str, str]:
    return target["type"], target["id"]


def _walk(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _walk(item["children"])


def _find_targets(items: Iterable[Item], locale: str) -> Targets:
    """What the public sees of all that the items lead to: one query for nodes, products and terms each."""
    wanted: dict[str, set[str]] = {"node": set(), "product": set(), "term": set()}
    for item in _walk(items):
        if item["target"]:
            kind = item["target"]["type"]
            wanted["term" if kind in _SOURCES else kind].add(item["target"]["id"])
    if not any(wanted.values()):
        return {}
    places = addresses.paths()
    return {
        (type, str(id)): {
            "type": type,
            "id": ids.encode(menus.PREFIXES[type], id),
            "kind": kind,
            "title": title,
            "slug": slug,
            "path": places.path(type, slug, locale, kind=kind),
        }
        for type, id, title, slug, kind in _public(wanted, locale)
    }


def _public(wanted: Mapping[str, set[str]], locale: str) -> Iterator[tuple[str, uuid.UUID, str, str, str | None]]:
    """Type, id, title, slug and, of nodes, kind of those that are published."""
    has_shop = scope.current().has_one_of(["commerce"])
    if wanted["node"]:
        nodes = queries.in_locale(queries.shown_content().filter(id__in=wanted["node"]), locale)
        for node_id, title, slug, kind in nodes.values_list("id", "title", "slug", "kind"):
            yield "node", node_id, title, slug, kind
    if wanted["product"] and has_shop:
        products = queries.in_locale(models.LiveProduct.objects.filter(id__in=wanted["product"]), locale)
        for product_id, title, handle in products.values_list("id", "title", "handle"):
            yield "product", product_id, title, handle, None
    if wanted["term"]:
        sources = {source: kind for kind, source in _SOURCES.items() if has_shop or source.startswith("content.")}
        terms = models.LiveTerm.objects.filter(id__in=wanted["term"], source__in=list(sources))
        for term_id, source, name, slug in queries.in_locale(terms, locale).values_list("id", "source", "name", "slug"):
            yield sources[source], term_id, name, slug, None
