"""Categories and tags of content."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.desk import words
from apps.accounts.desk.asking import Asked, number
from apps.accounts.desk.choosing import names_of
from apps.accounts.desk.screens import EditingAdmin
from apps.accounts.desk.sheets import Document, Field, Section, Sheet
from apps.content import events, models, queries, services
from apps.kernel import validation
from apps.tenants.admin import ReadOnlyInline, TranslatedReadOnlyAdmin

_WORDS = (
    Field(name="translations/{locale}/name", label="Name", is_required=True),
    Field(name="translations/{locale}/slug", label="Slug", help="Made of the name if it is empty."),
    Field(name="translations/{locale}/description", label="Description", kind="text"),
)


class CategoryTranslationInline(ReadOnlyInline):
    model = models.CategoryTranslation
    fields = ("locale", "name", "slug", "description")


class TagTranslationInline(ReadOnlyInline):
    model = models.TagTranslation
    fields = ("locale", "name", "slug", "description")


@admin.register(models.Category)
class CategoryAdmin(EditingAdmin, TranslatedReadOnlyAdmin):
    resource = "content_categories"
    called = ("category of content", "categories of content")
    aggregate = events.CATEGORY
    list_display = ("words", "tenant", "taxonomy", "depth", "position")
    list_filter = ("taxonomy",)
    search_fields = ("translations__name", "translations__slug")
    ordering = ("taxonomy", "depth", "position")
    inlines = (CategoryTranslationInline,)

    def stored(self, request: HttpRequest, row: Any) -> Document:
        if row is None:
            return {"taxonomy": "category"}
        category = queries.get_category(category_id=row.pk)
        return {
            "taxonomy": category.taxonomy,
            "parent_id": str(category.parent_id or ""),
            "position": str(category.position),
            **words.stored(category.translations.all(), "name", "slug", "description"),
        }

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        place = (
            Field(name="taxonomy", label="Taxonomy", help="Which tree it is in.", is_fixed=row is not None),
            Field(name="parent_id", label="Below", kind="find", find=reverse("admin:content_category_find")),
            Field(name="position", label="Position among its siblings", kind="number", help="0 is first."),
        )
        languages = words.languages(fields=_WORDS, shown_by="name", document=document)
        return Sheet([languages, Section(title="Place", fields=place, is_aside=True)])

    def names_of(self, request: HttpRequest, document: Mapping[str, Any]) -> Mapping[str, str]:
        return names_of(request, "content.category", [str(document.get("parent_id", ""))])

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID:
        values: dict[str, Any] = {
            "translations": words.asked(asked, only_changed=row is not None),
            "parent_id": asked.maybe("parent_id"),
            "position": number(asked.maybe("position")),
        }
        if row is None:
            new = validation.parse(services.NewCategory, values | {"taxonomy": asked.text("taxonomy") or "category"})
            return services.create_category(new=new).id
        if changed := {name: value for name, value in values.items() if asked.changes(name)}:
            changes = validation.parse(services.CategoryChanges, changed)
            services.update_category(category_id=row.pk, changes=changes)
        return uuid.UUID(str(row.pk))

    def erase(self, row_id: uuid.UUID) -> None:
        services.delete_category(category_id=row_id)


@admin.register(models.Tag)
class TagAdmin(EditingAdmin, TranslatedReadOnlyAdmin):
    resource = "tags"
    aggregate = events.TAG
    list_display = ("words", "tenant", "created_at")
    search_fields = ("translations__name", "translations__slug")
    ordering = ("-id",)
    inlines = (TagTranslationInline,)

    def stored(self, request: HttpRequest, row: Any) -> Document:
        if row is None:
            return {}
        return words.stored(queries.get_tag(tag_id=row.pk).translations.all(), "name", "slug", "description")

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        return Sheet([words.languages(fields=_WORDS, shown_by="name", document=document)])

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID:
        values = {"translations": words.asked(asked, only_changed=row is not None)}
        if row is None:
            return services.create_tag(new=validation.parse(services.NewTag, values)).id
        if values["translations"]:
            services.update_tag(tag_id=row.pk, changes=validation.parse(services.TagChanges, values))
        return uuid.UUID(str(row.pk))

    def erase(self, row_id: uuid.UUID) -> None:
        services.delete_tag(tag_id=row_id)
