"""Content in the admin, readable."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from apps.content import models
from apps.tenants import scope
from apps.tenants.admin import TenantReadOnlyAdmin


class _Inline(admin.TabularInline[Any, Any]):
    """Rows of the object shown."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NodeTranslationInline(_Inline):
    model = models.NodeTranslation
    fields = ("locale", "title", "slug", "excerpt")


class BodyInline(_Inline):
    model = models.Body
    fields = ("locale", "format", "body")


class RedirectInline(_Inline):
    model = models.Redirect
    fields = ("locale", "slug")


class CategoryTranslationInline(_Inline):
    model = models.CategoryTranslation
    fields = ("locale", "name", "slug", "description")


class TagTranslationInline(_Inline):
    model = models.TagTranslation
    fields = ("locale", "name", "slug", "description")


class _TranslatedAdmin(TenantReadOnlyAdmin):
    """Lists show the words of the first locale; they come with the page in one query."""

    translations: type[Any]
    shown = "name"

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


@admin.register(models.Node)
class NodeAdmin(_TranslatedAdmin):
    translations = models.NodeTranslation
    shown = "title"
    list_display = ("words", "kind", "status", "author_name", "published_at", "updated_at", "tenant")
    list_filter = ("kind", "status")
    search_fields = ("translations__title", "translations__slug", "external_id")
    ordering = ("-id",)
    inlines = (NodeTranslationInline, BodyInline, RedirectInline)
    raw_id_fields = ("parent",)
    show_full_result_count = False


@admin.register(models.Category)
class CategoryAdmin(_TranslatedAdmin):
    translations = models.CategoryTranslation
    list_display = ("words", "taxonomy", "depth", "position", "tenant")
    list_filter = ("taxonomy",)
    search_fields = ("translations__name", "translations__slug")
    ordering = ("taxonomy", "depth", "position")
    inlines = (CategoryTranslationInline,)


@admin.register(models.Tag)
class TagAdmin(_TranslatedAdmin):
    translations = models.TagTranslation
    list_display = ("words", "created_at", "tenant")
    search_fields = ("translations__name", "translations__slug")
    ordering = ("-id",)
    inlines = (TagTranslationInline,)


@admin.register(models.Redirect)
class RedirectAdmin(TenantReadOnlyAdmin):
    list_display = ("slug", "kind", "locale", "node_id", "created_at", "tenant")
    list_filter = ("kind", "locale")
    search_fields = ("slug",)
    ordering = ("-id",)
