"""What the editors' API answers: ids as typed text, moments as RFC 3339."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict
from uuid import UUID

from apps.content import kinds, models, services
from apps.content.services import menus
from apps.kernel import ids, seo, text, validation
from apps.kernel.operations import Free, Id, Moment, Named, one_of
from apps.kernel.seo import SeoWords


class NodeTranslation(TypedDict):
    locale: str
    title: str
    slug: str
    excerpt: str


class Node(TypedDict):
    """A node without bodies and terms; `depth` is 0 at the top of the tree. `comments_open` null is as the tenant's
    settings say."""

    id: Id
    kind: str
    status: Annotated[str, one_of(*models.Status.values)]
    parent_id: Id | None
    position: int
    depth: int
    author_name: str
    metadata: Free
    seo: dict[str, SeoWords]
    fields: Free
    external_id: str | None
    old_paths: list[str]
    comments_open: bool | None
    published_at: Moment | None
    created_at: Moment
    updated_at: Moment
    translations: list[NodeTranslation]


class Body(TypedDict):
    locale: str
    format: Annotated[str, one_of(*models.Format.values)]
    body: str


class Redirect(TypedDict):
    """A slug the node had before."""

    locale: str
    slug: str


class WholeNode(Node):
    bodies: list[Body]
    category_ids: list[Id]
    tag_ids: list[Id]
    redirects: list[Redirect]


class TermTranslation(TypedDict):
    locale: str
    name: str
    slug: str
    description: str


class ContentCategory(TypedDict):
    """`depth` is 0 at the top of the tree."""

    id: Id
    taxonomy: str
    parent_id: Id | None
    position: int
    depth: int
    translations: list[TermTranslation]
    seo: dict[str, SeoWords]


class Tag(TypedDict):
    id: Id
    translations: list[TermTranslation]


class MenuTarget(TypedDict):
    type: Annotated[str, one_of(*menus.PREFIXES)]
    id: Id


class MenuItem(TypedDict):
    """`titles` by locale. An item leads to its `target`, to its `url`, or nowhere: a heading."""

    id: Id
    titles: Named
    target: MenuTarget | None
    url: str | None
    icon: str
    children: list[MenuItem]


class Menu(TypedDict):
    """A menu with the tree of its items; `location` is null where it is shown nowhere."""

    id: Id
    name: str
    location: Annotated[str, one_of(*models.Location.values)] | None
    items: list[MenuItem]
    external_id: str | None
    created_at: Moment
    updated_at: Moment


class OwnComment(TypedDict):
    """A comment, as whoever wrote it sees it; `parent_id` is what it is about, or the comment it answers."""

    id: Id
    state: Annotated[str, one_of(*services.CommentState)]
    parent_id: Id | None
    locale: str
    text: str
    created_at: Moment


class Comment(OwnComment):
    """A comment, as editors see it."""

    author_name: str


class Share(TypedDict):
    """What a member may do with this one node."""

    user_id: Id
    email: str
    action: Annotated[str, one_of("read", "update")]


class Kind(TypedDict):
    name: str
    description: str


class Children(TypedDict):
    """The ids of the children in order."""

    ids: list[Id]


def node(row: models.Node) -> Node:
    """A node in a list: without bodies and terms."""
    return {
        "id": ids.encode("node", row.id),
        "kind": row.kind,
        "status": row.status,
        "parent_id": None if row.parent_id is None else ids.encode("node", row.parent_id),
        "position": row.position,
        "depth": row.depth,
        "author_name": row.author_name,
        "metadata": row.metadata,
        "seo": seo.shown(row.seo),
        "fields": row.fields,
        "external_id": row.external_id,
        "old_paths": row.old_paths,
        "comments_open": row.comments_open,
        "published_at": validation.to_text(row.published_at) if row.published_at else None,
        "created_at": validation.to_text(row.created_at),
        "updated_at": validation.to_text(row.updated_at),
        "translations": [
            {"locale": entry.locale, "title": entry.title, "slug": entry.slug, "excerpt": entry.excerpt}
            for entry in row.translations.all()
        ],
    }


def whole_node(row: models.Node) -> WholeNode:
    return {
        **node(row),
        "bodies": [{"locale": entry.locale, "format": entry.format, "body": entry.body} for entry in row.bodies.all()],
        "category_ids": [ids.encode("cat", link.category_id) for link in row.category_links.all()],
        "tag_ids": [ids.encode("tag", link.tag_id) for link in row.tag_links.all()],
        "redirects": [{"locale": entry.locale, "slug": entry.slug} for entry in row.redirects.all()],
    }


def category(row: models.Category) -> ContentCategory:
    return {
        "id": ids.encode("cat", row.id),
        "taxonomy": row.taxonomy,
        "parent_id": None if row.parent_id is None else ids.encode("cat", row.parent_id),
        "position": row.position,
        "depth": row.depth,
        "translations": [_term(entry) for entry in row.translations.all()],
        "seo": seo.shown(row.seo),
    }


def tag(row: models.Tag) -> Tag:
    return {
        "id": ids.encode("tag", row.id),
        "translations": [_term(entry) for entry in row.translations.all()],
    }


def menu(row: models.Menu) -> Menu:
    return {
        "id": ids.encode("menu", row.id),
        "name": row.name,
        "location": row.location,
        "items": [_menu_item(item) for item in row.items],
        "external_id": row.external_id,
        "created_at": validation.to_text(row.created_at),
        "updated_at": validation.to_text(row.updated_at),
    }


def _menu_item(item: dict[str, Any]) -> MenuItem:
    return {
        "id": ids.encode("item", UUID(item["id"])),
        "titles": item["titles"],
        "target": _menu_target(item["target"]),
        "url": item["url"],
        "icon": item["icon"],
        "children": [_menu_item(child) for child in item["children"]],
    }


def _menu_target(target: dict[str, str] | None) -> MenuTarget | None:
    if target is None:
        return None
    return {"type": target["type"], "id": ids.encode(menus.PREFIXES[target["type"]], UUID(target["id"]))}


def own_comment(row: models.Node) -> OwnComment:
    bodies = sorted(row.bodies.all(), key=lambda body: body.locale)
    translation = min(row.translations.all(), key=lambda entry: entry.locale)
    words = bodies[0] if bodies else None
    is_plain = words is None or words.format == models.Format.PLAIN
    return {
        "id": ids.encode("node", row.id),
        "state": services.comment_state(row),
        "parent_id": None if row.parent_id is None else ids.encode("node", row.parent_id),
        "locale": words.locale if words else translation.locale,
        "text": "" if words is None else words.body if is_plain else text.to_plain_text(words.body),
        "created_at": validation.to_text(row.created_at),
    }


def comment(row: models.Node) -> Comment:
    return {**own_comment(row), "author_name": row.author_name}


def share(row: models.NodeUserObjectPermission) -> Share:
    return {
        "user_id": ids.encode("user", row.user_id),
        "email": row.user.email,
        "action": services.action_of(row.permission),
    }


def _term(row: models.CategoryTranslation | models.TagTranslation) -> TermTranslation:
    return {"locale": row.locale, "name": row.name, "slug": row.slug, "description": row.description}


def kind(row: kinds.Kind) -> Kind:
    return {"name": row.name, "description": row.description}
