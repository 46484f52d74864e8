"""Categories and collections of products."""

from __future__ import annotations

import uuid

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from apps.commerce import errors, events, queries, services
from apps.commerce.api import lists, shown
from apps.kernel import api, ids, validation
from apps.kernel.operations import operation
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

    @operation("product_category_list", tag=CATEGORIES, answers=shown.ProductCategory)
    def get(self, request: Request) -> Response:
        """The tree as a list: top categories first, then level by level."""
        rows = queries.list_categories()
        return lists.CATEGORIES.respond(request, rows, lambda page: [shown.category(row) for row in page])

    @operation(
        "product_category_create",
        tag=CATEGORIES,
        takes=NewProductCategory,
        answers=shown.ProductCategory,
        status=201,
        refuses=(errors.CategoryNotFound, errors.CategoryTooDeep, errors.DuplicateHandle, errors.LocaleNotEnabled),
    )
    def post(self, request: Request) -> Response:
        """A category at the top or below another one."""
        category = services.create_category(new=api.read_input(request, NewProductCategory))
        return _category(category.id, status=201)


class CategoryView(Endpoint):
    versioned = endpoint.by_id(events.CATEGORY, "cat", "category_id")
    permissions = {"GET": "categories:read", "PATCH": "categories:update", "DELETE": "categories:delete"}

    @operation(
        "product_category_get", tag=CATEGORIES, answers=shown.ProductCategory, refuses=(errors.CategoryNotFound,)
    )
    def get(self, request: Request, category_id: str) -> Response:
        """One category."""
        return _category(ids.decode("cat", category_id))

    @operation(
        "product_category_update",
        tag=CATEGORIES,
        takes=ProductCategoryChanges,
        answers=shown.ProductCategory,
        refuses=(
            errors.CategoryNotFound,
            errors.CategoryCycle,
            errors.CategoryTooDeep,
            errors.DuplicateHandle,
            errors.LocaleNotEnabled,
        ),
    )
    def patch(self, request: Request, category_id: str) -> Response:
        """Change what is given; another parent takes everything below along."""
        changes = api.read_input(request, ProductCategoryChanges)
        return _category(services.update_category(category_id=ids.decode("cat", category_id), changes=changes).id)

    @operation("product_category_delete", tag=CATEGORIES, refuses=(errors.CategoryNotFound, errors.CategoryHasChildren))
    def delete(self, request: Request, category_id: str) -> Response:
        """Delete a category without children; its products stay."""
        services.delete_category(category_id=ids.decode("cat", category_id))
        return Response(status=204)


class CollectionsView(Endpoint):
    listing = lists.COLLECTIONS
    permissions = {"GET": "collections:list", "POST": "collections:create"}

    @operation("collection_list", tag=COLLECTIONS, answers=shown.Collection)
    def get(self, request: Request) -> Response:
        """Collections without their products, newest first."""
        rows = queries.list_collections()
        return lists.COLLECTIONS.respond(request, rows, lambda page: [shown.collection(row) for row in page])

    @operation(
        "collection_create",
        tag=COLLECTIONS,
        takes=services.CollectionInput,
        answers=shown.WholeCollection,
        status=201,
        refuses=(errors.DuplicateHandle, errors.LocaleNotEnabled),
    )
    def post(self, request: Request) -> Response:
        """An empty collection."""
        collection = services.create_collection(new=api.read_input(request, services.CollectionInput))
        return _collection(collection.id, status=201)


class CollectionView(Endpoint):
    versioned = endpoint.by_id(events.COLLECTION, "coll", "collection_id")
    permissions = {"GET": "collections:read", "PATCH": "collections:update", "DELETE": "collections:delete"}

    @operation("collection_get", tag=COLLECTIONS, answers=shown.WholeCollection, refuses=(errors.CollectionNotFound,))
    def get(self, request: Request, collection_id: str) -> Response:
        """The collection with its products in order."""
        return _collection(ids.decode("coll", collection_id))

    @operation(
        "collection_update",
        tag=COLLECTIONS,
        takes=services.CollectionInput,
        answers=shown.WholeCollection,
        refuses=(errors.CollectionNotFound, errors.DuplicateHandle, errors.LocaleNotEnabled),
    )
    def patch(self, request: Request, collection_id: str) -> Response:
        """Replace its translations."""
        changes = api.read_input(request, services.CollectionInput)
        collection = services.update_collection(collection_id=ids.decode("coll", collection_id), changes=changes)
        return _collection(collection.id)

    @operation("collection_delete", tag=COLLECTIONS, refuses=(errors.CollectionNotFound,))
    def delete(self, request: Request, collection_id: str) -> Response:
        """Delete the collection; its products stay."""
        services.delete_collection(collection_id=ids.decode("coll", collection_id))
        return Response(status=204)


class CollectionProductsView(Endpoint):
    permissions = {"POST": "collections:update"}

    @operation(
        "collection_add_product",
        tag=COLLECTIONS,
        takes=CollectionPlace,
        answers=shown.WholeCollection,
        refuses=(errors.CollectionNotFound, errors.ProductNotFound),
    )
    def post(self, request: Request, collection_id: str) -> Response:
        """Put a product into the collection, or at another position in it."""
        place = api.read_input(request, CollectionPlace)
        collection = ids.decode("coll", collection_id)
        services.add_to_collection(collection_id=collection, product_id=place.product_id, position=place.position)
        return _collection(collection)


class CollectionProductView(Endpoint):
    permissions = {"DELETE": "collections:update"}

    @operation(
        "collection_remove_product", tag=COLLECTIONS, refuses=(errors.CollectionNotFound, errors.ProductNotFound)
    )
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
