"""Products, their variants and prices."""

from __future__ import annotations

import uuid

from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import limiting
from apps.commerce import errors, events, queries, services
from apps.commerce.api import lists, shown
from apps.kernel import api, ids
from apps.kernel.operations import operation
from apps.tenants import custom_fields, endpoint
from apps.tenants.endpoint import Endpoint

PRODUCTS, VARIANTS = "products", "variants"

# Variants, prices and stock are on the stream of their product.
_OF_VARIANT = endpoint.Versioned(
    events.PRODUCT, lambda parts: queries.product_of_variant(variant_id=ids.decode("var", parts["variant_id"]))
)


class ProductsView(Endpoint):
    listing = lists.PRODUCTS
    permissions = {"GET": "products:list", "POST": "products:create"}

    @operation("product_list", tag=PRODUCTS, answers=shown.Product)
    def get(self, request: Request) -> Response:
        """Products in whatever status, newest first."""
        return lists.PRODUCTS.respond(
            request,
            queries.list_products(),
            lambda page: [shown.product(snapshot) for snapshot in queries.load_products(page)],
        )

    @operation(
        "product_create",
        tag=PRODUCTS,
        takes=services.NewProduct,
        answers=shown.Product,
        status=201,
        refuses=(
            errors.NoVariants,
            errors.DuplicateHandle,
            errors.DuplicateSku,
            errors.DuplicateExternalId,
            errors.DuplicateVariant,
            errors.InvalidPrice,
            errors.LocaleNotEnabled,
            errors.CategoryNotFound,
            errors.UnknownOptionValue,
            errors.UnknownImage,
            errors.UnknownAsset,
            errors.LocationNotFound,
            custom_fields.InvalidFields,
        ),
    )
    def post(self, request: Request) -> Response:
        """A product with its variants, prices and stock: a draft, or published at once."""
        new = api.read_input(request, services.NewProduct)
        return Response(shown.product(services.create_product(new=new, now=timezone.now())), status=201)


class ProductView(Endpoint):
    versioned = endpoint.by_id(events.PRODUCT, "prod", "product_id")
    permissions = {"GET": "products:read", "PATCH": "products:update", "DELETE": "products:delete"}

    @operation("product_get", tag=PRODUCTS, answers=shown.Product, refuses=(errors.ProductNotFound,))
    def get(self, request: Request, product_id: str) -> Response:
        """The product whole."""
        return Response(shown.product(queries.get_product(product_id=ids.decode("prod", product_id))))

    @operation(
        "product_update",
        tag=PRODUCTS,
        takes=services.ProductChanges,
        answers=shown.Product,
        refuses=(
            errors.ProductNotFound,
            errors.DuplicateHandle,
            errors.DuplicateExternalId,
            errors.LocaleNotEnabled,
            errors.CategoryNotFound,
            errors.OptionValueInUse,
            errors.AmbiguousOptions,
            errors.UnknownAsset,
            custom_fields.InvalidFields,
        ),
    )
    def patch(self, request: Request, product_id: str) -> Response:
        """Change what is given; lists that are given replace the stored ones. Variants have addresses of their own."""
        changes = api.read_input(request, services.ProductChanges)
        return Response(
            shown.product(services.update_product(product_id=ids.decode("prod", product_id), changes=changes))
        )

    @operation("product_delete", tag=PRODUCTS, refuses=(errors.ProductNotFound, errors.CannotDeletePublished))
    def delete(self, request: Request, product_id: str) -> Response:
        """Delete a product that is not published, with all that belongs to it."""
        services.delete_product(product_id=ids.decode("prod", product_id))
        return Response(status=204)


class ProductPublishView(Endpoint):
    permissions = {"POST": "products:update"}

    @operation("product_publish", tag=PRODUCTS, answers=shown.Product, refuses=(errors.ProductNotFound,))
    def post(self, request: Request, product_id: str) -> Response:
        """Show the product to customers."""
        snapshot = services.publish_product(product_id=ids.decode("prod", product_id), now=timezone.now())
        return Response(shown.product(snapshot))


class ProductUnpublishView(Endpoint):
    permissions = {"POST": "products:update"}

    @operation("product_unpublish", tag=PRODUCTS, answers=shown.Product, refuses=(errors.ProductNotFound,))
    def post(self, request: Request, product_id: str) -> Response:
        """Back to draft."""
        snapshot = services.unpublish_product(product_id=ids.decode("prod", product_id), now=timezone.now())
        return Response(shown.product(snapshot))


class ProductArchiveView(Endpoint):
    permissions = {"POST": "products:update"}

    @operation("product_archive", tag=PRODUCTS, answers=shown.Product, refuses=(errors.ProductNotFound,))
    def post(self, request: Request, product_id: str) -> Response:
        """Out of sight, kept."""
        snapshot = services.archive_product(product_id=ids.decode("prod", product_id), now=timezone.now())
        return Response(shown.product(snapshot))


class ProductVariantsView(Endpoint):
    listing = lists.VARIANTS
    permissions = {"GET": "products:read", "POST": "products:update"}

    @operation("variant_list", tag=VARIANTS, answers=shown.Variant, refuses=(errors.ProductNotFound,))
    def get(self, request: Request, product_id: str) -> Response:
        """The product's variants in order."""
        snapshot = queries.get_product(product_id=ids.decode("prod", product_id))
        return lists.VARIANTS.respond(
            request,
            queries.list_variants(product_id=snapshot.id),
            lambda page: [shown.variant(snapshot, snapshot.variant(row.id)) for row in page],
        )

    @operation(
        "variant_create",
        tag=VARIANTS,
        takes=services.VariantInput,
        answers=shown.Variant,
        status=201,
        also=endpoint.UNREAD,
        refuses=(
            errors.ProductNotFound,
            errors.DuplicateSku,
            errors.DuplicateVariant,
            errors.UnknownOptionValue,
            errors.UnknownImage,
            errors.InvalidPrice,
            errors.LocationNotFound,
        ),
    )
    def post(self, request: Request, product_id: str) -> Response:
        """One more variant, with its prices and stock."""
        new = api.read_input(request, services.VariantInput)
        variant = services.add_variant(product_id=ids.decode("prod", product_id), new=new, now=timezone.now())
        return _written(variant.row.id, status=201)


class VariantView(Endpoint):
    versioned = _OF_VARIANT
    permissions = {"GET": "products:read", "PATCH": "products:update", "DELETE": "products:update"}

    @operation("variant_get", tag=VARIANTS, answers=shown.Variant, refuses=(errors.VariantNotFound,))
    def get(self, request: Request, variant_id: str) -> Response:
        """The variant with its prices and what is in stock altogether."""
        return Response(shown.variant(*queries.get_variant(variant_id=ids.decode("var", variant_id))))

    @operation(
        "variant_update",
        tag=VARIANTS,
        takes=services.VariantChanges,
        answers=shown.Variant,
        also=endpoint.UNREAD,
        refuses=(
            errors.VariantNotFound,
            errors.ProductNotFound,
            errors.DuplicateSku,
            errors.DuplicateVariant,
            errors.UnknownOptionValue,
            errors.UnknownImage,
            errors.InsufficientInventory,
        ),
    )
    def patch(self, request: Request, variant_id: str) -> Response:
        """Change what is given."""
        changes = api.read_input(request, services.VariantChanges)
        variant = services.update_variant(variant_id=ids.decode("var", variant_id), changes=changes)
        return _written(variant.row.id)

    @operation(
        "variant_delete", tag=VARIANTS, refuses=(errors.VariantNotFound, errors.ProductNotFound, errors.LastVariant)
    )
    def delete(self, request: Request, variant_id: str) -> Response:
        """Remove the variant; the last one of a product stays."""
        services.remove_variant(variant_id=ids.decode("var", variant_id))
        return Response(status=204)


class VariantPricesView(Endpoint):
    versioned = _OF_VARIANT
    permissions = {"PUT": "products:update"}

    @operation(
        "variant_set_prices",
        tag=VARIANTS,
        takes=services.PriceList,
        answers=shown.Prices,
        refuses=(errors.VariantNotFound, errors.ProductNotFound, errors.InvalidPrice),
    )
    def put(self, request: Request, variant_id: str) -> Response:
        """Set the price in each given currency."""
        prices = api.read_input(request, services.PriceList)
        variant = services.set_prices(variant_id=ids.decode("var", variant_id), prices=prices)
        return Response({"prices": [shown.price(variant.prices[currency]) for currency in sorted(variant.prices)]})


def _written(variant_id: uuid.UUID, *, status: int = 200) -> Response:
    """The variant that was written, as far as whoever wrote it may read it."""
    try:
        return Response(shown.variant(*queries.get_variant(variant_id=variant_id)), status=status)
    except (limiting.NotPermitted, errors.VariantNotFound):
        return endpoint.unread(f"/api/v1/admin/variants/{ids.encode('var', variant_id)}")


urlpatterns = [
    path("products", ProductsView.as_view()),
    path("products/<str:product_id>", ProductView.as_view()),
    path("products/<str:product_id>/publish", ProductPublishView.as_view()),
    path("products/<str:product_id>/unpublish", ProductUnpublishView.as_view()),
    path("products/<str:product_id>/archive", ProductArchiveView.as_view()),
    path("products/<str:product_id>/variants", ProductVariantsView.as_view()),
    path("variants/<str:variant_id>", VariantView.as_view()),
    path("variants/<str:variant_id>/prices", VariantPricesView.as_view()),
]
