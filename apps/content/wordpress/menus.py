"""The menus of a WordPress site: its items as the tree that our menus are."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from apps.content import blocks, models, services
from apps.content.services import menus
from apps.content.wordpress import mapping, reading
from apps.kernel import text, validation

type Key = tuple[str, str]
_LONGEST = 10_000


@dataclass(slots=True)
class WantedMenu:
    """A menu with the items that name it, in the order of the file."""

    slug: str
    name: str
    items: list[reading.Item] = field(default_factory=list)


@dataclass(slots=True)
class Built:
    """The tree as an input, how many items are in it, and what could not be taken."""

    items: list[dict[str, Any]]
    count: int
    notes: list[mapping.Note]


def slim(item: reading.Item) -> reading.Item:
    """Without what a menu has no use for: all of its items are held until the end."""
    meta = [(name, value[:_LONGEST]) for name, value in item.meta if name.startswith("_menu_item_")]
    return replace(item, title=item.title[:_LONGEST], content="", excerpt="", meta=meta, comments=[])


def gather(declared: Iterable[reading.Term], items: Iterable[reading.Item]) -> list[WantedMenu]:
    """The menus that the head of the file declares, and those that only items name."""
    found = {term.slug: WantedMenu(term.slug, term.name) for term in declared if term.taxonomy == mapping.MENU_TAXONOMY}
    for item in items:
        for term in item.terms:
            if term.taxonomy == mapping.MENU_TAXONOMY:
                found.setdefault(term.slug, WantedMenu(term.slug, term.name)).items.append(item)
    return list(found.values())


class Builder:
    """Knows what the items of a site lead to: nodes and terms by what the file calls them."""

    def __init__(
        self,
        *,
        locale: str,
        external_id: Callable[[str], str],
        nodes: Mapping[str, uuid.UUID],
        terms: Mapping[str, tuple[str, uuid.UUID]],
    ) -> None:
        self._locale, self._external_id, self._nodes, self._terms = locale, external_id, nodes, terms

    def build(self, wanted: WantedMenu) -> Built:
        """Items below a missing one are taken at the top, those too deep below the last level that may have some."""
        notes: list[mapping.Note] = []
        placed: dict[str, tuple[int, list[dict[str, Any]]]] = {}
        top: list[dict[str, Any]] = []
        count = 0
        for item in _parents_first(wanted.items):
            fields = self._item(item, notes)
            if fields is None:
                continue
            if count == menus.MAXIMUM_ITEMS:
                notes.append(_note(item, f"a menu has {menus.MAXIMUM_ITEMS} items at most; left out"))
                continue
            parent = dict(item.meta).get("_menu_item_menu_item_parent", "")
            depth, siblings = placed.get(parent, (0, top))
            if parent not in {"", "0"} and parent not in placed:
                notes.append(_note(item, "the item it lies below was not taken; placed at the top"))
            if depth == menus.LEVELS:
                notes.append(_note(item, f"a menu has {menus.LEVELS} levels at most; placed a level higher"))
                depth -= 1
            siblings.append(fields)
            below = fields["children"] if depth + 1 < menus.LEVELS else siblings
            placed[item.post_id] = (depth + 1, below)
            count += 1
        return Built(top, count, notes)

    def _item(self, item: reading.Item, notes: list[mapping.Note]) -> dict[str, Any] | None:
        meta = dict(item.meta)
        title = text.to_plain_text(item.title)[:255]
        target, url = self._target(meta), meta.get("_menu_item_url", "").strip()
        found: dict[str, Any] = {
            "id": uuid.uuid5(uuid.NAMESPACE_URL, self._external_id(item.key)),
            "titles": {self._locale: title} if validation.fits(validation.Title, title) else {},
            "children": [],
        }
        if target is not None:
            return found | {"target": target}
        if meta.get("_menu_item_type") in {"post_type", "taxonomy"}:
            notes.append(_note(item, "what it leads to was not taken; left out"))
            return None
        if url and not validation.fits(blocks.OptionalAddress, url):
            notes.append(_note(item, f'"{url[:100]}" is no address that a menu may lead to; taken as a heading'))
            url = ""
        if not found["titles"]:
            shown = url or item.name or item.post_id
            found["titles"] = {self._locale: shown[:255] or "(untitled)"}
        return found | ({"url": url} if url else {})

    def _target(self, meta: Mapping[str, str]) -> dict[str, Any] | None:
        object_id = meta.get("_menu_item_object_id", "")
        if meta.get("_menu_item_type") == "post_type":
            node_id = self._nodes.get(self._external_id(object_id))
            return {"type": "node", "id": node_id} if node_id else None
        if meta.get("_menu_item_type") == "taxonomy" and (found := self._terms.get(object_id)):
            return {"type": found[0], "id": found[1]}
        return None


def take(wanted: WantedMenu, built: Built, *, external_id: str, remember: Callable[[models.Menu], None]) -> str:
    """Create or change the menu; the outcome. Raises what the services do."""
    name = wanted.name if validation.fits(validation.Title, wanted.name) else wanted.slug[:255] or "Menu"
    menu = models.Menu.objects.filter(external_id=external_id).first()
    if menu is None:
        new = {"name": name, "items": built.items, "external_id": external_id}
        services.create_menu(new=validation.parse(services.NewMenu, new))
        return "created"
    remember(menu)
    before = (menu.name, menu.items)
    changes = validation.parse(services.MenuChanges, {"name": name, "items": built.items})
    after = services.update_menu(menu_id=menu.id, changes=changes)
    return "unchanged" if (after.name, after.items) == before else "updated"


def _parents_first(items: Sequence[reading.Item]) -> list[reading.Item]:
    """By their order in the menu, each after the one it lies below."""
    ordered = sorted(items, key=lambda item: (mapping.menu_order(item), item.number))
    by_id = {item.post_id: item for item in reversed(ordered)}
    return mapping.parents_first(ordered, by_id, lambda item: dict(item.meta).get("_menu_item_menu_item_parent", ""))


def _note(item: reading.Item, problem: str) -> mapping.Note:
    return mapping.Note(item.number, "wp:post_type", item.title or item.post_id, problem)
