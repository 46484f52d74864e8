"""Commerce in the admin, readable."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from apps.commerce import models
from apps.kernel import money
from apps.tenants import scope
from apps.tenants.admin import TenantReadOnlyAdmin


class _Inline(admin.TabularInline[Any, Any]):
    """Rows of the object shown."""

    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ProductTranslationInline(_Inline):
    model = models.ProductTranslation
    fields = ("locale", "title", "subtitle", "handle", "description", "meta_title", "meta_description")


class VariantInline(_Inline):
    model = models.Variant
    fields = ("position", "sku", "barcode", "weight_grams", "inventory_policy", "manage_inventory")


class ImageInline(_Inline):
    model = models.ProductImage
    fields = ("position", "url", "alt")


class PriceInline(_Inline):
    model = models.Price
    fields = ("currency", "shown_amount", "shown_compare_at")
    readonly_fields = fields

    @admin.display(description="amount")
    def shown_amount(self, row: models.Price) -> str:
        return money.to_decimal_text(row.amount, row.currency)

    @admin.display(description="compare at")
    def shown_compare_at(self, row: models.Price) -> str:
        return "" if row.compare_at is None else money.to_decimal_text(row.compare_at, row.currency)


class LevelInline(_Inline):
    model = models.InventoryLevel
    fields = ("location", "stocked", "reserved", "incoming", "low_stock_threshold", "allow_backorder")


class CategoryTranslationInline(_Inline):
    model = models.CategoryTranslation
    fields = ("locale", "name", "handle", "description")


class CollectionTranslationInline(_Inline):
    model = models.CollectionTranslation
    fields = ("locale", "title", "handle", "description")


class CollectionProductInline(_Inline):
    model = models.CollectionProduct
    fields = ("position", "product")
    raw_id_fields = ("product",)


class _TranslatedAdmin(TenantReadOnlyAdmin):
    """Lists show the words of every locale; they come with the page in one query."""

    translations: type[Any]
    shown = "title"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = (
            self.translations.objects.all()
            if scope.find() is not None
            else self.translations.all_tenants(reason="platform admin list")
        )
        return super().get_queryset(request).prefetch_related(Prefetch("translations", queryset=rows))

    @admin.display(description="name")
    def words(self, row: Any) -> str:
        translations = sorted(row.translations.all(), key=lambda entry: entry.locale)
        return ", ".join(f"{getattr(entry, self.shown)} ({entry.locale})" for entry in translations)


@admin.register(models.Product)
class ProductAdmin(_TranslatedAdmin):
    translations = models.ProductTranslation
    list_display = ("words", "status", "vendor", "product_type", "published_at", "updated_at", "tenant")
    list_filter = ("status", "is_gift_card")
    search_fields = ("translations__title", "translations__handle", "variants__sku", "vendor", "external_id")
    ordering = ("-id",)
    inlines = (ProductTranslationInline, VariantInline, ImageInline)
    show_full_result_count = False


@admin.register(models.Variant)
class VariantAdmin(TenantReadOnlyAdmin):
    list_display = ("sku", "id", "barcode", "inventory_policy", "manage_inventory", "tenant")
    list_filter = ("inventory_policy", "manage_inventory")
    search_fields = ("sku", "barcode")
    ordering = ("-id",)
    inlines = (PriceInline, LevelInline)
    raw_id_fields = ("product", "image")
    show_full_result_count = False


@admin.register(models.InventoryMovement)
class InventoryMovementAdmin(TenantReadOnlyAdmin):
    list_display = ("at", "variant_id", "location_id", "delta", "quantity_after", "reason", "tenant")
    list_filter = ("reason",)
    search_fields = ("=variant_id",)
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(models.Reservation)
class ReservationAdmin(TenantReadOnlyAdmin):
    list_display = ("id", "variant_id", "quantity", "status", "expires_at", "reference", "tenant")
    list_filter = ("status",)
    search_fields = ("reference", "=variant_id")
    ordering = ("-id",)
    raw_id_fields = ("variant",)
    show_full_result_count = False


@admin.register(models.StockLocation)
class StockLocationAdmin(TenantReadOnlyAdmin):
    list_display = ("code", "name", "tenant")
    search_fields = ("code", "name")
    ordering = ("code",)


@admin.register(models.Category)
class CategoryAdmin(_TranslatedAdmin):
    translations = models.CategoryTranslation
    shown = "name"
    list_display = ("words", "depth", "position", "is_active", "tenant")
    list_filter = ("is_active", "depth")
    search_fields = ("translations__name", "translations__handle")
    ordering = ("depth", "position", "id")
    inlines = (CategoryTranslationInline,)
    raw_id_fields = ("parent",)


@admin.register(models.Collection)
class CollectionAdmin(_TranslatedAdmin):
    translations = models.CollectionTranslation
    list_display = ("words", "created_at", "updated_at", "tenant")
    search_fields = ("translations__title", "translations__handle")
    ordering = ("-id",)
    inlines = (CollectionTranslationInline, CollectionProductInline)
