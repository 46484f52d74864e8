"""Menus as a storefront shows them: titles and names follow what items lead to, and what is not public is left out."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from apps.content.services import menus
from apps.kernel import errors, ids, wording
from apps.readmodels import models, queries, shown
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
    """By where it is shown, or by id; at most four queries, however large it is. Raises MenuNotFound."""
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
    has_shop = scope.current().has_one_of(["commerce"])
    found: dict[tuple[str, str], shown.StoreMenuTarget] = {}
    if wanted["node"]:
        nodes = queries.in_locale(queries.shown_content().filter(id__in=wanted["node"]), locale)
        for node in nodes.only("tenant_id", "id", "locale", "kind", "title", "slug"):
            found["node", str(node.id)] = _target("node", node.id, node.title, node.slug, kind=node.kind)
    if wanted["product"] and has_shop:
        products = queries.in_locale(models.LiveProduct.objects.filter(id__in=wanted["product"]), locale)
        for product in products.only("tenant_id", "id", "locale", "title", "handle"):
            found["product", str(product.id)] = _target("product", product.id, product.title, product.handle)
    if wanted["term"]:
        sources = {source: kind for kind, source in _SOURCES.items() if has_shop or source.startswith("content.")}
        terms = models.LiveTerm.objects.filter(id__in=wanted["term"], source__in=list(sources))
        for term in queries.in_locale(terms, locale).only("tenant_id", "id", "locale", "source", "name", "slug"):
            kind = sources[term.source]
            found[kind, str(term.id)] = _target(kind, term.id, term.name, term.slug)
    return found


def _target(type: str, id: uuid.UUID, title: str, slug: str, *, kind: str | None = None) -> shown.StoreMenuTarget:
    return {"type": type, "id": ids.encode(menus.PREFIXES[type], id), "kind": kind, "title": title, "slug": slug}
