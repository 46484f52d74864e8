"""Commerce in the admin, readable."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.accounts.access.site import LimitedAdmin
from apps.commerce import models, permitted
from apps.kernel import ids, money
from apps.tenants.admin import ReadOnlyInline, TenantReadOnlyAdmin, TranslatedReadOnlyAdmin
from apps.tenants.models import TenantModel


class ProductTranslationInline(ReadOnlyInline):
    model = models.ProductTranslation
    fields = ("locale", "title", "subtitle", "handle", "description", "meta_title", "meta_description")


class VariantInline(ReadOnlyInline):
    model = models.Variant
    show_change_link = True
    fields = ("position", "sku", "barcode", "weight_grams", "inventory_policy", "manage_inventory")


class ImageInline(ReadOnlyInline):
    model = models.ProductImage
    fields = ("position", "url", "alt")


class PriceInline(ReadOnlyInline):
    model = models.Price
    fields = ("currency", "shown_amount", "shown_compare_at")
    readonly_fields = fields

    @admin.display(description="amount")
    def shown_amount(self, row: models.Price) -> str:
        return money.to_decimal_text(row.amount, row.currency)

    @admin.display(description="compare at")
    def shown_compare_at(self, row: models.Price) -> str:
        return "" if row.compare_at is None else money.to_decimal_text(row.compare_at, row.currency)


class LevelInline(ReadOnlyInline):
    model = models.InventoryLevel
    fields = ("location", "stocked", "reserved", "incoming", "low_stock_threshold", "allow_backorder")


class CategoryTranslationInline(ReadOnlyInline):
    model = models.CategoryTranslation
    fields = ("locale", "name", "handle", "description")


class CollectionTranslationInline(ReadOnlyInline):
    model = models.CollectionTranslation
    fields = ("locale", "title", "handle", "description")


class CollectionProductInline(ReadOnlyInline):
    model = models.CollectionProduct
    fields = ("position", "product")
    raw_id_fields = ("product",)


@admin.register(models.Product)
class ProductAdmin(LimitedAdmin, TranslatedReadOnlyAdmin):
    resource = "products"
    columns = permitted.COLUMNS
    shown = "title"
    list_display = ("words", "tenant", "status", "vendor", "product_type", "published_at", "updated_at")
    list_filter = ("status", "is_gift_card")
    search_fields = ("translations__title", "translations__handle", "variants__sku", "vendor", "external_id")
    ordering = ("-id",)
    inlines = (ProductTranslationInline, VariantInline, ImageInline)
    show_full_result_count = False


@admin.register(models.Variant)
class VariantAdmin(LimitedAdmin, TenantReadOnlyAdmin):
    resource = "products"
    columns = permitted.COLUMNS.below("product")
    list_display = ("sku", "tenant", "id", "barcode", "inventory_policy", "manage_inventory")
    list_filter = ("inventory_policy", "manage_inventory")
    search_fields = ("sku", "barcode")
    ordering = ("-id",)
    inlines = (PriceInline, LevelInline)
    raw_id_fields = ("product", "image")
    show_full_result_count = False


@admin.register(models.InventoryMovement)
class InventoryMovementAdmin(TenantReadOnlyAdmin):
    """The ledger outlives what it is about: names come by subquery where there still are any."""

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
    resource = "inventory"
    list_display = ("code", "tenant", "name")
    search_fields = ("code", "name")
    ordering = ("code",)


@admin.register(models.Category)
class CategoryAdmin(TranslatedReadOnlyAdmin):
    resource = "categories"
    list_display = ("words", "tenant", "depth", "position", "is_active")
    list_filter = ("is_active", "depth")
    search_fields = ("translations__name", "translations__handle")
    ordering = ("depth", "position", "id")
    inlines = (CategoryTranslationInline,)
    raw_id_fields = ("parent",)


@admin.register(models.Collection)
class CollectionAdmin(TranslatedReadOnlyAdmin):
    resource = "collections"
    shown = "title"
    list_display = ("words", "tenant", "created_at", "updated_at")
    search_fields = ("translations__title", "translations__handle")
    ordering = ("-id",)
    inlines = (CollectionTranslationInline, CollectionProductInline)
