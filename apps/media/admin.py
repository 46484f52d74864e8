"""The media library in the admin, readable."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.media import files, models, services, usage
from apps.tenants import queries, scope
from apps.tenants.admin import ReadOnlyInline, TenantReadOnlyAdmin


class AssetTranslationInline(ReadOnlyInline):
    model = models.AssetTranslation


class RenditionInline(ReadOnlyInline):
    model = models.Rendition


@admin.register(models.Asset)
class AssetAdmin(TenantReadOnlyAdmin):
    """Thumbnails beside names; who shows an asset stands on its own page."""

    resource = "media"
    list_display = ("thumbnail", "name", "tenant", "kind", "folder", "dimensions", "size", "created_at")
    list_display_links = ("thumbnail", "name")
    list_filter = ("kind", "folder")
    search_fields = ("name", "translations__alt")
    ordering = ("-id",)
    inlines = (AssetTranslationInline, RenditionInline)
    readonly_fields = ("thumbnail", "address", "uses")

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Asset]:
        rows: QuerySet[models.Asset] = super().get_queryset(request).prefetch_related("renditions")
        return rows

    @admin.display(description="")
    def thumbnail(self, asset: models.Asset) -> SafeString | str:
        found = next((row for row in asset.renditions.all() if row.name == "thumbnail"), None)
        if found is None:
            return asset.get_kind_display()
        return format_html(
            '<img src="{}" alt="" width="{}" height="{}" loading="lazy">',
            files.address(services.path_of(asset, found)),
            found.width // 2,
            found.height // 2,
        )

    @admin.display(description="dimensions")
    def dimensions(self, asset: models.Asset) -> str:
        return f"{asset.width} × {asset.height}" if asset.width else ""

    @admin.display(description="address")
    def address(self, asset: models.Asset) -> SafeString:
        return format_html('<a href="{0}">{0}</a>', files.address(asset.path))

    @admin.display(description="shown by")
    def uses(self, asset: models.Asset) -> str:
        with scope.use(queries.scope_of(asset.tenant)):
            return ", ".join(f"{use.type} {use.title}" for use in usage.of(asset.id)) or "nothing"
