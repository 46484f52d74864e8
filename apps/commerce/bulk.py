"""What can be done in bulk to products, prices and stock: each operation calls the service that its endpoint calls."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from apps.commerce import events, queries, services
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


class _OfVariant(bulk.Edit):
    """The versions are those of its product."""

    id: services.VariantId

    def stream(self) -> append.Key:
        return scope.current_id(), events.PRODUCT, queries.product_of_variant(variant_id=self.id)

    @property
    def shown_id(self) -> str:
        return ids.encode("var", self.id)


class SetPrices(_OfVariant):
    """Set the price in each given currency. Needs `if_match`, a version of the product."""

    op: Literal["set"]
    data: services.PriceList
    permission = "products:update"
    needs_version = True

    def perform(self, *, now: datetime) -> str:
        services.set_prices(variant_id=self.id, prices=self.data)
        return self.shown_id


class AdjustInventory(_OfVariant):
    """Add to the stock at a location, or take from it."""

    op: Literal["adjust"]
    data: services.InventoryAdjustment
    permission = "inventory:update"

    def perform(self, *, now: datetime) -> str:
        services.adjust_inventory(variant_id=self.id, adjustment=self.data, now=now)
        return self.shown_id


class SetInventory(_OfVariant):
    """Set the stock at a location to what was counted."""

    op: Literal["set"]
    data: services.InventoryCount
    permission = "inventory:update"

    def perform(self, *, now: datetime) -> str:
        services.set_inventory(variant_id=self.id, count=self.data, now=now)
        return self.shown_id


PRICES = bulk.register(
    bulk.Kind(name="prices", permission="products:update", module="commerce", operations={"set": SetPrices})
)
INVENTORY = bulk.register(
    bulk.Kind(
        name="inventory",
        permission="inventory:update",
        module="commerce",
        operations={"adjust": AdjustInventory, "set": SetInventory},
    )
)
