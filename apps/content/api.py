"""The editors' side of content: `/api/v1/admin/nodes`, `content-categories` and `tags`."""

from __future__ import annotations

from typing import Annotated

from django.urls import path
from django.utils import timezone
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import limiting
from apps.content import events, kinds, lists, models, permitted, queries, services, shown
from apps.kernel import api, ids, validation
from apps.kernel.operations import operation
from apps.tenants import custom_fields, endpoint
from apps.tenants.endpoint import Endpoint

NODES, CATEGORIES, TAGS = "content nodes", "content categories", "content tags"


class Move(validation.Input):
    """`parent_id` null is the top of the tree, absent is the same parent; `position` absent is last."""

    parent_id: services.NodeId | None = None
    position: validation.Position | None = None


class ChildOrder(validation.Input):
    ids: Annotated[list[services.NodeId], Field(max_length=100_000)]


def _node(node: models.Node, *, status: int = 200) -> Response:
    """What was written, as far as whoever wrote it may read it."""
    try:
        return Response(shown.whole_node(queries.get_node(node_id=node.id)), status=status)
    except (limiting.NotPermitted, services.NodeNotFound):
        return endpoint.unread(f"/api/v1/admin/nodes/{ids.encode('node', node.id)}")


class NodesView(Endpoint):
    listing = lists.NODES
    permissions = {"GET": "nodes:list", "POST": "nodes:create"}

    @operation("node_list", tag=NODES, answers=shown.Node)
    def get(self, request: Request) -> Response:
        """Nodes, newest first."""
        rows = queries.list_nodes(locale=request.GET.get("locale"))
        return lists.NODES.respond(request, rows, lambda page: [shown.node(node) for node in page])

    @operation(
        "node_create",
        tag=NODES,
        takes=services.NewNode,
        answers=shown.WholeNode,
        status=201,
        also=endpoint.UNREAD,
        refuses=(
            services.LocaleNotEnabled,
            services.SlugTaken,
            services.ExternalIdTaken,
            services.PathTaken,
            services.TreeTooDeep,
            services.InvalidBlocks,
            services.NodeNotFound,
            custom_fields.InvalidFields,
        ),
    )
    def post(self, request: Request) -> Response:
        """A node: a draft, or published at once."""
        node = services.create_node(new=api.read_input(request, services.NewNode), now=timezone.now())
        return _node(node, status=201)


class NodeView(Endpoint):
    versioned = endpoint.by_id(events.NODE, "node", "node_id")
    permissions = {"GET": "nodes:read", "PATCH": "nodes:update", "DELETE": "nodes:delete"}
    shareable = {"GET": "read", "PATCH": "update"}

    def is_shared(self, action: str) -> bool:
        """Whether this one node is shared with whoever asks."""
        return permitted.is_shared(ids.decode("node", self.kwargs["node_id"]), action)

    @operation("node_get", tag=NODES, answers=shown.WholeNode, refuses=(services.NodeNotFound,))
    def get(self, request: Request, node_id: str) -> Response:
        """The node with all translations, bodies and terms."""
        return Response(shown.whole_node(queries.get_node(node_id=ids.decode("node", node_id))))

    @operation(
        "node_update",
        tag=NODES,
        takes=services.NodeChanges,
        answers=shown.WholeNode,
        also=endpoint.UNREAD,
        refuses=(
            services.NodeNotFound,
            services.LocaleNotEnabled,
            services.SlugTaken,
            services.PathTaken,
            services.InvalidBlocks,
            custom_fields.InvalidFields,
        ),
    )
    def patch(self, request: Request, node_id: str) -> Response:
        """Change what is given."""
        changes = api.read_input(request, services.NodeChanges)
        return _node(services.update_node(node_id=ids.decode("node", node_id), changes=changes))

    @operation("node_delete", tag=NODES, refuses=(services.NodeNotFound,))
    def delete(self, request: Request, node_id: str) -> Response:
        """Delete the node and everything below it."""
        services.delete_node(node_id=ids.decode("node", node_id))
        return Response(status=204)


class NodePublishView(Endpoint):
    permissions = {"POST": "nodes:update"}

    @operation(
        "node_publish",
        tag=NODES,
        takes=services.Publication,
        answers=shown.WholeNode,
        also=endpoint.UNREAD,
        refuses=(services.NodeNotFound,),
    )
    def post(self, request: Request, node_id: str) -> Response:
        """Show the node to the public."""
        publication = api.read_input(request, services.Publication)
        node = services.publish_node(
            node_id=ids.decode("node", node_id), now=timezone.now(), published_at=publication.published_at
        )
        return _node(node)


class NodeUnpublishView(Endpoint):
    permissions = {"POST": "nodes:update"}

    @operation(
        "node_unpublish", tag=NODES, answers=shown.WholeNode, also=endpoint.UNREAD, refuses=(services.NodeNotFound,)
    )
    def post(self, request: Request, node_id: str) -> Response:
        """Back to draft."""
        return _node(services.unpublish_node(node_id=ids.decode("node", node_id)))


class NodeArchiveView(Endpoint):
    permissions = {"POST": "nodes:update"}

    @operation(
        "node_archive", tag=NODES, answers=shown.WholeNode, also=endpoint.UNREAD, refuses=(services.NodeNotFound,)
    )
    def post(self, request: Request, node_id: str) -> Response:
        """Out of sight, kept."""
        return _node(services.archive_node(node_id=ids.decode("node", node_id)))


class NodeMoveView(Endpoint):
    permissions = {"POST": "nodes:update"}

    @operation(
        "node_move",
        tag=NODES,
        takes=Move,
        answers=shown.WholeNode,
        also=endpoint.UNREAD,
        refuses=(services.NodeNotFound, services.TreeCycle, services.TreeTooDeep),
    )
    def post(self, request: Request, node_id: str) -> Response:
        """Another parent, or another position among the siblings."""
        move = api.read_input(request, Move)
        node = services.move_node(
            node_id=ids.decode("node", node_id),
            parent_id=move.parent_id if "parent_id" in move.model_fields_set else services.SAME_PARENT,
            position=move.position,
        )
        return _node(node)


class NodeChildrenView(Endpoint):
    permissions = {"POST": "nodes:update"}

    @operation(
        "node_reorder_children",
        tag=NODES,
        takes=ChildOrder,
        answers=shown.Children,
        refuses=(services.NodeNotFound, services.WrongChildren),
    )
    def post(self, request: Request, node_id: str) -> Response:
        """Give the children this order; send every child exactly once."""
        order = api.read_input(request, ChildOrder)
        parent_id = ids.decode("node", node_id)
        children = services.reorder_children(parent_id=parent_id, ids_in_order=order.ids)
        return Response({"ids": [ids.encode("node", child.id) for child in children]})


class NodeTranslationView(Endpoint):
    permissions = {"DELETE": "nodes:update"}

    @operation(
        "node_translation_remove",
        tag=NODES,
        refuses=(services.NodeNotFound, services.TranslationNotFound, services.LastTranslation),
    )
    def delete(self, request: Request, node_id: str, locale: str) -> Response:
        """Take the node out of a locale."""
        services.remove_translation(node_id=ids.decode("node", node_id), locale=locale)
        return Response(status=204)


class NodeSharesView(Endpoint):
    listing = lists.SHARES
    permissions = {"GET": "shares:list", "POST": "shares:create"}

    @operation("node_share_list", tag=NODES, answers=shown.Share, refuses=(services.NodeNotFound,))
    def get(self, request: Request, node_id: str) -> Response:
        """Whom the node is shared with, beside what roles give."""
        rows = queries.list_shares(node_id=ids.decode("node", node_id))
        return lists.SHARES.respond(request, rows, lambda page: [shown.share(share) for share in page])

    @operation(
        "node_share",
        tag=NODES,
        takes=services.NewShare,
        answers=shown.Share,
        status=201,
        refuses=(services.NodeNotFound, services.NotAMember),
    )
    def post(self, request: Request, node_id: str) -> Response:
        """Let one member read or update this node; what you may not do yourself can't be shared."""
        new = api.read_input(request, services.NewShare)
        share = services.share_node(node_id=ids.decode("node", node_id), new=new)
        return Response(shown.share(share), status=201)


class NodeShareView(Endpoint):
    permissions = {"DELETE": "shares:delete"}

    @operation("node_unshare", tag=NODES, refuses=(services.NodeNotFound, services.ShareNotFound))
    def delete(self, request: Request, node_id: str, user_id: str) -> Response:
        """Share the node with this user no longer."""
        services.unshare_node(node_id=ids.decode("node", node_id), user_id=ids.decode("user", user_id))
        return Response(status=204)


class NodeKindsView(Endpoint):
    listing = lists.KINDS
    permissions = {"GET": "nodes:list"}

    @operation("node_kind_list", tag=NODES, answers=shown.Kind)
    def get(self, request: Request) -> Response:
        """The kinds a node can have."""
        return lists.KINDS.respond_all(request, [shown.kind(kind) for kind in kinds.all_kinds()])


class CategoriesView(Endpoint):
    listing = lists.CATEGORIES
    permissions = {"GET": "content_categories:list", "POST": "content_categories:create"}

    @operation("content_category_list", tag=CATEGORIES, answers=shown.ContentCategory)
    def get(self, request: Request) -> Response:
        """Categories, in the order they were made."""
        rows = queries.list_categories()
        return lists.CATEGORIES.respond(request, rows, lambda page: [shown.category(category) for category in page])

    @operation(
        "content_category_create",
        tag=CATEGORIES,
        takes=services.NewCategory,
        answers=shown.ContentCategory,
        status=201,
        refuses=(services.LocaleNotEnabled, services.SlugTaken, services.TreeTooDeep, services.CategoryNotFound),
    )
    def post(self, request: Request) -> Response:
        """A category, last among its siblings unless a position is given."""
        category = services.create_category(new=api.read_input(request, services.NewCategory))
        return Response(shown.category(queries.get_category(category_id=category.id)), status=201)


class CategoryView(Endpoint):
    versioned = endpoint.by_id(events.CATEGORY, "cat", "category_id")
    permissions = {
        "GET": "content_categories:read",
        "PATCH": "content_categories:update",
        "DELETE": "content_categories:delete",
    }

    @operation(
        "content_category_get", tag=CATEGORIES, answers=shown.ContentCategory, refuses=(services.CategoryNotFound,)
    )
    def get(self, request: Request, category_id: str) -> Response:
        """The category with its translations."""
        return Response(shown.category(queries.get_category(category_id=ids.decode("cat", category_id))))

    @operation(
        "content_category_update",
        tag=CATEGORIES,
        takes=services.CategoryChanges,
        answers=shown.ContentCategory,
        refuses=(
            services.CategoryNotFound,
            services.LocaleNotEnabled,
            services.SlugTaken,
            services.TreeCycle,
            services.TreeTooDeep,
        ),
    )
    def patch(self, request: Request, category_id: str) -> Response:
        """Change what is given; `parent_id` null moves the category to the top."""
        changes = api.read_input(request, services.CategoryChanges)
        category = services.update_category(category_id=ids.decode("cat", category_id), changes=changes)
        return Response(shown.category(queries.get_category(category_id=category.id)))

    @operation("content_category_delete", tag=CATEGORIES, refuses=(services.CategoryNotFound,))
    def delete(self, request: Request, category_id: str) -> Response:
        """Delete the category; its children move up, its nodes stay."""
        services.delete_category(category_id=ids.decode("cat", category_id))
        return Response(status=204)


class TagsView(Endpoint):
    listing = lists.TAGS
    permissions = {"GET": "tags:list", "POST": "tags:create"}

    @operation("tag_list", tag=TAGS, answers=shown.Tag)
    def get(self, request: Request) -> Response:
        """Tags, in the order they were made."""
        return lists.TAGS.respond(request, queries.list_tags(), lambda page: [shown.tag(tag) for tag in page])

    @operation(
        "tag_create",
        tag=TAGS,
        takes=services.NewTag,
        answers=shown.Tag,
        status=201,
        refuses=(services.LocaleNotEnabled, services.SlugTaken),
    )
    def post(self, request: Request) -> Response:
        """Create a tag."""
        tag = services.create_tag(new=api.read_input(request, services.NewTag))
        return Response(shown.tag(queries.get_tag(tag_id=tag.id)), status=201)


class TagView(Endpoint):
    versioned = endpoint.by_id(events.TAG, "tag", "tag_id")
    permissions = {"GET": "tags:read", "PATCH": "tags:update", "DELETE": "tags:delete"}

    @operation("tag_get", tag=TAGS, answers=shown.Tag, refuses=(services.TagNotFound,))
    def get(self, request: Request, tag_id: str) -> Response:
        """The tag with its translations."""
        return Response(shown.tag(queries.get_tag(tag_id=ids.decode("tag", tag_id))))

    @operation(
        "tag_update",
        tag=TAGS,
        takes=services.TagChanges,
        answers=shown.Tag,
        refuses=(services.TagNotFound, services.LocaleNotEnabled, services.SlugTaken),
    )
    def patch(self, request: Request, tag_id: str) -> Response:
        """Change what is given."""
        changes = api.read_input(request, services.TagChanges)
        tag = services.update_tag(tag_id=ids.decode("tag", tag_id), changes=changes)
        return Response(shown.tag(queries.get_tag(tag_id=tag.id)))

    @operation("tag_delete", tag=TAGS, refuses=(services.TagNotFound,))
    def delete(self, request: Request, tag_id: str) -> Response:
        """Delete the tag; its nodes stay."""
        services.delete_tag(tag_id=ids.decode("tag", tag_id))
        return Response(status=204)


urlpatterns = [
    path("nodes", NodesView.as_view()),
    path("nodes/<str:node_id>", NodeView.as_view()),
    path("nodes/<str:node_id>/publish", NodePublishView.as_view()),
    path("nodes/<str:node_id>/unpublish", NodeUnpublishView.as_view()),
    path("nodes/<str:node_id>/archive", NodeArchiveView.as_view()),
    path("nodes/<str:node_id>/move", NodeMoveView.as_view()),
    path("nodes/<str:node_id>/reorder-children", NodeChildrenView.as_view()),
    path("nodes/<str:node_id>/translations/<str:locale>", NodeTranslationView.as_view()),
    path("nodes/<str:node_id>/shares", NodeSharesView.as_view()),
    path("nodes/<str:node_id>/shares/<str:user_id>", NodeShareView.as_view()),
    path("node-kinds", NodeKindsView.as_view()),
    path("content-categories", CategoriesView.as_view()),
    path("content-categories/<str:category_id>", CategoryView.as_view()),
    path("tags", TagsView.as_view()),
    path("tags/<str:tag_id>", TagView.as_view()),
]
