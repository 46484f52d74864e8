"""Appending to the streams of nodes, categories and tags of the tenant at work."""

from __future__ import annotations

import uuid

from apps.content import events, models
from apps.events import registry
from apps.outbox.append import append
from apps.tenants import scope


def of_node(node_id: uuid.UUID, payload: registry.Payload) -> None:
    append(payload, tenant_id=scope.current_id(), aggregate_type=events.NODE, aggregate_id=node_id)


def of_category(category_id: uuid.UUID, payload: registry.Payload) -> None:
    append(payload, tenant_id=scope.current_id(), aggregate_type=events.CATEGORY, aggregate_id=category_id)


def of_tag(tag_id: uuid.UUID, payload: registry.Payload) -> None:
    append(payload, tenant_id=scope.current_id(), aggregate_type=events.TAG, aggregate_id=tag_id)


def node_fields(node: models.Node, category_ids: list[uuid.UUID]) -> events.NodeUpdated:
    """The language-neutral part of a node."""
    return events.NodeUpdated(
        kind=node.kind, author_name=node.author_name, metadata=node.metadata, category_ids=category_ids
    )


def translation(row: models.NodeTranslation) -> events.TranslationUpdated:
    return events.TranslationUpdated(locale=row.locale, title=row.title, slug=row.slug, excerpt=row.excerpt)


def body(row: models.Body) -> events.BodyUpdated:
    return events.BodyUpdated(locale=row.locale, format=row.format, body=row.body)
