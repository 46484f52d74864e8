"""What limited grants mean for nodes, and what sharing one node with one person adds."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import Model, QuerySet

from apps.accounts.access import engine, limiting, rights
from apps.content import models
from apps.content.services.errors import NodeNotFound
from apps.kernel import ids, wording

COLUMNS = limiting.Columns(
    own="created_by",
    kind="kind",
    locale="translations__locale",
    published={"status": models.Status.PUBLISHED},
)
OF_NODE = COLUMNS.below("node")
# Of a translation or body: its own locale, whatever others the node has.
OF_TEXT = dataclasses.replace(OF_NODE, locale="locale")
# What an explicit sharing allows, as Django names the permissions on a model. Updating includes reading.
SHARED = {"read": ("view_node", "change_node"), "update": ("change_node",)}


def check(action: str, node: models.Node, *, locales: Iterable[str] | None = None) -> None:
    """Raises NotPermitted where the request at work may not do this to the node, or to these locales of it.

    Where it may not even see the node, NodeNotFound, as for one that is not there.
    """
    permission = f"nodes:{action}"
    alternatives = limiting.held(permission)
    if alternatives is None or rights.ANY in alternatives or is_shared(node.id, action):
        return
    try:
        limiting.check(permission, _facts(node, locales), what=ids.encode("node", node.id))
    except limiting.NotPermitted:
        if limiting.held("nodes:read") and not readable(models.Node.objects.filter(id=node.id), node.id)[0].exists():
            raise not_found(node.id) from None
        raise


def check_all(action: str, node_ids: list[uuid.UUID]) -> None:
    """Raises NotPermitted unless the request at work may do this to every one of the nodes."""
    permission = f"nodes:{action}"
    rows = models.Node.objects.filter(id__in=node_ids)
    if limiting.visible(rows, permission, COLUMNS).count() != len(node_ids):
        raise limiting.NotPermitted(
            wording.say(
                'Your account holds "{permission}" for other objects only; some below this node are beyond its limits.',
                permission=permission,
            ),
            permission=permission,
        )


def check_new(*, kind: str, locales: Iterable[str]) -> None:
    """Raises NotPermitted where the request at work may not make such a node."""
    facts = limiting.Facts(owner_id=creator(), kind=kind, locales=set(locales))
    limiting.check(
        "nodes:create",
        facts,
        what=wording.say("a new {kind} in {locales}", kind=kind, locales=", ".join(sorted(facts.locales))),
    )


def parents(node_ids: Iterable[uuid.UUID]) -> QuerySet[models.Node]:
    """Those of the nodes that the request at work may see, and so may place others below. Raises NotPermitted."""
    return limiting.visible(models.Node.objects.filter(id__in=list(node_ids)), "nodes:read", COLUMNS)


def readable(rows: QuerySet[models.Node], node_id: uuid.UUID) -> tuple[QuerySet[models.Node], bool]:
    """The rows if the request at work may see the node, and whether only texts within its limits are to be shown.

    Raises NotPermitted where it may see no node at all and this one is not shared.
    """
    alternatives = limiting.held("nodes:read")
    if alternatives is None or rights.ANY in alternatives or is_shared(node_id, "read"):
        return rows, False
    return limiting.visible(rows, "nodes:read", COLUMNS), True


def texts[Row: Model](rows: QuerySet[Row], permission: str) -> QuerySet[Row]:
    """Translations or bodies within the limits of the request at work."""
    return limiting.visible(rows, permission, OF_TEXT)


def is_shared(node_id: uuid.UUID, action: str) -> bool:
    """Whether the node is shared with the member at work for this."""
    acting = engine.acting()
    if acting is None or acting.holder_id is None or not acting.is_member or action not in SHARED:
        return False
    rows = models.NodeUserObjectPermission.objects.filter(content_object_id=node_id, user_id=acting.holder_id)
    return rows.filter(permission__codename__in=SHARED[action]).exists()


def creator() -> Any:
    """The id of who makes a node now; None where no person does."""
    acting = engine.acting()
    return acting.holder_id if acting else None


def not_found(node_id: uuid.UUID) -> NodeNotFound:
    """The error for a node that is not there, or not for whoever asks."""
    return NodeNotFound(wording.say("There is no node {node}.", node=ids.encode("node", node_id)))


def _facts(node: models.Node, locales: Iterable[str] | None) -> limiting.Facts:
    touched = set(locales) if locales is not None else {row.locale for row in node.translations.all()}
    return limiting.Facts(
        owner_id=node.created_by,
        kind=node.kind,
        locales=touched,
        is_published=node.status == models.Status.PUBLISHED,
    )
