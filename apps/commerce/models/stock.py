"""Stock: how many of a variant are where, how many of them are promised, and the ledger of every change."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from apps.commerce.constraints import AppendOnly
from apps.commerce.models.products import Variant
from apps.kernel import ids
from apps.tenants.constraints import SameTenant, tenant_key
from apps.tenants.models import InTenantForeignKey, TenantModel


class StockLocation(TenantModel):
    """A place where stock is kept. `code` is its short name in commands and files."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    code = models.CharField(max_length=64)
    name = models.CharField(max_length=255)

    class Meta(TenantModel.Meta):
        ordering = ["code"]
        constraints = [
            tenant_key("commerce_stocklocation_tenant_key"),
            models.UniqueConstraint(fields=["tenant", "code"], name="commerce_stocklocation_code_once"),
        ]

    def __str__(self) -> str:
        return self.code


class InventoryLevel(TenantModel):
    """`stocked` is what is there, `reserved` what of it is promised. `allow_backorder` mirrors the variant (sold beyond
    its stock, or stock not managed at all), so that the database itself can refuse to promise too much."""

    variant = InTenantForeignKey(Variant, related_name="levels")
    location = InTenantForeignKey(StockLocation, related_name="levels")
    stocked = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    incoming = models.BigIntegerField(default=0, help_text="Ordered and not here yet; a note for planning.")
    low_stock_threshold = models.BigIntegerField(null=True, blank=True)
    allow_backorder = models.BooleanField(default=False)

    class Meta(TenantModel.Meta):
        ordering = ["id"]
        constraints = [
            SameTenant(field="variant", name="commerce_inventorylevel_variant"),
            SameTenant(field="location", name="commerce_inventorylevel_location", on_delete="RESTRICT"),
            models.UniqueConstraint(
                fields=["tenant", "variant", "location"], name="commerce_inventorylevel_location_once"
            ),
            models.CheckConstraint(condition=Q(stocked__gte=0), name="commerce_inventorylevel_stocked"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="commerce_inventorylevel_reserved"),
            models.CheckConstraint(condition=Q(incoming__gte=0), name="commerce_inventorylevel_incoming"),
            models.CheckConstraint(
                condition=Q(low_stock_threshold__isnull=True) | Q(low_stock_threshold__gte=0),
                name="commerce_inventorylevel_threshold",
            ),
            models.CheckConstraint(
                condition=Q(allow_backorder=True) | Q(reserved__lte=F("stocked")),
                name="commerce_inventorylevel_not_oversold",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "location"], name="commerce_level_by_location")]

    def __str__(self) -> str:
        return f"{self.stocked} stocked, {self.reserved} reserved"


class InventoryMovement(TenantModel):
    """The ledger of stocked quantities: one row a change, never altered.

    Variant and location are plain columns and not foreign keys, so that the ledger outlives them.
    """

    variant_id = models.UUIDField()
    location_id = models.UUIDField()
    delta = models.BigIntegerField()
    quantity_after = models.BigIntegerField()
    reason = models.CharField(max_length=255)
    reservation_id = models.UUIDField(null=True, blank=True)
    at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(delta=0), name="commerce_inventorymovement_moves"),
            models.CheckConstraint(
                condition=Q(quantity_after__gte=0), name="commerce_inventorymovement_quantity_after"
            ),
            AppendOnly(name="commerce_inventorymovement_append_only"),
        ]
        indexes = [
            models.Index(fields=["tenant", "variant_id", "location_id", "id"], name="commerce_movement_by_level")
        ]

    def __str__(self) -> str:
        return f"{self.delta:+d} → {self.quantity_after} ({self.reason})"


class Reservation(TenantModel):
    """A quantity promised until `expires_at`. `reference` is the caller's own name for it, such as a cart."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        RELEASED = "released"
        EXPIRED = "expired"
        COMMITTED = "committed"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    variant = InTenantForeignKey(Variant, related_name="reservations")
    location = InTenantForeignKey(StockLocation, related_name="reservations")
    quantity = models.BigIntegerField()
    status = models.CharField(max_length=9, choices=Status, default=Status.ACTIVE)
    expires_at = models.DateTimeField()
    reference = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("commerce_reservation_tenant_key"),
            SameTenant(field="variant", name="commerce_reservation_variant"),
            SameTenant(field="location", name="commerce_reservation_location", on_delete="RESTRICT"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="commerce_reservation_quantity"),
            models.CheckConstraint(
                condition=Q(status__in=["active", "released", "expired", "committed"]),
                name="commerce_reservation_status_known",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "variant"], name="commerce_reservation_by_var"),
            models.Index(fields=["tenant", "location"], name="commerce_reservation_by_loc"),
            models.Index(
                fields=["tenant", "expires_at"], condition=Q(status="active"), name="commerce_reservation_due"
            ),
        ]

    def __str__(self) -> str:
        return ids.encode("res", self.id)
