"""Content in the admin, readable."""

from __future__ import annotations

from django.contrib import admin

from apps.accounts.access.site import LimitedAdmin
from apps.content import models, permitted
from apps.tenants.admin import ReadOnlyInline, TenantReadOnlyAdmin, TranslatedReadOnlyAdmin


class NodeTranslationInline(ReadOnlyInline):
    model = models.NodeTranslation
    fields = ("locale", "title", "slug", "excerpt")


class BodyInline(ReadOnlyInline):
    model = models.Body
    fields = ("locale", "format", "body")


class RedirectInline(ReadOnlyInline):
    model = models.Redirect
    fields = ("locale", "slug")


class CategoryTranslationInline(ReadOnlyInline):
    model = models.CategoryTranslation
    fields = ("locale", "name", "slug", "description")


class TagTranslationInline(ReadOnlyInline):
    model = models.TagTranslation
    fields = ("locale", "name", "slug", "description")


@admin.register(models.Node)
class NodeAdmin(LimitedAdmin, TranslatedReadOnlyAdmin):
    resource = "nodes"
    columns = permitted.COLUMNS
    shown = "title"
    list_display = ("words", "tenant", "kind", "status", "author_name", "published_at", "updated_at")
    list_filter = ("kind", "status")
    search_fields = ("translations__title", "translations__slug", "external_id")
    ordering = ("-id",)
    inlines = (NodeTranslationInline, BodyInline, RedirectInline)
    raw_id_fields = ("parent",)
    show_full_result_count = False


@admin.register(models.Category)
class CategoryAdmin(TranslatedReadOnlyAdmin):
    resource = "content_categories"
    list_display = ("words", "tenant", "taxonomy", "depth", "position")
    list_filter = ("taxonomy",)
    search_fields = ("translations__name", "translations__slug")
    ordering = ("taxonomy", "depth", "position")
    inlines = (CategoryTranslationInline,)


@admin.register(models.Tag)
class TagAdmin(TranslatedReadOnlyAdmin):
    resource = "tags"
    list_display = ("words", "tenant", "created_at")
    search_fields = ("translations__name", "translations__slug")
    ordering = ("-id",)
    inlines = (TagTranslationInline,)


@admin.register(models.Menu)
class MenuAdmin(TenantReadOnlyAdmin):
    resource = "menus"
    list_display = ("name", "tenant", "location", "updated_at")
    list_filter = ("location",)
    search_fields = ("name", "external_id")
    ordering = ("-id",)


@admin.register(models.Redirect)
class RedirectAdmin(LimitedAdmin, TenantReadOnlyAdmin):
    resource = "nodes"
    columns = permitted.COLUMNS.below("node")
    list_display = ("slug", "tenant", "kind", "locale", "node_id", "created_at")
    list_filter = ("kind", "locale")
    search_fields = ("slug",)
    ordering = ("-id",)
