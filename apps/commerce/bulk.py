"""What can be done to products in bulk: each operation calls the service that the endpoint of one product calls."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from apps.commerce import events, services
from apps.jobs import bulk
from apps.kernel import ids
from apps.outbox import append
from apps.tenants import scope


class _OfProduct(bulk.Edit):
    id: services.ProductId
    permission: ClassVar[str] = "products:update"

    def stream(self) -> append.Key:
        return scope.current_id(), events.PRODUCT, self.id

    @property
    def shown_id(self) -> str:
        return ids.encode("prod", self.id)


class PublishProduct(_OfProduct):
    """Show the product to customers."""

    op: Literal["publish"]

    def perform(self, *, now: datetime) -> str:
        services.publish_product(product_id=self.id, now=now)
        return self.shown_id


class UnpublishProduct(_OfProduct):
    """Back to draft."""

    op: Literal["unpublish"]

    def perform(self, *, now: datetime) -> str:
        services.unpublish_product(product_id=self.id, now=now)
        return self.shown_id


class ArchiveProduct(_OfProduct):
    """Out of sight, kept."""

    op: Literal["archive"]

    def perform(self, *, now: datetime) -> str:
        services.archive_product(product_id=self.id, now=now)
        return self.shown_id


class CreateProduct(bulk.Operation):
    """A product with its variants, prices and stock."""

    op: Literal["create"]
    data: services.NewProduct
    permission = "products:create"
    status = 201

    def perform(self, *, now: datetime) -> str:
        return ids.encode("prod", services.create_product(new=self.data, now=now).id)


class UpdateProduct(_OfProduct):
    """Change what is given. Needs `if_match`."""

    op: Literal["update"]
    data: services.ProductChanges
    needs_version = True

    def perform(self, *, now: datetime) -> str:
        services.update_product(product_id=self.id, changes=self.data)
        return self.shown_id


class DeleteProduct(_OfProduct):
    """Delete a product that is not published. Needs `if_match`."""

    op: Literal["delete"]
    permission = "products:delete"
    status = 204
    needs_version = True

    def perform(self, *, now: datetime) -> str:
        services.delete_product(product_id=self.id)
        return self.shown_id


PRODUCTS = bulk.register(
    bulk.Kind(
        name="products",
        permission="products:update",
        module="commerce",
        operations={
            "create": CreateProduct,
            "update": UpdateProduct,
            "delete": DeleteProduct,
            "publish": PublishProduct,
            "unpublish": UnpublishProduct,
            "archive": ArchiveProduct,
        },
    )
)
