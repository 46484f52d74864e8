"""Products on one page: words in every language, options, variants with prices and stock, images, places."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from django.contrib import admin
from django.db.models import F, Max, Min, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from apps.accounts.access.site import LimitedAdmin
from apps.accounts.desk.acting import Act
from apps.accounts.desk.asking import Asked
from apps.accounts.desk.screens import EditingAdmin
from apps.accounts.desk.sheets import Document, Field, Sheet, is_of_this_host
from apps.commerce import events, models, permitted, queries, services
from apps.commerce.admin import product_document, product_sheet, product_writing
from apps.kernel import errors, money, wording
from apps.tenants import scope
from apps.tenants.admin import ReadOnlyInline, TenantReadOnlyAdmin, TranslatedReadOnlyAdmin

_SHOWN_CHOICES = 100


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


def _may_see_stock(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("commerce.view_stocklocation"))


class LevelInline(ReadOnlyInline):
    model = models.InventoryLevel
    fields = ("location", "stocked", "reserved", "incoming", "low_stock_threshold", "allow_backorder")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may_see_stock(request)


class _OfTenantFilter(admin.SimpleListFilter):
    """Choices of the tenant at work; on a host of no tenant there are none."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [] if scope.find() is None else self.choices_of_tenant()[:_SHOWN_CHOICES]

    def choices_of_tenant(self) -> list[tuple[str, str]]:
        raise NotImplementedError


class VendorFilter(_OfTenantFilter):
    title, parameter_name = "vendor", "vendor"

    def choices_of_tenant(self) -> list[tuple[str, str]]:
        return _distinct("vendor")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(vendor=self.value()) if self.value() else queryset


class TypeFilter(_OfTenantFilter):
    title, parameter_name = "type", "type"

    def choices_of_tenant(self) -> list[tuple[str, str]]:
        return _distinct("product_type")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(product_type=self.value()) if self.value() else queryset


class CategoryFilter(_OfTenantFilter):
    title, parameter_name = "category", "category"

    def choices_of_tenant(self) -> list[tuple[str, str]]:
        rows = models.Category.objects.order_by("depth", "position", "id").prefetch_related("translations")
        return [(str(row.id), str(row)) for row in rows[:_SHOWN_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value()
        if not wanted:
            return queryset
        try:
            placed = models.ProductCategory.objects.filter(category_id=uuid.UUID(wanted))
        except ValueError:
            return queryset.none()
        return queryset.filter(id__in=placed.values("product_id"))


def _distinct(name: str) -> list[tuple[str, str]]:
    rows = models.Product.objects.exclude(**{name: ""}).order_by(name).values_list(name, flat=True).distinct()
    return [(value, value) for value in rows[:_SHOWN_CHOICES]]


def _tag(row_id: uuid.UUID, *, tag: str, is_added: bool) -> None:
    product = queries.get_product(product_id=row_id).product
    others = [known for known in product.tags if known.casefold() != tag.casefold()]
    changes = services.ProductChanges.model_validate({"tags": [*others, tag] if is_added else others})
    services.update_product(product_id=row_id, changes=changes)


def _add_tag(row_id: uuid.UUID, *, tag: str) -> None:
    _tag(row_id, tag=tag, is_added=True)


def _remove_tag(row_id: uuid.UUID, *, tag: str) -> None:
    _tag(row_id, tag=tag, is_added=False)


def _change_prices(row_id: uuid.UUID, *, percent: str) -> None:
    """Every price of the product by so many percent, rounded half up to whole minor units; compare-at prices stay."""
    try:
        factor = 1 + Decimal(percent.replace(",", ".").strip()) / 100
    except InvalidOperation:
        factor = Decimal(0)
    if not factor.is_finite() or not 0 < factor <= 100:
        raise errors.ValidationFailed.for_field(
            "/percent", "invalid_percent", wording.say("write how many percent, such as 5 or -10.")
        )
    for variant in queries.get_product(product_id=row_id).variants:
        prices = [
            {
                "currency": price.currency,
                "amount": _scaled(price.amount, factor, price.currency),
                "compare_at": None
                if price.compare_at is None
                else money.to_decimal_text(price.compare_at, price.currency),
            }
            for price in variant.prices.values()
        ]
        if prices:
            wanted = services.PriceList.model_validate({"prices": prices})
            services.set_prices(variant_id=variant.row.id, prices=wanted)


def _scaled(amount: int, factor: Decimal, currency: str) -> str:
    return money.to_decimal_text(int((amount * factor).quantize(Decimal(1), rounding=ROUND_HALF_UP)), currency)


ACTS = (
    Act(
        "publish",
        "Publish",
        "published",
        lambda row_id: services.publish_product(product_id=row_id, now=timezone.now()),
        is_for=lambda row: row.status != "published",
    ),
    Act(
        "unpublish",
        "Back to draft",
        "a draft",
        lambda row_id: services.unpublish_product(product_id=row_id, now=timezone.now()),
        is_for=lambda row: row.status != "draft",
    ),
    Act(
        "archive",
        "Archive",
        "archived",
        lambda row_id: services.archive_product(product_id=row_id, now=timezone.now()),
        is_for=lambda row: row.status != "archived",
    ),
    Act("add_tag", "Add a tag", "tagged", _add_tag, asks=(Field(name="tag", label="Tag"),), is_on_page=False),
    Act(
        "remove_tag",
        "Remove a tag",
        "without the tag",
        _remove_tag,
        asks=(Field(name="tag", label="Tag"),),
        is_on_page=False,
    ),
    Act(
        "change_prices",
        "Change prices by percent",
        "priced anew",
        _change_prices,
        asks=(Field(name="percent", label="Percent", kind="number", help="5 raises by five percent, -10 lowers."),),
        is_on_page=False,
    ),
)


@admin.register(models.Product)
class ProductAdmin(LimitedAdmin, EditingAdmin, TranslatedReadOnlyAdmin):
    resource = "products"
    aggregate = events.PRODUCT
    columns = permitted.COLUMNS
    shown = "title"
    list_display_links = ("words",)
    search_fields = ("translations__title", "translations__handle", "variants__sku", "vendor", "external_id")
    ordering = ("-id",)
    inlines = (ProductTranslationInline, VariantInline, ImageInline)
    show_full_result_count = False
    list_per_page = 50

    acts = ACTS
    list_filter = ("status", TypeFilter, VendorFilter, CategoryFilter, "is_gift_card")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        where = ("tenant",) if scope.find() is None else ()
        stock = ["stock"] if _may_see_stock(request) else []
        return ["picture", "words", *where, "state", "price", *stock, "vendor", "product_type", "changed"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        is_list = request.resolver_match is not None and str(request.resolver_match.url_name).endswith("_changelist")
        return rows.annotate(**_glance()) if is_list else rows

    @admin.display(description="")
    def picture(self, row: Any) -> str:
        if not is_of_this_host(row.first_image):
            return format_html('<span class="thumb">{}</span>', "")
        return format_html('<img class="thumb" src="{}" alt="" width="40" height="40" loading="lazy">', row.first_image)

    @admin.display(description="status", ordering="status")
    def state(self, row: Any) -> str:
        return format_html('<span class="pill pill-{0}">{0}</span>', row.status)

    @admin.display(description="changed", ordering="updated_at")
    def changed(self, row: Any) -> str:
        return f"{row.updated_at:%Y-%m-%d}"

    @admin.display(description="price")
    def price(self, row: Any) -> str:
        if row.least is None:
            return ""
        least, most = (money.to_decimal_text(amount, row.tenant.currency) for amount in (row.least, row.most))
        return f"{least} {row.tenant.currency}" if least == most else f"{least} – {most} {row.tenant.currency}"

    @admin.display(description="stock")
    def stock(self, row: Any) -> str:
        return "" if row.available is None else f"{row.available:,}"

    # --- The page -------------------------------------------------------------------------------------------

    def stored(self, request: HttpRequest, row: Any) -> Document:
        if row is None:
            return product_document.empty()
        return product_document.of(queries.get_product(product_id=row.pk))

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        return product_sheet.sheet(
            document,
            is_new=row is None,
            may_count=request.user.has_perm("commerce.change_stocklocation"),
            may_collect=request.user.has_perm("commerce.change_collection"),
        )

    def added(self, button: str, document: Document) -> Document:
        is_all = button == product_sheet.ALL_COMBINATIONS
        return product_document.with_all_combinations(document, product_sheet.MOST_VARIANTS) if is_all else document

    def names_of(self, request: HttpRequest, document: Mapping[str, Any]) -> Mapping[str, str]:
        return product_sheet.names_of(request, document)

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID:
        now = timezone.now()
        if row is None:
            return product_writing.create(asked, now=now)
        product_writing.update(row.pk, asked, now=now)
        return uuid.UUID(str(row.pk))

    def erase(self, row_id: uuid.UUID) -> None:
        services.delete_product(product_id=row_id)


def _glance() -> dict[str, Any]:
    """What a list shows of each product, by subqueries: the page costs the same however many there are."""
    prices = models.Price.objects.filter(
        variant__product=OuterRef("pk"), currency=OuterRef("tenant__currency")
    ).order_by()
    levels = models.InventoryLevel.objects.filter(variant__product=OuterRef("pk")).order_by()
    available = Coalesce(Sum(F("stocked") - F("reserved")), 0)
    images = models.ProductImage.objects.filter(product=OuterRef("pk")).order_by("position", "id")
    return {
        "least": Subquery(prices.values("variant__product").annotate(it=Min("amount")).values("it")[:1]),
        "most": Subquery(prices.values("variant__product").annotate(it=Max("amount")).values("it")[:1]),
        "available": Subquery(levels.values("variant__product").annotate(it=available).values("it")[:1]),
        "first_image": Subquery(images.values("url")[:1]),
    }


@admin.register(models.Variant)
class VariantAdmin(LimitedAdmin, TenantReadOnlyAdmin):
    """To be found by SKU; changed on the page of the product."""

    resource = "products"
    columns = permitted.COLUMNS.below("product")
    list_display = ("sku", "tenant", "id", "barcode", "inventory_policy", "manage_inventory")
    list_filter = ("inventory_policy", "manage_inventory")
    search_fields = ("sku", "barcode")
    ordering = ("-id",)
    inlines = (PriceInline, LevelInline)
    raw_id_fields = ("product", "image")
    show_full_result_count = False
