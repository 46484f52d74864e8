"""What is published about content. A node's stream carries enough to build its documents from events alone."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from apps.events import registry

NODE = "content.node"
CATEGORY = "content.category"
TAG = "content.tag"


class NodeTranslation(registry.Payload):
    locale: str
    title: str
    slug: str
    excerpt: str


class NodeBody(registry.Payload):
    """`body` is sanitised source text in `format` (markdown, html, plain) or, for json, the blocks as JSON text."""

    locale: str
    format: str
    body: str


class NodeFields(registry.Payload):
    """The language-neutral part of a node."""

    kind: str
    author_name: str
    metadata: dict[str, Any]
    category_ids: list[uuid.UUID]


@registry.event("content.node.created")
class NodeCreated(NodeFields):
    """A node exists as a draft; publishing is an event of its own."""

    parent_id: uuid.UUID | None
    position: int
    depth: int
    tag_ids: list[uuid.UUID]
    translations: list[NodeTranslation]
    bodies: list[NodeBody]


@registry.event("content.node.updated")
class NodeUpdated(NodeFields):
    """The language-neutral part changed; carries all of it."""


@registry.event("content.translation.updated")
class TranslationUpdated(NodeTranslation):
    """Title, slug or excerpt in one locale were added or changed."""


@registry.event("content.translation.removed")
class TranslationRemoved(registry.Payload):
    """The node is no longer translated into this locale; its body there is gone too."""

    locale: str


@registry.event("content.body.updated")
class BodyUpdated(NodeBody):
    """The body in one locale was added or changed."""


@registry.event("content.node.moved")
class NodeMoved(registry.Payload):
    """The node has another place in the tree."""

    parent_id: uuid.UUID | None
    position: int
    depth: int


@registry.event("content.node.published")
class NodePublished(registry.Payload):
    published_at: datetime


@registry.event("content.node.unpublished")
class NodeUnpublished(registry.Payload):
    """Back to draft."""


@registry.event("content.node.archived")
class NodeArchived(registry.Payload):
    """Out of sight and out of the editors' way, kept."""


@registry.event("content.node.deleted")
class NodeDeleted(registry.Payload):
    """The node is gone; each deleted child has its own event."""


@registry.event("content.tag.attached")
class TagAttached(registry.Payload):
    """On the node's stream."""

    tag_id: uuid.UUID


@registry.event("content.tag.detached")
class TagDetached(registry.Payload):
    """On the node's stream."""

    tag_id: uuid.UUID


@registry.event("content.redirect.added")
class RedirectAdded(registry.Payload):
    """On the node's stream: an old slug of this kind and locale leads here."""

    locale: str
    slug: str


@registry.event("content.redirect.removed")
class RedirectRemoved(registry.Payload):
    """On the node's stream: the old slug now belongs to another node."""

    locale: str
    slug: str


class TermTranslation(registry.Payload):
    locale: str
    name: str
    slug: str
    description: str = ""


class CategoryState(registry.Payload):
    """`taxonomy` is `category`, or the name of a custom one that came with an import."""

    taxonomy: str
    parent_id: uuid.UUID | None
    position: int
    depth: int
    translations: list[TermTranslation]


@registry.event("content.category.created")
class CategoryCreated(CategoryState):
    pass


@registry.event("content.category.updated")
class CategoryUpdated(CategoryState):
    """Carries the whole category."""


@registry.event("content.category.deleted")
class CategoryDeleted(registry.Payload):
    pass


class TagState(registry.Payload):
    translations: list[TermTranslation]


@registry.event("content.tag.created")
class TagCreated(TagState):
    pass


@registry.event("content.tag.updated")
class TagUpdated(TagState):
    """Carries the whole tag."""


@registry.event("content.tag.deleted")
class TagDeleted(registry.Payload):
    pass
