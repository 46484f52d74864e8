"""The editors' side of content: `/api/v1/admin/nodes`, `content-categories` and `tags`."""

from __future__ import annotations

from typing import Annotated

from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import limiting
from apps.content import events, kinds, lists, models, permitted, queries, services, shown
from apps.kernel import api, ids, validation
from apps.tenants import endpoint
from apps.tenants.endpoint import Endpoint

NODES, CATEGORIES, TAGS = "content nodes", "content categories", "content tags"


class Publication(validation.Input):
    """The moment to show as the date of publication; the earlier one, or now, when absent."""

    published_at: validation.Moment | None = None


class Move(validation.Input):
    """`parent_id` null is the top of the tree, absent is the same parent; `position` absent is last."""

    parent_id: services.NodeId | None = None
    position: validation.Position | None = None


class ChildOrder(validation.Input):
    ids: Annotated[list[services.NodeId], Field(max_length=100_000)]


def _node(node: models.Node, *, status: int = 200) -> Response:
    """What was written, as far as whoever wrote it may read it."""
    try:
        answer = shown.whole_node(queries.get_node(node_id=node.id))
    except (limiting.NotPermitted, services.NodeNotFound):
        answer = {"id": ids.encode("node", node.id)}
    return Response(answer, status=status)


class NodesView(Endpoint):
    listing = lists.NODES
    permissions = {"GET": "nodes:list", "POST": "nodes:create"}

    @extend_schema(
        parameters=lists.NODES.parameters(), responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_list"
    )
    def get(self, request: Request) -> Response:
        """Nodes, newest first."""
        rows = queries.list_nodes(locale=request.GET.get("locale"))
        return lists.NODES.respond(request, rows, lambda page: [shown.node(node) for node in page])

    @extend_schema(
        request=services.NewNode, responses={201: OpenApiTypes.OBJECT}, tags=[NODES], operation_id="node_create"
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

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_get")
    def get(self, request: Request, node_id: str) -> Response:
        """The node with all translations, bodies and terms."""
        return Response(shown.whole_node(queries.get_node(node_id=ids.decode("node", node_id))))

    @extend_schema(
        request=services.NodeChanges, responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_update"
    )
    def patch(self, request: Request, node_id: str) -> Response:
        """Change what is given."""
        changes = api.read_input(request, services.NodeChanges)
        return _node(services.update_node(node_id=ids.decode("node", node_id), changes=changes))

    @extend_schema(responses={204: None}, tags=[NODES], operation_id="node_delete")
    def delete(self, request: Request, node_id: str) -> Response:
        """Delete the node and everything below it."""
        services.delete_node(node_id=ids.decode("node", node_id))
        return Response(status=204)


class NodePublishView(Endpoint):
    permissions = {"POST": "nodes:update"}

    @extend_schema(request=Publication, responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_publish")
    def post(self, request: Request, node_id: str) -> Response:
        """Show the node to the public."""
        publication = api.read_input(request, Publication)
        node = services.publish_node(
            node_id=ids.decode("node", node_id), now=timezone.now(), published_at=publication.published_at
        )
        return _node(node)


class NodeUnpublishView(Endpoint):
    permissions = {"POST": "nodes:update"}

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_unpublish")
    def post(self, request: Request, node_id: str) -> Response:
        """Back to draft."""
        return _node(services.unpublish_node(node_id=ids.decode("node", node_id)))


class NodeArchiveView(Endpoint):
    permissions = {"POST": "nodes:update"}

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_archive")
    def post(self, request: Request, node_id: str) -> Response:
        """Out of sight, kept."""
        return _node(services.archive_node(node_id=ids.decode("node", node_id)))


class NodeMoveView(Endpoint):
    permissions = {"POST": "nodes:update"}

    @extend_schema(request=Move, responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_move")
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

    @extend_schema(
        request=ChildOrder, responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_reorder_children"
    )
    def post(self, request: Request, node_id: str) -> Response:
        """Give the children this order; send every child exactly once."""
        order = api.read_input(request, ChildOrder)
        parent_id = ids.decode("node", node_id)
        children = services.reorder_children(parent_id=parent_id, ids_in_order=order.ids)
        return Response({"ids": [ids.encode("node", child.id) for child in children]})


class NodeTranslationView(Endpoint):
    permissions = {"DELETE": "nodes:update"}

    @extend_schema(responses={204: None}, tags=[NODES], operation_id="node_translation_remove")
    def delete(self, request: Request, node_id: str, locale: str) -> Response:
        """Take the node out of a locale."""
        services.remove_translation(node_id=ids.decode("node", node_id), locale=locale)
        return Response(status=204)


class NodeSharesView(Endpoint):
    listing = lists.SHARES
    permissions = {"GET": "shares:list", "POST": "shares:create"}

    @extend_schema(
        parameters=lists.SHARES.parameters(),
        responses=OpenApiTypes.OBJECT,
        tags=[NODES],
        operation_id="node_share_list",
    )
    def get(self, request: Request, node_id: str) -> Response:
        """Whom the node is shared with, beside what roles give."""
        rows = queries.list_shares(node_id=ids.decode("node", node_id))
        return lists.SHARES.respond(request, rows, lambda page: [shown.share(share) for share in page])

    @extend_schema(
        request=services.NewShare, responses={201: OpenApiTypes.OBJECT}, tags=[NODES], operation_id="node_share"
    )
    def post(self, request: Request, node_id: str) -> Response:
        """Let one member read or update this node; what you may not do yourself can't be shared."""
        new = api.read_input(request, services.NewShare)
        share = services.share_node(node_id=ids.decode("node", node_id), new=new)
        return Response(shown.share(share), status=201)


class NodeShareView(Endpoint):
    permissions = {"DELETE": "shares:delete"}

    @extend_schema(responses={204: None}, tags=[NODES], operation_id="node_unshare")
    def delete(self, request: Request, node_id: str, user_id: str) -> Response:
        """Share the node with this user no longer."""
        services.unshare_node(node_id=ids.decode("node", node_id), user_id=ids.decode("user", user_id))
        return Response(status=204)


class NodeKindsView(Endpoint):
    listing = lists.KINDS
    permissions = {"GET": "nodes:list"}

    @extend_schema(
        parameters=lists.KINDS.parameters(), responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_kind_list"
    )
    def get(self, request: Request) -> Response:
        """The kinds a node can have."""
        return lists.KINDS.respond_all(request, [shown.kind(kind) for kind in kinds.all_kinds()])


class CategoriesView(Endpoint):
    listing = lists.CATEGORIES
    permissions = {"GET": "content_categories:list", "POST": "content_categories:create"}

    @extend_schema(
        parameters=lists.CATEGORIES.parameters(),
        responses=OpenApiTypes.OBJECT,
        tags=[CATEGORIES],
        operation_id="content_category_list",
    )
    def get(self, request: Request) -> Response:
        """Categories, in the order they were made."""
        rows = queries.list_categories()
        return lists.CATEGORIES.respond(request, rows, lambda page: [shown.category(category) for category in page])

    @extend_schema(
        request=services.NewCategory,
        responses={201: OpenApiTypes.OBJECT},
        tags=[CATEGORIES],
        operation_id="content_category_create",
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

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=[CATEGORIES], operation_id="content_category_get")
    def get(self, request: Request, category_id: str) -> Response:
        """The category with its translations."""
        return Response(shown.category(queries.get_category(category_id=ids.decode("cat", category_id))))

    @extend_schema(
        request=services.CategoryChanges,
        responses=OpenApiTypes.OBJECT,
        tags=[CATEGORIES],
        operation_id="content_category_update",
    )
    def patch(self, request: Request, category_id: str) -> Response:
        """Change what is given; `parent_id` null moves the category to the top."""
        changes = api.read_input(request, services.CategoryChanges)
        category = services.update_category(category_id=ids.decode("cat", category_id), changes=changes)
        return Response(shown.category(queries.get_category(category_id=category.id)))

    @extend_schema(responses={204: None}, tags=[CATEGORIES], operation_id="content_category_delete")
    def delete(self, request: Request, category_id: str) -> Response:
        """Delete the category; its children move up, its nodes stay."""
        services.delete_category(category_id=ids.decode("cat", category_id))
        return Response(status=204)


class TagsView(Endpoint):
    listing = lists.TAGS
    permissions = {"GET": "tags:list", "POST": "tags:create"}

    @extend_schema(
        parameters=lists.TAGS.parameters(), responses=OpenApiTypes.OBJECT, tags=[TAGS], operation_id="tag_list"
    )
    def get(self, request: Request) -> Response:
        """Tags, in the order they were made."""
        return lists.TAGS.respond(request, queries.list_tags(), lambda page: [shown.tag(tag) for tag in page])

    @extend_schema(
        request=services.NewTag, responses={201: OpenApiTypes.OBJECT}, tags=[TAGS], operation_id="tag_create"
    )
    def post(self, request: Request) -> Response:
        """Create a tag."""
        tag = services.create_tag(new=api.read_input(request, services.NewTag))
        return Response(shown.tag(queries.get_tag(tag_id=tag.id)), status=201)


class TagView(Endpoint):
    versioned = endpoint.by_id(events.TAG, "tag", "tag_id")
    permissions = {"GET": "tags:read", "PATCH": "tags:update", "DELETE": "tags:delete"}

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=[TAGS], operation_id="tag_get")
    def get(self, request: Request, tag_id: str) -> Response:
        """The tag with its translations."""
        return Response(shown.tag(queries.get_tag(tag_id=ids.decode("tag", tag_id))))

    @extend_schema(request=services.TagChanges, responses=OpenApiTypes.OBJECT, tags=[TAGS], operation_id="tag_update")
    def patch(self, request: Request, tag_id: str) -> Response:
        """Change what is given."""
        changes = api.read_input(request, services.TagChanges)
        tag = services.update_tag(tag_id=ids.decode("tag", tag_id), changes=changes)
        return Response(shown.tag(queries.get_tag(tag_id=tag.id)))

    @extend_schema(responses={204: None}, tags=[TAGS], operation_id="tag_delete")
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
