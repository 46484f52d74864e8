"""The editors' side of content: `/api/v1/admin/nodes`, `content-categories` and `tags`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import limiting
from apps.content import events, kinds, models, permitted, queries, services
from apps.kernel import api, ids, pagination, validation
from apps.tenants import endpoint
from apps.tenants.endpoint import Endpoint

NODES, CATEGORIES, TAGS = "content nodes", "content categories", "content tags"
PAGE = [
    OpenApiParameter("limit", int, description="1 to 100 rows, 20 by default"),
    OpenApiParameter("cursor", str, description="from the next or prev link of another page"),
    OpenApiParameter("count", str, enum=["none", "exact"], description="whether to count all rows"),
]
NODE_FILTERS = [
    OpenApiParameter("kind", str, description="such as page or post"),
    OpenApiParameter("status", str, enum=models.Status.values),
    OpenApiParameter("parent", str, description="a node's id, or root for nodes without a parent"),
    OpenApiParameter("locale", str, description="only nodes translated into it, and only that translation"),
]


class Publication(validation.Input):
    """The moment to show as the date of publication; the earlier one, or now, when absent."""

    published_at: validation.Moment | None = None


class Move(validation.Input):
    """`parent_id` null is the top of the tree, absent is the same parent; `position` absent is last."""

    parent_id: services.NodeId | None = None
    position: validation.Position | None = None


class ChildOrder(validation.Input):
    ids: list[services.NodeId]


def shown_node(node: models.Node) -> dict[str, Any]:
    """A node in a list: without bodies and terms."""
    return {
        "id": ids.encode("node", node.id),
        "kind": node.kind,
        "status": node.status,
        "parent_id": None if node.parent_id is None else ids.encode("node", node.parent_id),
        "position": node.position,
        "depth": node.depth,
        "author_name": node.author_name,
        "metadata": node.metadata,
        "external_id": node.external_id,
        "published_at": node.published_at and validation.to_text(node.published_at),
        "created_at": validation.to_text(node.created_at),
        "updated_at": validation.to_text(node.updated_at),
        "translations": [
            {"locale": row.locale, "title": row.title, "slug": row.slug, "excerpt": row.excerpt}
            for row in node.translations.all()
        ],
    }


def shown_whole_node(node: models.Node) -> dict[str, Any]:
    return shown_node(node) | {
        "bodies": [{"locale": row.locale, "format": row.format, "body": row.body} for row in node.bodies.all()],
        "category_ids": [ids.encode("cat", link.category_id) for link in node.category_links.all()],
        "tag_ids": [ids.encode("tag", link.tag_id) for link in node.tag_links.all()],
        "redirects": [{"locale": row.locale, "slug": row.slug} for row in node.redirects.all()],
    }


def shown_category(category: models.Category) -> dict[str, Any]:
    return {
        "id": ids.encode("cat", category.id),
        "taxonomy": category.taxonomy,
        "parent_id": None if category.parent_id is None else ids.encode("cat", category.parent_id),
        "position": category.position,
        "depth": category.depth,
        "translations": [_shown_term(row) for row in category.translations.all()],
    }


def shown_tag(tag: models.Tag) -> dict[str, Any]:
    return {
        "id": ids.encode("tag", tag.id),
        "translations": [_shown_term(row) for row in tag.translations.all()],
    }


def shown_share(share: models.NodeUserObjectPermission) -> dict[str, Any]:
    return {
        "user_id": ids.encode("user", share.user_id),
        "email": share.user.email,
        "action": services.action_of(share.permission),
    }


def _shown_term(row: models.CategoryTranslation | models.TagTranslation) -> dict[str, Any]:
    return {"locale": row.locale, "name": row.name, "slug": row.slug, "description": row.description}


def _node(node: models.Node, *, status: int = 200) -> Response:
    """What was written, as far as whoever wrote it may read it."""
    try:
        shown = shown_whole_node(queries.get_node(node_id=node.id))
    except (limiting.NotPermitted, services.NodeNotFound):
        shown = {"id": ids.encode("node", node.id)}
    return Response(shown, status=status)


class NodesView(Endpoint):
    permissions = {"GET": "nodes:list", "POST": "nodes:create"}

    @extend_schema(
        parameters=[*NODE_FILTERS, *PAGE], responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_list"
    )
    def get(self, request: Request) -> Response:
        """Nodes, newest first."""
        parent = request.GET.get("parent")
        wanted = queries.NodeFilter(
            kind=request.GET.get("kind"),
            status=request.GET.get("status"),
            parent_id=None if parent in {None, "root"} else ids.decode("node", str(parent)),
            is_root=parent == "root",
            locale=request.GET.get("locale"),
        )
        page = pagination.paginate(queries.list_nodes(wanted), order=("-id",), request=request)
        return api.list_response(request, page, [shown_node(node) for node in page.rows])

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
        return Response(shown_whole_node(queries.get_node(node_id=ids.decode("node", node_id))))

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
    permissions = {"GET": "shares:list", "POST": "shares:create"}

    @extend_schema(parameters=PAGE, responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_share_list")
    def get(self, request: Request, node_id: str) -> Response:
        """Whom the node is shared with, beside what roles give."""
        shares = queries.list_shares(node_id=ids.decode("node", node_id))
        page = pagination.paginate(shares, order=("id",), request=request)
        return api.list_response(request, page, [shown_share(share) for share in page.rows])

    @extend_schema(
        request=services.NewShare, responses={201: OpenApiTypes.OBJECT}, tags=[NODES], operation_id="node_share"
    )
    def post(self, request: Request, node_id: str) -> Response:
        """Let one member read or update this node; what you may not do yourself can't be shared."""
        new = api.read_input(request, services.NewShare)
        share = services.share_node(node_id=ids.decode("node", node_id), new=new)
        return Response(shown_share(share), status=201)


class NodeShareView(Endpoint):
    permissions = {"DELETE": "shares:delete"}

    @extend_schema(responses={204: None}, tags=[NODES], operation_id="node_unshare")
    def delete(self, request: Request, node_id: str, user_id: str) -> Response:
        """Share the node with this user no longer."""
        services.unshare_node(node_id=ids.decode("node", node_id), user_id=ids.decode("user", user_id))
        return Response(status=204)


class NodeKindsView(Endpoint):
    permissions = {"GET": "nodes:list"}

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=[NODES], operation_id="node_kind_list")
    def get(self, request: Request) -> Response:
        """The kinds a node can have."""
        return Response({"data": [{"name": kind.name, "description": kind.description} for kind in kinds.all_kinds()]})


class CategoriesView(Endpoint):
    permissions = {"GET": "content_categories:list", "POST": "content_categories:create"}

    @extend_schema(
        parameters=[OpenApiParameter("taxonomy", str, description="such as category"), *PAGE],
        responses=OpenApiTypes.OBJECT,
        tags=[CATEGORIES],
        operation_id="content_category_list",
    )
    def get(self, request: Request) -> Response:
        """Categories, in the order they were made."""
        categories = queries.list_categories(taxonomy=request.GET.get("taxonomy"))
        page = pagination.paginate(categories, order=("id",), request=request)
        return api.list_response(request, page, [shown_category(category) for category in page.rows])

    @extend_schema(
        request=services.NewCategory,
        responses={201: OpenApiTypes.OBJECT},
        tags=[CATEGORIES],
        operation_id="content_category_create",
    )
    def post(self, request: Request) -> Response:
        """A category, last among its siblings unless a position is given."""
        category = services.create_category(new=api.read_input(request, services.NewCategory))
        return Response(shown_category(queries.get_category(category_id=category.id)), status=201)


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
        return Response(shown_category(queries.get_category(category_id=ids.decode("cat", category_id))))

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
        return Response(shown_category(queries.get_category(category_id=category.id)))

    @extend_schema(responses={204: None}, tags=[CATEGORIES], operation_id="content_category_delete")
    def delete(self, request: Request, category_id: str) -> Response:
        """Delete the category; its children move up, its nodes stay."""
        services.delete_category(category_id=ids.decode("cat", category_id))
        return Response(status=204)


class TagsView(Endpoint):
    permissions = {"GET": "tags:list", "POST": "tags:create"}

    @extend_schema(parameters=PAGE, responses=OpenApiTypes.OBJECT, tags=[TAGS], operation_id="tag_list")
    def get(self, request: Request) -> Response:
        """Tags, in the order they were made."""
        page = pagination.paginate(queries.list_tags(), order=("id",), request=request)
        return api.list_response(request, page, [shown_tag(tag) for tag in page.rows])

    @extend_schema(
        request=services.NewTag, responses={201: OpenApiTypes.OBJECT}, tags=[TAGS], operation_id="tag_create"
    )
    def post(self, request: Request) -> Response:
        """Create a tag."""
        tag = services.create_tag(new=api.read_input(request, services.NewTag))
        return Response(shown_tag(queries.get_tag(tag_id=tag.id)), status=201)


class TagView(Endpoint):
    versioned = endpoint.by_id(events.TAG, "tag", "tag_id")
    permissions = {"GET": "tags:read", "PATCH": "tags:update", "DELETE": "tags:delete"}

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=[TAGS], operation_id="tag_get")
    def get(self, request: Request, tag_id: str) -> Response:
        """The tag with its translations."""
        return Response(shown_tag(queries.get_tag(tag_id=ids.decode("tag", tag_id))))

    @extend_schema(request=services.TagChanges, responses=OpenApiTypes.OBJECT, tags=[TAGS], operation_id="tag_update")
    def patch(self, request: Request, tag_id: str) -> Response:
        """Change what is given."""
        changes = api.read_input(request, services.TagChanges)
        tag = services.update_tag(tag_id=ids.decode("tag", tag_id), changes=changes)
        return Response(shown_tag(queries.get_tag(tag_id=tag.id)))

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
