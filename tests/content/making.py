"""Nodes and terms for tests, and what was recorded about them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from apps.content import models, services
from apps.kernel import validation
from apps.outbox.models import Log
from rustok.testing import factories
from rustok.testing.factories import make_category, make_menu, make_tag

__all__ = ["make_category", "make_menu", "make_tag"]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def make_node(title: str = "A page", **fields: Any) -> models.Node:
    """A page with an English title, unless told otherwise."""
    return factories.make_node(title, now=NOW, **fields)


def update(node: models.Node, **fields: Any) -> models.Node:
    return services.update_node(node_id=node.id, changes=validation.parse(services.NodeChanges, fields))


def update_category(category: models.Category, **fields: Any) -> models.Category:
    changes = validation.parse(services.CategoryChanges, fields)
    return services.update_category(category_id=category.id, changes=changes)


def slug_of(node: models.Node, locale: str = "en") -> str:
    return models.NodeTranslation.objects.get(node=node, locale=locale).slug


def place_of(node: models.Node) -> tuple[uuid.UUID | None, int, int]:
    fresh = models.Node.objects.get(id=node.id)
    return fresh.parent_id, fresh.position, fresh.depth


def recorded(id: uuid.UUID) -> list[tuple[str, dict[str, Any]]]:
    """The stream of an aggregate: event types without their module, and data."""
    rows = Log.objects.filter(aggregate_id=id).order_by("version").values_list("type", "data")
    return [(name.removeprefix("content."), data) for name, data in rows]


def types_of(id: uuid.UUID) -> list[str]:
    return [name for name, _ in recorded(id)]


def event_count() -> int:
    return Log.objects.count()


def check_deferred_constraints() -> None:
    """What the commit would check."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
