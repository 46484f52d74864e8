"""Putting back what an import of a site has written: its own nodes and terms go, others get their former state."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from apps.content import events, models, queries, services
from apps.imports import formats
from apps.kernel import errors, validation, wording
from apps.outbox.append import unit_of_work


class InUse(errors.Conflict):
    """Others have put something in or below it since."""

    code = "import_in_use"


def remember_node(taking: formats.Taking, node: models.Node) -> None:
    """Its state before it may change; it comes with its translations, bodies and links."""
    taking.remember(events.NODE, node.id, lambda: _dumped(node))


def remember_term(taking: formats.Taking, row: models.Category | models.Tag) -> None:
    """The same of a category or tag, with its translations."""
    kind = events.TAG if isinstance(row, models.Tag) else events.CATEGORY
    taking.remember(kind, row.id, lambda: _dumped_term(row))


def remember_menu(taking: formats.Taking, menu: models.Menu) -> None:
    """The same of a menu."""
    state = {"name": menu.name, "location": menu.location, "items": menu.items}
    taking.remember(events.MENU, menu.id, lambda: state)


def discard_menu(menu_id: uuid.UUID, now: datetime) -> None:
    """Raises MenuNotFound."""
    services.delete_menu(menu_id=menu_id)


def restore_menu(menu_id: uuid.UUID, state: dict[str, Any], now: datetime) -> None:
    """Raises MenuNotFound, LocationTaken, ValidationFailed where something it led to is gone."""
    services.update_menu(menu_id=menu_id, changes=validation.parse(services.MenuChanges, _with_ids(state)))


def discard_node(node_id: uuid.UUID, now: datetime) -> None:
    """Delete it where nothing lies below it. Raises NodeNotFound, InUse."""
    if models.Node.objects.filter(parent_id=node_id).exists():
        raise InUse(wording.say("Other nodes lie below it."))
    services.delete_node(node_id=node_id)


def discard_category(category_id: uuid.UUID, now: datetime) -> None:
    """Delete it where nothing is in it or below it. Raises CategoryNotFound, InUse."""
    is_used = models.NodeCategory.objects.filter(category_id=category_id).exists()
    if is_used or models.Category.objects.filter(parent_id=category_id).exists():
        raise InUse(wording.say("Other nodes or categories are in it."))
    services.delete_category(category_id=category_id)


def discard_tag(tag_id: uuid.UUID, now: datetime) -> None:
    """Delete it where no node has it. Raises TagNotFound, InUse."""
    if models.NodeTag.objects.filter(tag_id=tag_id).exists():
        raise InUse(wording.say("Other nodes have it."))
    services.delete_tag(tag_id=tag_id)


def restore_node(node_id: uuid.UUID, state: dict[str, Any], now: datetime) -> None:
    """Words, terms, place and status as they were. Raises NodeNotFound, SlugTaken, CategoryNotFound, TagNotFound."""
    with unit_of_work():
        for locale in _locales_of(models.NodeTranslation.objects.filter(node_id=node_id), state):
            services.remove_translation(node_id=node_id, locale=locale)
        names = ("translations", "bodies", "author_name", "metadata", "old_paths")
        changes = {name: state[name] for name in names if name in state}
        changes |= {name: [uuid.UUID(id) for id in state[name]] for name in ("category_ids", "tag_ids")}
        services.update_node(node_id=node_id, changes=validation.parse(services.NodeChanges, changes))
        services.set_parent(node_id=node_id, parent_id=_id(state["parent_id"]))
        node = queries.get_node(node_id=node_id)
        published_at = datetime.fromisoformat(state["published_at"]) if state["published_at"] else None
        if state["status"] == models.Status.PUBLISHED:
            if (node.status, node.published_at) != (state["status"], published_at):
                services.publish_node(node_id=node_id, now=now, published_at=published_at)
        elif node.status != state["status"]:
            is_archived = state["status"] == models.Status.ARCHIVED
            (services.archive_node if is_archived else services.unpublish_node)(node_id=node_id)
        if state.get("is_spam", node.is_spam) != node.is_spam:
            was = services.CommentState.SPAM if state["is_spam"] else services.CommentState.REJECTED
            services.moderate_comment(comment_id=node_id, state=was, now=now)


def restore_category(category_id: uuid.UUID, state: dict[str, Any], now: datetime) -> None:
    """Raises CategoryNotFound, SlugTaken."""
    changes = {"translations": state["translations"], "parent_id": _id(state["parent_id"])}
    services.update_category(category_id=category_id, changes=validation.parse(services.CategoryChanges, changes))


def restore_tag(tag_id: uuid.UUID, state: dict[str, Any], now: datetime) -> None:
    """Raises TagNotFound, SlugTaken."""
    changes = {"translations": state["translations"]}
    services.update_tag(tag_id=tag_id, changes=validation.parse(services.TagChanges, changes))


def _with_ids(state: dict[str, Any]) -> dict[str, Any]:
    """As services take it: ids are no text there."""

    def item(stored: dict[str, Any]) -> dict[str, Any]:
        target = stored["target"] and {**stored["target"], "id": uuid.UUID(stored["target"]["id"])}
        below = [item(child) for child in stored["children"]]
        return {**stored, "id": uuid.UUID(stored["id"]), "target": target, "children": below}

    return {**state, "items": [item(stored) for stored in state["items"]]}


def _dumped(node: models.Node) -> dict[str, Any]:
    links = sorted(node.category_links.all(), key=lambda link: link.position)
    return {
        "status": str(node.status),
        "is_spam": node.is_spam,
        "published_at": node.published_at and node.published_at.isoformat(),
        "parent_id": node.parent_id and str(node.parent_id),
        "author_name": node.author_name,
        "metadata": node.metadata,
        "old_paths": node.old_paths,
        "category_ids": [str(link.category_id) for link in links],
        "tag_ids": [str(link.tag_id) for link in node.tag_links.all()],
        "translations": [
            {"locale": row.locale, "title": row.title, "slug": row.slug, "excerpt": row.excerpt}
            for row in node.translations.all()
        ],
        "bodies": [{"locale": row.locale, "format": row.format, "body": row.body} for row in node.bodies.all()],
    }


def _dumped_term(row: models.Category | models.Tag) -> dict[str, Any]:
    names = ("locale", "name", "slug", "description")
    words = [{name: getattr(entry, name) for name in names} for entry in row.translations.all()]
    parent_id = getattr(row, "parent_id", None)
    return {"parent_id": parent_id and str(parent_id), "translations": words}


def _locales_of(rows: Any, state: dict[str, Any]) -> list[str]:
    """Those that came since."""
    known = {entry["locale"] for entry in state["translations"]}
    return [locale for locale in rows.values_list("locale", flat=True) if locale not in known]


def _id(value: str | None) -> uuid.UUID | None:
    return uuid.UUID(value) if value else None
