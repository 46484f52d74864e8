"""What the lists of content can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from apps.accounts.access import limiting
from apps.content import kinds, models, queries, shown
from apps.content.services import CommentState
from apps.kernel import filters, ids
from apps.kernel.listing import Document, Expansion, Listing, member

# Modules may add kinds of their own.
_KIND = filters.one_of_those(lambda: [kind.name for kind in kinds.all_kinds()])


def _named(
    prefix: str, find: Callable[[Iterable[UUID]], Mapping[UUID, list[UUID]]]
) -> Callable[[Sequence[Document]], Sequence[Sequence[str]]]:
    """The ids of terms that nodes have, which their documents in lists do not name."""

    def ids_of(documents: Sequence[Document]) -> Sequence[Sequence[str]]:
        node_ids = [ids.decode("node", document["id"]) for document in documents]
        found = find(node_ids)
        return [[ids.encode(prefix, each) for each in found.get(node_id, ())] for node_id in node_ids]

    return ids_of


def _load(
    prefix: str, find: Callable[[list[UUID]], Iterable[Any]], show: Callable[[Any], Document]
) -> Callable[[Sequence[str]], Mapping[str, Document]]:
    def load(wanted: Sequence[str]) -> Mapping[str, Document]:
        documents = (show(row) for row in find([ids.decode(prefix, each) for each in wanted]))
        return {document["id"]: document for document in documents}

    return load


_CATEGORIES = _load(
    "cat",
    lambda found: limiting.among(queries.list_categories().filter(id__in=found), "content_categories:read"),
    shown.category,
)

CATEGORIES: Listing = Listing(
    document=shown.ContentCategory,
    filters={
        "taxonomy": filters.words(description="Such as category."),
        "parent": filters.Filter(
            filters.or_none("root", filters.identifier("cat")), column="parent_id", description="An id, or root."
        ),
        "slug": filters.words(column="translations__slug", is_many=True, description="In any locale."),
    },
    default="created_at",
    expansions={"parent": Expansion(member("parent_id"), _CATEGORIES, is_many=False, listing=lambda: CATEGORIES)},
)

TAGS = Listing(
    document=shown.Tag,
    filters={"slug": filters.words(column="translations__slug", is_many=True, description="In any locale.")},
    default="created_at",
)

NODES: Listing = Listing(
    document=shown.Node,
    filters={
        "kind": filters.Filter(_KIND, filters.SAME, description="Such as page or post."),
        "status": filters.choice(*models.Status.values),
        "parent": filters.Filter(
            filters.or_none("root", filters.identifier("node")),
            column="parent_id",
            description="A node's id, or root for nodes without a parent.",
        ),
        "locale": filters.words(
            "eq",
            column="translations__locale", is_many=True,
            description="Only nodes translated into it, and only that translation.",
        ),
        "category": filters.object_id("cat", column="category_links__category_id", is_many=True),
        "tag": filters.object_id("tag", column="tag_links__tag_id", is_many=True),
        "external_id": filters.words(read=filters.exact),
        "created_at": filters.moments(),
        "updated_at": filters.moments(),
        "published_at": filters.moments(),
    },
    sorts={"created_at": "id", "updated_at": "updated_at"},
    expansions={
        "parent": Expansion(
            member("parent_id"), _load("node", queries.find_nodes, shown.node), is_many=False, listing=lambda: NODES
        ),
        "categories": Expansion(_named("cat", queries.category_ids_of), _CATEGORIES, listing=lambda: CATEGORIES),
        "tags": Expansion(
            _named("tag", queries.tag_ids_of),
            _load(
                "tag",
                lambda found: limiting.among(queries.list_tags().filter(id__in=found), "tags:read"),
                shown.tag,
            ),
            listing=lambda: TAGS,
        ),
    },
)  # fmt: skip

_STATES = filters.choice(*CommentState)
COMMENTS = Listing(
    document=shown.Comment,
    filters={
        "state": _STATES,
        "parent": filters.object_id("node", column="parent_id"),
        "author_name": filters.words(),
        "created_at": filters.moments(),
    },
)
OWN_COMMENTS = Listing(
    document=shown.OwnComment,
    filters={"state": _STATES, "parent": filters.object_id("node", column="parent_id")},
)

MENUS = Listing(
    document=shown.Menu,
    filters={
        "name": filters.words(),
        "location": filters.choice(*models.Location.values),
        "external_id": filters.words(read=filters.exact),
        "created_at": filters.moments(),
        "updated_at": filters.moments(),
    },
)

KINDS = Listing(
    document=shown.Kind,
    filters={"name": filters.words()},
    sorts={"name": "name"},
    default="name",
)

SHARES = Listing(
    document=shown.Share,
    filters={"email": filters.words(column="user__email", read=filters.email), "user_id": filters.object_id("user")},
    default="created_at",
)
