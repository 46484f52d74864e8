"""Many writes in one request."""

from __future__ import annotations

from typing import Annotated

from django.urls import path
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from apps.commerce import bulk
from apps.commerce.api.catalogue import PRODUCTS
from apps.jobs.api import BulkView
from apps.jobs.shown import BulkResults
from apps.kernel import validation
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


class ProductsBulk(validation.Input):
    operations: list[ProductOperation]


class ProductsBulkView(BulkView):
    kind = bulk.PRODUCTS
    permissions = {"POST": bulk.PRODUCTS.permission}

    @operation("product_bulk", tag=PRODUCTS, takes=ProductsBulk, answers=BulkResults)
    def post(self, request: Request) -> Response:
        """Create, change, delete, publish, unpublish or archive many products, each with its own outcome."""
        return self.respond(request)


# Ahead of the addresses of one product, whose id could be anything.
urlpatterns = [path("products/bulk", ProductsBulkView.as_view())]
