"""What is published about content. A node's stream carries enough to build its documents from events alone."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import Field

from apps.events import fields, registry

NODE = "content.node"
CATEGORY = "content.category"
TAG = "content.tag"
MENU = "content.menu"


class NodeTranslation(registry.Payload):
    """The words of a node in one language but for its body."""

    locale: fields.Locale
    title: str
    slug: fields.Slug
    excerpt: str


class NodeBody(registry.Payload):
    """The body of a node in one language."""

    locale: fields.Locale
    format: Annotated[str, Field(description="`markdown`, `html`, `plain` or `json`.")]
    body: Annotated[str, Field(description="Sanitised source text in the format; for `json` the blocks as JSON text.")]


class NodeFields(registry.Payload):
    """The language-neutral part of a node."""

    kind: Annotated[str, Field(description="The sort of node, such as `page` or `post`.")]
    author_name: str
    metadata: fields.Metadata
    category_ids: list[uuid.UUID]


@registry.event("content.node.created")
class NodeCreated(NodeFields):
    """A node exists as a draft; publishing is an event of its own."""

    parent_id: fields.Parent
    position: fields.Order
    depth: fields.Depth
    tag_ids: list[uuid.UUID]
    translations: list[NodeTranslation]
    bodies: list[NodeBody]


@registry.event("content.node.updated")
class NodeUpdated(NodeFields):
    """The language-neutral part changed; carries all of it."""


@registry.event("content.translation.updated", aggregate=NODE)
class TranslationUpdated(NodeTranslation):
    """Title, slug or excerpt in one locale were added or changed."""


@registry.event("content.translation.removed", aggregate=NODE)
class TranslationRemoved(registry.Payload):
    """The node is no longer translated into this locale; its body there is gone too."""

    locale: fields.Locale


@registry.event("content.body.updated", aggregate=NODE)
class BodyUpdated(NodeBody):
    """The body in one locale was added or changed."""


@registry.event("content.node.moved")
class NodeMoved(registry.Payload):
    """The node has another place in the tree."""

    parent_id: fields.Parent
    position: fields.Order
    depth: fields.Depth


@registry.event("content.node.published")
class NodePublished(registry.Payload):
    """The node can be seen by the public."""

    published_at: fields.PublishedAt


@registry.event("content.node.unpublished")
class NodeUnpublished(registry.Payload):
    """The node went back to draft, out of the public's sight."""


@registry.event("content.node.archived")
class NodeArchived(registry.Payload):
    """The node is out of sight and out of the editors' way, kept."""


@registry.event("content.node.deleted")
class NodeDeleted(registry.Payload):
    """The node is gone; each deleted child has its own event."""


@registry.event("content.tag.attached", aggregate=NODE)
class TagAttached(registry.Payload):
    """The node carries a tag."""

    tag_id: uuid.UUID


@registry.event("content.tag.detached", aggregate=NODE)
class TagDetached(registry.Payload):
    """The node no longer carries a tag."""

    tag_id: uuid.UUID


@registry.event("content.redirect.added", aggregate=NODE)
class RedirectAdded(registry.Payload):
    """An old slug of the node's kind in a locale leads to the node."""

    locale: fields.Locale
    slug: fields.Slug


@registry.event("content.redirect.removed", aggregate=NODE)
class RedirectRemoved(registry.Payload):
    """The old slug now belongs to another node."""

    locale: fields.Locale
    slug: fields.Slug


@registry.event("content.seo.updated", aggregate=NODE)
class SeoUpdated(registry.Payload):
    """What search engines are told about the node; carries all of it, by locale."""

    seo: dict[str, fields.Seo]


@registry.event("content.paths.updated", aggregate=NODE)
class PathsUpdated(registry.Payload):
    """Where the node was on another site; carries all of these paths."""

    paths: list[str]


@registry.event("content.fields.updated", aggregate=NODE)
class FieldsUpdated(registry.Payload):
    """The values of the fields the tenant has defined for nodes of this kind; carries all of them."""

    fields: Annotated[dict[str, Any], Field(description="By the name of the field.")]


@registry.event("content.comments.switched", aggregate=NODE)
class CommentsSwitched(registry.Payload):
    """Somebody opened or closed the node for comments."""

    is_open: Annotated[bool | None, Field(description="Null is as the tenant's settings say.")]


@registry.event("content.comment.marked", aggregate=NODE)
class CommentMarked(registry.Payload):
    """The comment was taken for spam, or is no longer; whether it is shown has events of its own."""

    is_spam: bool


class TermTranslation(registry.Payload):
    """The words of a category or a tag in one language."""

    locale: fields.Locale
    name: str
    slug: fields.Slug
    description: str = ""


class CategoryState(registry.Payload):
    """The whole category."""

    taxonomy: Annotated[str, Field(description="`category`, or the name of a custom one that came with an import.")]
    parent_id: fields.Parent
    position: fields.Order
    depth: fields.Depth
    translations: list[TermTranslation]


@registry.event("content.category.created")
class CategoryCreated(CategoryState):
    """A category of content exists; carries all of it."""


@registry.event("content.category.updated")
class CategoryUpdated(CategoryState):
    """Something of the category changed, its place included; carries all of it."""


@registry.event("content.category.deleted")
class CategoryDeleted(registry.Payload):
    """The category is gone."""


@registry.event("content.category_seo.updated", aggregate=CATEGORY)
class CategorySeoUpdated(SeoUpdated):
    """What search engines are told about the category; carries all of it, by locale."""


class TagState(registry.Payload):
    """The whole tag."""

    translations: list[TermTranslation]


@registry.event("content.tag.created")
class TagCreated(TagState):
    """A tag exists; carries all of it."""


@registry.event("content.tag.updated")
class TagUpdated(TagState):
    """Something of the tag changed; carries all of it."""


@registry.event("content.tag.deleted")
class TagDeleted(registry.Payload):
    """The tag is gone."""


class MenuTarget(registry.Payload):
    """What an item of a menu leads to."""

    type: Annotated[str, Field(description="`node`, `content_category`, `tag`, `product`, `category` or `collection`.")]
    id: uuid.UUID


class MenuItem(registry.Payload):
    """An item of a menu, with those below it in their order."""

    id: uuid.UUID
    titles: Annotated[dict[str, str], Field(description="By locale; in others the title of the target is shown.")]
    target: MenuTarget | None
    url: Annotated[str | None, Field(description="An address outside; neither this nor a target makes a heading.")]
    icon: str
    children: list[MenuItem]


class MenuState(registry.Payload):
    """The whole menu."""

    name: str
    location: Annotated[
        str | None, Field(description="`header`, `footer`, `sidebar` or `mobile`; null where it is shown nowhere.")
    ]
    items: list[MenuItem]


@registry.event("content.menu.created")
class MenuCreated(MenuState):
    """A menu exists; carries all of it."""


@registry.event("content.menu.updated")
class MenuUpdated(MenuState):
    """Something of the menu changed, an item or its place included; carries all of it."""


@registry.event("content.menu.deleted")
class MenuDeleted(registry.Payload):
    """The menu is gone."""
