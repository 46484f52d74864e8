"""Many writes in one request, and all products in one answer."""

from __future__ import annotations

from typing import Annotated

from django.http import StreamingHttpResponse
from django.urls import path
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from apps.commerce import bulk, queries
from apps.commerce.api import lists, shown
from apps.commerce.api.catalogue import PRODUCTS, VARIANTS
from apps.commerce.api.stock import INVENTORY
from apps.jobs.api import BulkView
from apps.jobs.bulk import AT_MOST
from apps.jobs.exports import ExportView
from apps.jobs.shown import BulkResults, Job
from apps.kernel import streaming, validation
from apps.kernel.operations import operation

ProductOperation = Annotated[
    bulk.PublishProduct
    | bulk.UnpublishProduct
    | bulk.ArchiveProduct
    | bulk.CreateProduct
    | bulk.UpdateProduct
    | bulk.DeleteProduct,
    Field(discriminator="op"),
]


StockOperation = Annotated[bulk.AdjustInventory | bulk.SetInventory, Field(discriminator="op")]


class ProductsBulk(validation.Input):
    operations: Annotated[list[ProductOperation], Field(min_length=1, max_length=AT_MOST)]


class ProductsBulkView(BulkView):
    kind = bulk.PRODUCTS
    permissions = {"POST": bulk.PRODUCTS.permission}

    @operation("product_bulk", tag=PRODUCTS, takes=ProductsBulk, answers=BulkResults, later=Job)
    def post(self, request: Request) -> Response:
        """Create, change, delete, publish, unpublish or archive many products, each with its own outcome."""
        return self.respond(request)


class PricesBulk(validation.Input):
    operations: Annotated[list[bulk.SetPrices], Field(min_length=1, max_length=AT_MOST)]


class PricesBulkView(BulkView):
    kind = bulk.PRICES
    needs_key = True
    permissions = {"POST": bulk.PRICES.permission}

    @operation("variant_set_prices_bulk", tag=VARIANTS, takes=PricesBulk, answers=BulkResults, later=Job)
    def post(self, request: Request) -> Response:
        """Set the prices of many variants, each with its own outcome."""
        return self.respond(request)


class InventoryBulk(validation.Input):
    operations: Annotated[list[StockOperation], Field(min_length=1, max_length=AT_MOST)]


class InventoryBulkView(BulkView):
    kind = bulk.INVENTORY
    needs_key = True
    permissions = {"POST": bulk.INVENTORY.permission}

    @operation("inventory_bulk", tag=INVENTORY, takes=InventoryBulk, answers=BulkResults, later=Job)
    def post(self, request: Request) -> Response:
        """Change or count the stock of many variants, each with its own outcome."""
        return self.respond(request)


class ProductsExportView(ExportView):
    exported = lists.PRODUCTS
    parameters = tuple(lists.PRODUCTS.narrowing())
    resource = "products"
    permissions = {"GET": "products:export"}

    def export(self, request: Request) -> StreamingHttpResponse:
        return self.respond(
            request,
            queries.export_products(),
            lambda page: [shown.product(snapshot) for snapshot in queries.load_products(page)],
        )


class ProductsNdjsonView(ProductsExportView):
    format = streaming.NDJSON

    @operation("product_export_ndjson", tag=PRODUCTS, answers=str, media_type="application/x-ndjson")
    def get(self, request: Request) -> StreamingHttpResponse:
        """All products that pass the filters, the oldest first, one JSON object a line."""
        return self.export(request)


class ProductsCsvView(ProductsExportView):
    format = streaming.csv_of(tuple(shown.Product.__annotations__))

    @operation("product_export_csv", tag=PRODUCTS, answers=str, media_type="text/csv")
    def get(self, request: Request) -> StreamingHttpResponse:
        """All products that pass the filters, the oldest first, for spreadsheets: no cell is taken for a formula."""
        return self.export(request)


# Ahead of the addresses of one product or variant, whose id could be anything.
urlpatterns = [
    path("products/bulk", ProductsBulkView.as_view()),
    path("products/export.ndjson", ProductsNdjsonView.as_view()),
    path("products/export.csv", ProductsCsvView.as_view()),
    path("variants/prices/bulk", PricesBulkView.as_view()),
    path("variants/inventory/bulk", InventoryBulkView.as_view()),
]
