"""Stock in the admin: counted on the page of the product, read here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.commerce import models
from apps.kernel import ids
from apps.tenants.admin import TenantReadOnlyAdmin
from apps.tenants.models import TenantModel


@admin.register(models.InventoryMovement)
class InventoryMovementAdmin(TenantReadOnlyAdmin):
    """The ledger outlives what it is about: names come by subquery where there still are any."""

    group = "Stock"
    resource = "inventory"
    list_display = ("at", "tenant", "variant", "location", "delta", "quantity_after", "reason")
    fields = ("at", "variant", "location", "delta", "quantity_after", "reason", "reservation_id")
    readonly_fields = ("variant", "location")
    list_filter = ("reason",)
    search_fields = ("variant_id__exact",)
    ordering = ("-id",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(**_names_of_a_movement())
        return rows

    @admin.display(description="variant")
    def variant(self, row: Any) -> str:
        shown_id = ids.encode("var", row.variant_id)
        if row.product_id is None:
            return f"{shown_id} (deleted)"
        words = ", ".join(filter(None, [row.product_title, row.sku or shown_id]))
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:commerce_variant_change", args=[row.variant_id]), words
        )

    @admin.display(description="location")
    def location(self, row: Any) -> str:
        return row.location_code or f"{row.location_id} (deleted)"


def _names_of_a_movement() -> dict[str, Subquery]:
    def of(model: type[TenantModel], **found: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = model.objects.filter(tenant=OuterRef("tenant_id"), **found)
        return rows

    variant = of(models.Variant, id=OuterRef("variant_id"))
    title = of(
        models.ProductTranslation,
        product__variants__id=OuterRef("variant_id"),
        locale=OuterRef("tenant__default_locale"),
    )
    location = of(models.StockLocation, id=OuterRef("location_id"))
    return {
        "product_id": Subquery(variant.values("product_id")[:1]),
        "sku": Subquery(variant.values("sku")[:1]),
        "product_title": Subquery(title.values("title")[:1]),
        "location_code": Subquery(location.values("code")[:1]),
    }


@admin.register(models.Reservation)
class ReservationAdmin(TenantReadOnlyAdmin):
    group = "Stock"
    resource = "inventory"
    list_display = ("id", "tenant", "variant", "quantity", "status", "expires_at", "reference")
    list_select_related = ("tenant", "variant")
    list_filter = ("status",)
    search_fields = ("reference", "variant__id__exact")
    ordering = ("-id",)
    raw_id_fields = ("variant",)
    show_full_result_count = False


@admin.register(models.StockLocation)
class StockLocationAdmin(TenantReadOnlyAdmin):
    group = "Stock"
    resource = "inventory"
    list_display = ("code", "tenant", "name")
    search_fields = ("code", "name")
    ordering = ("code",)
