"""Categories and collections: where products are found."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse

from apps.accounts.desk import words
from apps.accounts.desk.asking import Asked, flag, number, within
from apps.accounts.desk.choosing import names_of
from apps.accounts.desk.screens import EditingAdmin
from apps.accounts.desk.sheets import Document, Field, Languages, Section, Sheet, Table
from apps.commerce import events, models, queries, services
from apps.kernel import validation
from apps.tenants.admin import ReadOnlyInline, TranslatedReadOnlyAdmin


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


def _words(name: str, label: str, document: Mapping[str, Any]) -> Languages:
    fields = (
        Field(name=f"translations/{{locale}}/{name}", label=label, is_required=True),
        Field(name="translations/{locale}/handle", label="Handle", help=f"Made of the {name} if it is empty."),
        Field(name="translations/{locale}/description", label="Description (HTML)", kind="body", lines=6),
    )
    return words.languages(fields=fields, shown_by=name, document=document)


@admin.register(models.Category)
class CategoryAdmin(EditingAdmin, TranslatedReadOnlyAdmin):
    resource = "categories"
    called = ("category of products", "categories of products")
    aggregate = events.CATEGORY
    list_display = ("words", "tenant", "depth", "position", "is_active")
    list_filter = ("is_active", "depth")
    search_fields = ("translations__name", "translations__handle")
    ordering = ("depth", "position", "id")
    inlines = (CategoryTranslationInline,)
    raw_id_fields = ("parent",)

    def stored(self, request: HttpRequest, row: Any) -> Document:
        if row is None:
            return {"is_active": flag(True)}
        category = queries.get_category(category_id=row.pk)
        return {
            "parent_id": str(category.parent_id or ""),
            "position": str(category.position),
            "is_active": flag(category.is_active),
            **words.stored(category.translations.all(), "name", "handle", "description"),
        }

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        place = (
            Field(name="is_active", label="Shown to customers", kind="flag"),
            Field(name="parent_id", label="Below", kind="find", find=reverse("admin:commerce_category_find")),
            Field(name="position", label="Position among its siblings", kind="number", help="0 is first."),
        )
        return Sheet([_words("name", "Name", document), Section(title="Place", fields=place, is_aside=True)])

    def names_of(self, request: HttpRequest, document: Mapping[str, Any]) -> Mapping[str, str]:
        return names_of(request, "commerce.category", [str(document.get("parent_id", ""))])

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID:
        values: dict[str, Any] = {
            "translations": words.asked(asked),
            "parent_id": asked.maybe("parent_id"),
            "position": number(asked.maybe("position")),
            "is_active": asked.flag("is_active"),
        }
        if row is None:
            given = {name: value for name, value in values.items() if value is not None}
            return services.create_category(new=validation.parse(services.NewCategory, given)).id
        changed = {name: value for name, value in values.items() if asked.changes(name)}
        if changed:
            changes = validation.parse(services.CategoryChanges, changed)
            services.update_category(category_id=row.pk, changes=changes)
        return uuid.UUID(str(row.pk))

    def erase(self, row_id: uuid.UUID) -> None:
        services.delete_category(category_id=row_id)


@admin.register(models.Collection)
class CollectionAdmin(EditingAdmin, TranslatedReadOnlyAdmin):
    resource = "collections"
    aggregate = events.COLLECTION
    shown = "title"
    list_display = ("words", "tenant", "size", "created_at", "updated_at")
    search_fields = ("translations__title", "translations__handle")
    ordering = ("-id",)
    inlines = (CollectionTranslationInline, CollectionProductInline)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(size=Count("products"))

    @admin.display(description="products")
    def size(self, row: Any) -> int:
        return int(row.size)

    def stored(self, request: HttpRequest, row: Any) -> Document:
        if row is None:
            return {"products": []}
        collection = queries.get_collection(collection_id=row.pk)
        placed = [str(each.product_id) for each in collection.products.all()]
        found: Document = {"products": placed}
        found |= {f"products/{product_id}/product_id": product_id for product_id in placed}
        return found | words.stored(collection.translations.all(), "title", "handle", "description")

    def sheet(self, request: HttpRequest, row: Any, document: Mapping[str, Any]) -> Sheet:
        product = Field(
            name="products/{row}/product_id",
            label="Product",
            kind="find",
            find=reverse("admin:commerce_product_find"),
        )
        table = Table(
            name="products", title="Products", row="a product", columns=(product,), note="Shown in this order."
        )
        return Sheet([_words("title", "Title", document), table])

    def names_of(self, request: HttpRequest, document: Mapping[str, Any]) -> Mapping[str, str]:
        return names_of(request, "commerce.product", _chosen(document))

    def write(self, request: HttpRequest, row: Any, asked: Asked) -> uuid.UUID:
        values = {"translations": words.asked(asked)}
        if row is None:
            new = validation.parse(services.CollectionInput, values)
            collection_id = services.create_collection(new=new).id
        else:
            collection_id = uuid.UUID(str(row.pk))
            if asked.changes("translations"):
                changes = validation.parse(services.CollectionInput, values)
                services.update_collection(collection_id=collection_id, changes=changes)
        if asked.changes("products"):
            with within("products"):
                _arrange(collection_id, [*dict.fromkeys(_chosen(asked.document))], _chosen(asked.before))
        return collection_id

    def erase(self, row_id: uuid.UUID) -> None:
        services.delete_collection(collection_id=row_id)


def _chosen(document: Mapping[str, Any]) -> list[str]:
    """The products of the rows, in their order."""
    chosen = (str(document.get(f"products/{row}/product_id", "")) for row in document.get("products", []))
    return [value for value in chosen if value]


def _arrange(collection_id: uuid.UUID, wanted: list[str], before: list[str]) -> None:
    ids: list[uuid.UUID] = validation.check(list[uuid.UUID], wanted, field="products")
    for product in set(before) - set(wanted):
        services.remove_from_collection(collection_id=collection_id, product_id=uuid.UUID(product))
    for position, product_id in enumerate(ids):
        services.add_to_collection(collection_id=collection_id, product_id=product_id, position=position)
