"""Read models: what the storefront reads. Each table here is the migrated, always empty template of a projection's
generations; the `Live…` model beside it reads the view on the live one. docs/explanation/read-models.md
"""

from __future__ import annotations

from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from apps.consumers import tables
from apps.tenants.models import TenantManager


class RegConfigField(models.TextField[str, str]):
    """A Postgres text search configuration, such as `english`; `simple` where there is none for the language."""

    def db_type(self, connection: object) -> str:
        return "regconfig"


class _LocalisedColumns(tables.Row):
    """A row per locale the entity is translated into; `locales` names them all, for the fallback in one query."""

    locale = models.CharField(max_length=10)
    locales = ArrayField(models.CharField(max_length=10))
    document = models.TextField(help_text="The prepared JSON document.")

    class Meta:
        abstract = True


class _SearchableColumns(_LocalisedColumns):
    version = models.IntegerField()
    title = models.TextField()
    published_at = models.DateTimeField()
    language = RegConfigField()
    keywords = models.TextField()
    body_text = models.TextField()
    search = models.GeneratedField(
        expression=models.expressions.RawSQL(
            "setweight(to_tsvector(language, title), 'A') || setweight(to_tsvector(language, keywords), 'B') "
            "|| setweight(to_tsvector(language, body_text), 'C')",
            (),
        ),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        abstract = True


class _ProductColumns(_SearchableColumns):
    handle = models.CharField(max_length=255)
    vendor = models.TextField()
    product_type = models.TextField()
    tags = ArrayField(models.TextField())
    category_ids = ArrayField(models.UUIDField())
    in_stock = models.BooleanField()

    class Meta:
        abstract = True


class _ContentColumns(_SearchableColumns):
    kind = models.CharField(max_length=64)
    slug = models.CharField(max_length=255)
    parent_id = models.UUIDField(null=True)
    position = models.IntegerField()
    category_ids = ArrayField(models.UUIDField())
    tag_ids = ArrayField(models.UUIDField())

    class Meta:
        abstract = True


class _RedirectColumns(tables.Row):
    kind = models.CharField(max_length=64)
    locale = models.CharField(max_length=10)
    slug = models.CharField(max_length=255)

    class Meta:
        abstract = True


class _PathColumns(tables.Row):
    path = models.TextField()

    class Meta:
        abstract = True


class _TermColumns(_LocalisedColumns):
    """Categories, collections and tags. `source` is the aggregate type, `taxonomy` the tree within it."""

    source = models.CharField(max_length=32)
    taxonomy = models.CharField(max_length=64)
    parent_id = models.UUIDField(null=True)
    position = models.IntegerField()
    slug = models.CharField(max_length=255)
    name = models.TextField()
    member_ids = ArrayField(models.UUIDField(), help_text="Products of a collection, in its order.")

    class Meta:
        abstract = True


class _AssetColumns(tables.Row):
    document = models.TextField(help_text="The asset as its events carry it, as JSON.")

    class Meta:
        abstract = True


class _MenuColumns(tables.Row):
    location = models.CharField(max_length=16, null=True)
    document = models.TextField(help_text="The menu as its events carry it, as JSON.")

    class Meta:
        abstract = True


class ProductState(tables.StateRow):
    pass


class ContentState(tables.StateRow):
    pass


class TermState(tables.StateRow):
    pass


class MenuState(tables.StateRow):
    pass


class AssetState(tables.StateRow):
    pass


class ProductDocument(_ProductColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id", "locale")

    class Meta:
        indexes = [
            models.Index(fields=["tenant_id", "locale", "-published_at", "-id"], name="product_by_locale"),
            models.Index(fields=["tenant_id", "-published_at", "-id"], name="product_by_time"),
            models.Index(fields=["tenant_id", "handle"], name="product_by_handle"),
            GinIndex(fields=["search"], name="product_search"),
            GinIndex(fields=["category_ids"], name="product_categories"),
        ]


class ContentDocument(_ContentColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id", "locale")

    class Meta:
        indexes = [
            models.Index(fields=["tenant_id", "kind", "locale", "-published_at", "-id"], name="content_by_locale"),
            models.Index(fields=["tenant_id", "kind", "-published_at", "-id"], name="content_by_time"),
            models.Index(fields=["tenant_id", "kind", "slug"], name="content_by_slug"),
            models.Index(fields=["tenant_id", "parent_id", "position"], name="content_by_parent"),
            GinIndex(fields=["search"], name="content_search"),
        ]


class ContentRedirect(_RedirectColumns):
    pk = models.CompositePrimaryKey("tenant_id", "kind", "locale", "slug", "id")


class ContentPath(_PathColumns):
    pk = models.CompositePrimaryKey("tenant_id", "path", "id")


class TermDocument(_TermColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id", "locale")

    class Meta:
        indexes = [
            models.Index(fields=["tenant_id", "source", "taxonomy", "slug"], name="term_by_slug"),
            models.Index(fields=["tenant_id", "position", "id"], name="term_in_order"),
        ]


class MenuDocument(_MenuColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id")

    class Meta:
        indexes = [models.Index(fields=["tenant_id", "location"], name="menu_by_location")]


class AssetDocument(_AssetColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id")


class LiveProduct(_ProductColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id", "locale")
    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        managed = False
        db_table = "readmodels_productdocument_live"


class LiveContent(_ContentColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id", "locale")
    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        managed = False
        db_table = "readmodels_contentdocument_live"


class LiveRedirect(_RedirectColumns):
    pk = models.CompositePrimaryKey("tenant_id", "kind", "locale", "slug", "id")
    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        managed = False
        db_table = "readmodels_contentredirect_live"


class LivePath(_PathColumns):
    pk = models.CompositePrimaryKey("tenant_id", "path", "id")
    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        managed = False
        db_table = "readmodels_contentpath_live"


class LiveTerm(_TermColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id", "locale")
    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        managed = False
        db_table = "readmodels_termdocument_live"


class LiveMenu(_MenuColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id")
    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        managed = False
        db_table = "readmodels_menudocument_live"


class LiveAsset(_AssetColumns):
    pk = models.CompositePrimaryKey("tenant_id", "id")
    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        managed = False
        db_table = "readmodels_assetdocument_live"
