"""Appending to the streams of nodes, categories, tags and menus of the tenant at work, and telling the audit log.

What only follows from an act, such as the new places of its siblings, has an event and no entry.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from apps.audit import recording as audit
from apps.content import events, models
from apps.events import registry
from apps.outbox.append import append
from apps.tenants import scope


def of_node(
    node_id: uuid.UUID,
    payload: registry.Payload,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    follows: bool = False,
) -> None:
    """`before` is what the audit log compares the payload, or `after`, with; what `follows` from an act is not told."""
    _record(events.NODE, node_id, payload, before, after, follows)


def of_category(
    category_id: uuid.UUID,
    payload: registry.Payload,
    *,
    before: Mapping[str, Any] | None = None,
    follows: bool = False,
) -> None:
    _record(events.CATEGORY, category_id, payload, before, None, follows)


def of_tag(tag_id: uuid.UUID, payload: registry.Payload, *, before: Mapping[str, Any] | None = None) -> None:
    _record(events.TAG, tag_id, payload, before, None, False)


def of_menu(menu_id: uuid.UUID, payload: registry.Payload, *, before: Mapping[str, Any] | None = None) -> None:
    _record(events.MENU, menu_id, payload, before, None, False)


def of_children(parent_id: uuid.UUID | None, *, before: list[uuid.UUID], after: list[uuid.UUID]) -> None:
    """Tell the audit log that somebody put the children of a node, or the nodes at the top, in another order."""
    audit.record(
        action="content.node.reordered",
        tenant_id=scope.current_id(),
        object_type=events.NODE,
        object_id=parent_id or "",
        before={"children": before},
        after={"children": after},
    )


def of_share(node_id: uuid.UUID, user_id: uuid.UUID, *, before: str | None, after: str | None) -> None:
    """Tell the audit log what a member may do with a node that is shared with them; None for nothing."""
    audit.record(
        action="content.node.shared" if after else "content.node.unshared",
        tenant_id=scope.current_id(),
        object_type=events.NODE,
        object_id=node_id,
        before={f"user:{user_id}": before},
        after={f"user:{user_id}": after},
    )


def _record(
    aggregate_type: str,
    aggregate_id: uuid.UUID,
    payload: registry.Payload,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    follows: bool,
) -> None:
    stream: dict[str, Any] = {
        "tenant_id": scope.current_id(),
        "aggregate_type": aggregate_type,
        "aggregate_id": aggregate_id,
    }
    append(payload, **stream)
    if not follows:
        audit.record_event(payload, before=before, after=after, **stream)


def node_fields(node: models.Node, category_ids: list[uuid.UUID]) -> events.NodeUpdated:
    """The language-neutral part of a node."""
    return events.NodeUpdated(
        kind=node.kind, author_name=node.author_name, metadata=node.metadata, category_ids=category_ids
    )


def translation(row: models.NodeTranslation) -> events.TranslationUpdated:
    return events.TranslationUpdated(locale=row.locale, title=row.title, slug=row.slug, excerpt=row.excerpt)


def body(row: models.Body) -> events.BodyUpdated:
    return events.BodyUpdated(locale=row.locale, format=row.format, body=row.body)
