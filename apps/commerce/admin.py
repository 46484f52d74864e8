"""Commerce in the admin, readable."""

from __future__ import annotations

from django.contrib import admin

from apps.commerce import models
from apps.kernel import money
from apps.tenants.admin import ReadOnlyInline, TenantReadOnlyAdmin, TranslatedReadOnlyAdmin


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
class ProductAdmin(TranslatedReadOnlyAdmin):
    translations = models.ProductTranslation
    shown = "title"
    list_display = ("words", "tenant", "status", "vendor", "product_type", "published_at", "updated_at")
    list_filter = ("status", "is_gift_card")
    search_fields = ("translations__title", "translations__handle", "variants__sku", "vendor", "external_id")
    ordering = ("-id",)
    inlines = (ProductTranslationInline, VariantInline, ImageInline)
    show_full_result_count = False


@admin.register(models.Variant)
class VariantAdmin(TenantReadOnlyAdmin):
    list_display = ("sku", "tenant", "id", "barcode", "inventory_policy", "manage_inventory")
    list_filter = ("inventory_policy", "manage_inventory")
    search_fields = ("sku", "barcode")
    ordering = ("-id",)
    inlines = (PriceInline, LevelInline)
    raw_id_fields = ("product", "image")
    show_full_result_count = False


@admin.register(models.InventoryMovement)
class InventoryMovementAdmin(TenantReadOnlyAdmin):
    list_display = ("at", "tenant", "variant_id", "location_id", "delta", "quantity_after", "reason")
    list_filter = ("reason",)
    search_fields = ("variant_id__exact",)
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(models.Reservation)
class ReservationAdmin(TenantReadOnlyAdmin):
    list_display = ("id", "tenant", "variant_id", "quantity", "status", "expires_at", "reference")
    list_filter = ("status",)
    search_fields = ("reference", "variant__id__exact")
    ordering = ("-id",)
    raw_id_fields = ("variant",)
    show_full_result_count = False


@admin.register(models.StockLocation)
class StockLocationAdmin(TenantReadOnlyAdmin):
    list_display = ("code", "tenant", "name")
    search_fields = ("code", "name")
    ordering = ("code",)


@admin.register(models.Category)
class CategoryAdmin(TranslatedReadOnlyAdmin):
    translations = models.CategoryTranslation
    list_display = ("words", "tenant", "depth", "position", "is_active")
    list_filter = ("is_active", "depth")
    search_fields = ("translations__name", "translations__handle")
    ordering = ("depth", "position", "id")
    inlines = (CategoryTranslationInline,)
    raw_id_fields = ("parent",)


@admin.register(models.Collection)
class CollectionAdmin(TranslatedReadOnlyAdmin):
    translations = models.CollectionTranslation
    shown = "title"
    list_display = ("words", "tenant", "created_at", "updated_at")
    search_fields = ("translations__title", "translations__handle")
    ordering = ("-id",)
    inlines = (CollectionTranslationInline, CollectionProductInline)
