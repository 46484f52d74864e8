"""Where products are found: the category tree and hand-picked collections."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from apps.commerce.models.products import Product
from apps.kernel import ids
from apps.tenants.constraints import SameTenant, tenant_key
from apps.tenants.models import InTenantForeignKey, TenantModel, loaded_words

MAXIMUM_DEPTH = 20


class Category(TenantModel):
    """A node of the tree. `depth` is 0 at the top and kept by the service."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    parent = InTenantForeignKey("self", null=True, blank=True, related_name="children")
    position = models.PositiveIntegerField(default=0)
    depth = models.PositiveSmallIntegerField(default=0)
    is_active = models.BooleanField(default=True)
    seo = models.JSONField(default=dict, db_default={}, blank=True, help_text="What search engines are told.")

    class Meta(TenantModel.Meta):
        ordering = ["depth", "position", "id"]
        verbose_name_plural = "categories"
        constraints = [
            tenant_key("commerce_category_tenant_key"),
            SameTenant(field="parent", name="commerce_category_parent", on_delete="RESTRICT"),
            models.CheckConstraint(condition=Q(depth__lte=MAXIMUM_DEPTH), name="commerce_category_depth_bounded"),
            models.CheckConstraint(
                condition=Q(parent__isnull=True, depth=0) | Q(parent__isnull=False, depth__gt=0),
                name="commerce_category_depth_fits_parent",
            ),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | ~Q(parent=F("id")), name="commerce_category_not_own_parent"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "parent", "position"], name="commerce_category_by_parent"),
            models.Index(fields=["tenant", "depth", "position", "id"], name="commerce_category_tree"),
        ]

    def __str__(self) -> str:
        return loaded_words(self, "name") or ids.encode("cat", self.id)


class CategoryTranslation(TenantModel):
    category = InTenantForeignKey(Category, related_name="translations")
    locale = models.CharField(max_length=10)
    name = models.CharField(max_length=255)
    handle = models.CharField(max_length=255)
    description = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["locale"]
        constraints = [
            SameTenant(field="category", name="commerce_categorytranslation_category"),
            models.UniqueConstraint(
                fields=["tenant", "category", "locale"], name="commerce_categorytranslation_locale_once"
            ),
            models.UniqueConstraint(
                fields=["tenant", "locale", "handle"], name="commerce_categorytranslation_handle_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.locale})"


class ProductCategory(TenantModel):
    product = InTenantForeignKey(Product, related_name="categories")
    category = InTenantForeignKey(Category, related_name="products")

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="product", name="commerce_productcategory_product"),
            SameTenant(field="category", name="commerce_productcategory_category"),
            models.UniqueConstraint(fields=["tenant", "product", "category"], name="commerce_productcategory_once"),
        ]
        indexes = [models.Index(fields=["tenant", "category"], name="commerce_product_by_category")]


class Collection(TenantModel):
    """Products picked by hand, in an order of their own."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    seo = models.JSONField(default=dict, db_default={}, blank=True, help_text="What search engines are told.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [tenant_key("commerce_collection_tenant_key")]

    def __str__(self) -> str:
        return loaded_words(self, "title") or ids.encode("coll", self.id)


class CollectionTranslation(TenantModel):
    collection = InTenantForeignKey(Collection, related_name="translations")
    locale = models.CharField(max_length=10)
    title = models.CharField(max_length=255)
    handle = models.CharField(max_length=255)
    description = models.TextField(blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["locale"]
        constraints = [
            SameTenant(field="collection", name="commerce_collectiontranslation_collection"),
            models.UniqueConstraint(
                fields=["tenant", "collection", "locale"], name="commerce_collectiontranslation_locale_once"
            ),
            models.UniqueConstraint(
                fields=["tenant", "locale", "handle"], name="commerce_collectiontranslation_handle_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.locale})"


class CollectionProduct(TenantModel):
    collection = InTenantForeignKey(Collection, related_name="products")
    product = InTenantForeignKey(Product, related_name="collections")
    position = models.PositiveIntegerField(default=0)

    class Meta(TenantModel.Meta):
        ordering = ["position", "id"]
        constraints = [
            SameTenant(field="collection", name="commerce_collectionproduct_collection"),
            SameTenant(field="product", name="commerce_collectionproduct_product"),
            models.UniqueConstraint(fields=["tenant", "collection", "product"], name="commerce_collectionproduct_once"),
        ]
        indexes = [models.Index(fields=["tenant", "product"], name="commerce_collection_by_product")]
