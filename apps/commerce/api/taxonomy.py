"""Categories and collections of products."""

from __future__ import annotations

import uuid

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.commerce import events, queries, services
from apps.commerce.api import lists, shown
from apps.kernel import api, ids, validation
from apps.tenants import endpoint
from apps.tenants.endpoint import Endpoint

CATEGORIES, COLLECTIONS = "product categories", "collections"


class NewProductCategory(services.NewCategory):
    """Without a `position` it comes last among the children of its parent."""


class ProductCategoryChanges(services.CategoryChanges):
    """What is given is changed; `parent_id` null is the top of the tree."""


class CollectionPlace(validation.Input):
    """Without a `position` the product comes last."""

    product_id: services.ProductId
    position: validation.Position | None = None


class CategoriesView(Endpoint):
    listing = lists.CATEGORIES
    permissions = {"GET": "categories:list", "POST": "categories:create"}

    @extend_schema(
        parameters=lists.CATEGORIES.parameters(),
        responses=OpenApiTypes.OBJECT,
        tags=[CATEGORIES],
        operation_id="product_category_list",
    )
    def get(self, request: Request) -> Response:
        """The tree as a list: top categories first, then level by level."""
        rows = queries.list_categories()
        return lists.CATEGORIES.respond(request, rows, lambda page: [shown.category(row) for row in page])

    @extend_schema(
        request=NewProductCategory,
        responses={201: OpenApiTypes.OBJECT},
        tags=[CATEGORIES],
        operation_id="product_category_create",
    )
    def post(self, request: Request) -> Response:
        """A category at the top or below another one."""
        category = services.create_category(new=api.read_input(request, NewProductCategory))
        return _category(category.id, status=201)


class CategoryView(Endpoint):
    versioned = endpoint.by_id(events.CATEGORY, "cat", "category_id")
    permissions = {"GET": "categories:read", "PATCH": "categories:update", "DELETE": "categories:delete"}

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=[CATEGORIES], operation_id="product_category_get")
    def get(self, request: Request, category_id: str) -> Response:
        """One category."""
        return _category(ids.decode("cat", category_id))

    @extend_schema(
        request=ProductCategoryChanges,
        responses=OpenApiTypes.OBJECT,
        tags=[CATEGORIES],
        operation_id="product_category_update",
    )
    def patch(self, request: Request, category_id: str) -> Response:
        """Change what is given; another parent takes everything below along."""
        changes = api.read_input(request, ProductCategoryChanges)
        return _category(services.update_category(category_id=ids.decode("cat", category_id), changes=changes).id)

    @extend_schema(responses={204: None}, tags=[CATEGORIES], operation_id="product_category_delete")
    def delete(self, request: Request, category_id: str) -> Response:
        """Delete a category without children; its products stay."""
        services.delete_category(category_id=ids.decode("cat", category_id))
        return Response(status=204)


class CollectionsView(Endpoint):
    listing = lists.COLLECTIONS
    permissions = {"GET": "collections:list", "POST": "collections:create"}

    @extend_schema(
        parameters=lists.COLLECTIONS.parameters(),
        responses=OpenApiTypes.OBJECT,
        tags=[COLLECTIONS],
        operation_id="collection_list",
    )
    def get(self, request: Request) -> Response:
        """Collections without their products, newest first."""
        rows = queries.list_collections()
        return lists.COLLECTIONS.respond(request, rows, lambda page: [shown.collection(row) for row in page])

    @extend_schema(
        request=services.CollectionInput,
        responses={201: OpenApiTypes.OBJECT},
        tags=[COLLECTIONS],
        operation_id="collection_create",
    )
    def post(self, request: Request) -> Response:
        """An empty collection."""
        collection = services.create_collection(new=api.read_input(request, services.CollectionInput))
        return _collection(collection.id, status=201)


class CollectionView(Endpoint):
    versioned = endpoint.by_id(events.COLLECTION, "coll", "collection_id")
    permissions = {"GET": "collections:read", "PATCH": "collections:update", "DELETE": "collections:delete"}

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=[COLLECTIONS], operation_id="collection_get")
    def get(self, request: Request, collection_id: str) -> Response:
        """The collection with its products in order."""
        return _collection(ids.decode("coll", collection_id))

    @extend_schema(
        request=services.CollectionInput,
        responses=OpenApiTypes.OBJECT,
        tags=[COLLECTIONS],
        operation_id="collection_update",
    )
    def patch(self, request: Request, collection_id: str) -> Response:
        """Replace its translations."""
        changes = api.read_input(request, services.CollectionInput)
        collection = services.update_collection(collection_id=ids.decode("coll", collection_id), changes=changes)
        return _collection(collection.id)

    @extend_schema(responses={204: None}, tags=[COLLECTIONS], operation_id="collection_delete")
    def delete(self, request: Request, collection_id: str) -> Response:
        """Delete the collection; its products stay."""
        services.delete_collection(collection_id=ids.decode("coll", collection_id))
        return Response(status=204)


class CollectionProductsView(Endpoint):
    permissions = {"POST": "collections:update"}

    @extend_schema(
        request=CollectionPlace,
        responses=OpenApiTypes.OBJECT,
        tags=[COLLECTIONS],
        operation_id="collection_add_product",
    )
    def post(self, request: Request, collection_id: str) -> Response:
        """Put a product into the collection, or at another position in it."""
        place = api.read_input(request, CollectionPlace)
        collection = ids.decode("coll", collection_id)
        services.add_to_collection(collection_id=collection, product_id=place.product_id, position=place.position)
        return _collection(collection)


class CollectionProductView(Endpoint):
    permissions = {"DELETE": "collections:update"}

    @extend_schema(responses={204: None}, tags=[COLLECTIONS], operation_id="collection_remove_product")
    def delete(self, request: Request, collection_id: str, product_id: str) -> Response:
        """Take a product out of the collection."""
        services.remove_from_collection(
            collection_id=ids.decode("coll", collection_id), product_id=ids.decode("prod", product_id)
        )
        return Response(status=204)


def _category(category_id: uuid.UUID, *, status: int = 200) -> Response:
    return Response(shown.category(queries.get_category(category_id=category_id)), status=status)


def _collection(collection_id: uuid.UUID, *, status: int = 200) -> Response:
    return Response(shown.whole_collection(queries.get_collection(collection_id=collection_id)), status=status)


urlpatterns = [
    path("categories", CategoriesView.as_view()),
    path("categories/<str:category_id>", CategoryView.as_view()),
    path("collections", CollectionsView.as_view()),
    path("collections/<str:collection_id>", CollectionView.as_view()),
    path("collections/<str:collection_id>/products", CollectionProductsView.as_view()),
    path("collections/<str:collection_id>/products/<str:product_id>", CollectionProductView.as_view()),
]
