"""Menus: their items as rows in the order they are shown, each at its level."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.accounts.desk.asking import Asked
from apps.accounts.desk.choosing import address_of, names_of
from apps.accounts.desk.screens import EditingAdmin
from apps.accounts.desk.sheets import Document, Field, Section, Sheet, Table
from apps.content import events, models, queries, services
from apps.content.models.menus import Location
from apps.content.services.menus import LEVELS
from apps.kernel import validation
from apps.tenants import scope

# What an item can lead to, and the screen its rows are found on.
_TARGETS = {
    "node": ("Page or post", "content.node"),
    "product": ("Product", "commerce.product"),
    "category": ("Category of products", "commerce.category"),
    "collection": ("Collection", "commerce.collection"),
    "content_category": ("Category of content", "content.category"),
    "tag": ("Tag", "content.tag"),
}
_LEVELS = tuple(str(level) for level in range(1, LEVELS + 1))


@admin.register(models.Menu)
class MenuAdmin(EditingAdmin):
    resource = "menus"
    aggregate = events.MENU
    list_display = ("name", "tenant", "location", "updated_at")
    list_filter = ("location",)
    search_fields = ("name", "external_id")
    ordering = ("-id",)

    def stored(self, request: HttpRequest, row: Any) -> Document:
        if row is None:
            return {"items": []}
        menu = queries.get_menu(menu_id=row.pk)
        found: Document = {"name": menu.name, "location": menu.location or ""}
        placed = list(_walk(menu.items, 1))
        found["items"] = [uuid.UUID(item["id"]).hex for item, _ in placed]
        for item, level in placed:
            found |= _row(item, level)
        return found

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        at_work = scope.current()
        others = [locale for locale in at_work.locales if locale != at_work.default_locale]
        levels = tuple((level, "– " * (int(level) - 1) + level) for level in _LEVELS)
        columns = [
            Field(name="items/{row}/level", label="Level", kind="choice", choices=levels),
            Field(name=f"items/{{row}}/titles/{at_work.default_locale}", label="Title"),
            _target("node"),
            Field(name="items/{row}/url", label="or address"),
        ]
        details = [
            *(Field(name=f"items/{{row}}/titles/{locale}", label=f"Title ({locale})") for locale in others),
            *(_target(kind) for kind in _TARGETS if kind != "node" and address_of(_TARGETS[kind][1])),
            Field(name="items/{row}/icon", label="Icon"),
        ]
        where = (
            Field(name="name", label="Name", is_required=True),
            Field(
                name="location",
                label="Shown at",
                kind="choice",
                choices=(("", "nowhere"), *((place.value, place.label) for place in Location)),
            ),
        )
        note = "An item leads to one of our pages, to an address, or nowhere: then it is a heading. Without a title it "
        note += "has that of its page. Products, categories and other languages are under More."
        table = Table(name="items", title="Items", row="an item", columns=columns, details=details, note=note)
        return Sheet([Section(title="", fields=where), table])

    def names_of(self, request: HttpRequest, document: Mapping[str, Any]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for kind, (_, screen) in _TARGETS.items():
            found |= names_of(request, screen, (str(document.get(path, "")) for path in _paths(document, kind)))
        return found

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID:
        values: dict[str, Any] = {"name": asked.text("name"), "location": asked.maybe("location")}
        values["items"] = _nested(asked)
        if row is None:
            return services.create_menu(new=validation.parse(services.NewMenu, values)).id
        if changed := {name: value for name, value in values.items() if asked.changes(name)}:
            services.update_menu(menu_id=row.pk, changes=validation.parse(services.MenuChanges, changed))
        return uuid.UUID(str(row.pk))

    def erase(self, row_id: uuid.UUID) -> None:
        services.delete_menu(menu_id=row_id)


def _target(kind: str) -> Field:
    label, screen = _TARGETS[kind]
    return Field(name=f"items/{{row}}/{kind}", label=label, kind="find", find=address_of(screen))


def _paths(document: Mapping[str, Any], kind: str) -> list[str]:
    return [f"items/{row}/{kind}" for row in document.get("items", [])]


def _walk(items: list[dict[str, Any]], level: int) -> Iterator[tuple[dict[str, Any], int]]:
    for item in items:
        yield item, level
        yield from _walk(item["children"], level + 1)


def _row(item: dict[str, Any], level: int) -> Document:
    at = f"items/{uuid.UUID(item['id']).hex}"
    found: Document = {f"{at}/level": str(level), f"{at}/url": item["url"] or "", f"{at}/icon": item["icon"]}
    found |= {f"{at}/titles/{locale}": title for locale, title in item["titles"].items()}
    if item["target"]:
        found[f"{at}/{item['target']['type']}"] = item["target"]["id"]
    return found


def _nested(asked: Asked) -> list[dict[str, Any]]:
    """The rows as a tree: each below the last one before it that is a level higher."""
    tops: dict[str, dict[str, Any]] = {}
    below: dict[str, dict[str, dict[str, Any]]] = {}
    branch: list[str] = []
    for row in asked.many("items"):
        wanted = asked.text(f"items/{row}/level")
        depth = min(int(wanted) - 1 if wanted in _LEVELS else 0, len(branch), LEVELS - 1)
        branch[max(depth, 0) :] = [row]
        siblings = below.setdefault(branch[-2], {}) if len(branch) > 1 else tops
        siblings[row] = _item(asked, row)
    for row, siblings in reversed(below.items()):
        item = tops.get(row) or next(each[row] for each in below.values() if row in each)
        item["children"] = list(siblings.values())
    _remember(asked, "items", tops, below)
    return list(tops.values())


def _remember(asked: Asked, path: str, entries: Mapping[str, Any], below: Mapping[str, Mapping[str, Any]]) -> None:
    asked.listed(path, entries, below="items")
    for row in entries:
        if row in below:
            _remember(asked, f"items/{row}/children", below[row], below)


def _item(asked: Asked, row: str) -> dict[str, Any]:
    at = f"items/{row}"
    titles = {
        path.removeprefix(f"{at}/titles/"): str(title).strip()
        for path, title in asked.document.items()
        if path.startswith(f"{at}/titles/") and str(title).strip()
    }
    target = next(
        ({"type": kind, "id": asked.text(f"{at}/{kind}")} for kind in _TARGETS if asked.maybe(f"{at}/{kind}")), None
    )
    known = {} if row.startswith("new") else {"id": row}
    return {
        **known,
        "titles": titles,
        "target": target,
        "url": asked.maybe(f"{at}/url"),
        "icon": asked.text(f"{at}/icon"),
    }
