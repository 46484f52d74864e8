"""Products: what is sold, in which languages, as which variants, at which prices."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from apps.kernel import ids, money
from apps.media.models import Asset
from apps.tenants.constraints import SameTenant, tenant_key
from apps.tenants.models import InTenantForeignKey, TenantModel, loaded_words


class Product(TenantModel):
    """`external_id` names the product in the system it was imported from, such as `shopify:red-shoes`."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"
        ARCHIVED = "archived"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    status = models.CharField(max_length=9, choices=Status, default=Status.DRAFT)
    vendor = models.CharField(max_length=255, blank=True)
    product_type = models.CharField(max_length=255, blank=True)
    tags = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    is_gift_card = models.BooleanField(default=False)
    metadata = models.JSONField(default=dict, blank=True)
    seo = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="By locale: what search engines are told."
    )
    fields = models.JSONField(default=dict, db_default={}, blank=True, help_text="Values of the tenant's own fields.")
    external_id = models.CharField(max_length=512, null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(TenantModel.Meta):
        ordering = ["-id"]
        constraints = [
            tenant_key("commerce_product_tenant_key"),
            models.UniqueConstraint(
                fields=["tenant", "external_id"],
                condition=Q(external_id__isnull=False),
                name="commerce_product_external_id_once",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "published", "archived"]), name="commerce_product_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(status="published") | Q(published_at__isnull=False),
                name="commerce_product_published_has_moment",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "status", "id"], name="commerce_product_by_status"),
            models.Index(fields=["tenant", "vendor", "id"], name="commerce_product_by_vendor"),
            models.Index(fields=["tenant", "product_type", "id"], name="commerce_product_by_type"),
            models.Index(fields=["tenant", "updated_at", "id"], name="commerce_product_by_update"),
        ]

    def __str__(self) -> str:
        return loaded_words(self, "title") or self.external_id or ids.encode("prod", self.id)


class ProductTranslation(TenantModel):
    """`description` is sanitised HTML."""

    product = InTenantForeignKey(Product, related_name="translations")
    locale = models.CharField(max_length=10)
    title = models.CharField(max_length=255)
    subtitle = models.CharField(max_length=255, blank=True)
    handle = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    meta_title = models.CharField(max_length=255, blank=True)
    meta_description = models.CharField(max_length=1000, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["locale"]
        constraints = [
            SameTenant(field="product", name="commerce_producttranslation_product"),
            models.UniqueConstraint(
                fields=["tenant", "product", "locale"], name="commerce_producttranslation_locale_once"
            ),
            models.UniqueConstraint(
                fields=["tenant", "locale", "handle"], name="commerce_producttranslation_handle_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.locale})"


class Option(TenantModel):
    """What a customer chooses, such as the size."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    product = InTenantForeignKey(Product, related_name="options")
    position = models.PositiveIntegerField(default=0)

    class Meta(TenantModel.Meta):
        ordering = ["position", "id"]
        constraints = [
            tenant_key("commerce_option_tenant_key"),
            SameTenant(field="product", name="commerce_option_product"),
        ]
        indexes = [models.Index(fields=["tenant", "product", "position"], name="commerce_option_by_product")]

    def __str__(self) -> str:
        return ids.encode("opt", self.id)


class OptionTranslation(TenantModel):
    option = InTenantForeignKey(Option, related_name="translations")
    locale = models.CharField(max_length=10)
    name = models.CharField(max_length=255)

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="option", name="commerce_optiontranslation_option"),
            models.UniqueConstraint(
                fields=["tenant", "option", "locale"], name="commerce_optiontranslation_locale_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.locale})"


class OptionValue(TenantModel):
    """One choice of an option, such as M."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    option = InTenantForeignKey(Option, related_name="values")
    position = models.PositiveIntegerField(default=0)

    class Meta(TenantModel.Meta):
        ordering = ["position", "id"]
        constraints = [
            tenant_key("commerce_optionvalue_tenant_key"),
            SameTenant(field="option", name="commerce_optionvalue_option"),
        ]
        indexes = [models.Index(fields=["tenant", "option", "position"], name="commerce_value_by_option")]

    def __str__(self) -> str:
        return ids.encode("val", self.id)


class OptionValueTranslation(TenantModel):
    value = InTenantForeignKey(OptionValue, related_name="translations")
    locale = models.CharField(max_length=10)
    name = models.CharField(max_length=255)

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="value", name="commerce_optionvaluetranslation_value"),
            models.UniqueConstraint(
                fields=["tenant", "value", "locale"], name="commerce_optionvaluetranslation_locale_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.locale})"


class ProductImage(TenantModel):
    """A picture of a product: an `asset` of the media library, whose address `url` is then, or one elsewhere."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    product = InTenantForeignKey(Product, related_name="images")
    url = models.CharField(max_length=2048)
    alt = models.CharField(max_length=1000, blank=True)
    position = models.PositiveIntegerField(default=0)
    asset = InTenantForeignKey(Asset, null=True, blank=True, related_name="+")

    class Meta(TenantModel.Meta):
        ordering = ["position", "id"]
        constraints = [
            tenant_key("commerce_productimage_tenant_key"),
            SameTenant(field="product", name="commerce_productimage_product"),
            SameTenant(field="asset", name="commerce_productimage_asset", on_delete="RESTRICT"),
        ]
        indexes = [
            models.Index(fields=["tenant", "product", "position"], name="commerce_image_by_product"),
            models.Index(
                fields=["tenant", "asset"], name="commerce_image_by_asset", condition=models.Q(asset__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.url


class Variant(TenantModel):
    """One sellable form of a product. `combination` is its option values in the options' order, as text, so that the
    database can refuse a second variant with the same values."""

    class InventoryPolicy(models.TextChoices):
        DENY = "deny"
        CONTINUE = "continue"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    product = InTenantForeignKey(Product, related_name="variants")
    position = models.PositiveIntegerField(default=0)
    sku = models.CharField(max_length=255, null=True, blank=True)
    barcode = models.CharField(max_length=255, blank=True)
    weight_grams = models.PositiveIntegerField(null=True, blank=True)
    inventory_policy = models.CharField(
        max_length=8,
        choices=InventoryPolicy,
        default=InventoryPolicy.DENY,
        help_text="Whether it may be sold beyond its stock.",
    )
    manage_inventory = models.BooleanField(default=True, help_text="Without it stock is never a limit.")
    requires_shipping = models.BooleanField(default=True)
    image = InTenantForeignKey(ProductImage, null=True, blank=True, related_name="+")
    metadata = models.JSONField(default=dict, blank=True)
    combination = models.TextField(blank=True, editable=False)

    class Meta(TenantModel.Meta):
        ordering = ["position", "id"]
        constraints = [
            tenant_key("commerce_variant_tenant_key"),
            SameTenant(field="product", name="commerce_variant_product"),
            SameTenant(field="image", name="commerce_variant_image", on_delete="SET NULL"),
            models.UniqueConstraint(
                fields=["tenant", "sku"], condition=Q(sku__isnull=False), name="commerce_variant_sku_once"
            ),
            models.UniqueConstraint(
                fields=["tenant", "product", "combination"], name="commerce_variant_combination_once"
            ),
            models.CheckConstraint(condition=~Q(sku=""), name="commerce_variant_sku_null_or_filled"),
            models.CheckConstraint(
                condition=Q(inventory_policy__in=["deny", "continue"]), name="commerce_variant_policy_known"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "image"], condition=Q(image__isnull=False), name="commerce_variant_by_image")
        ]

    def __str__(self) -> str:
        return self.sku or ids.encode("var", self.id)


class VariantOptionValue(TenantModel):
    variant = InTenantForeignKey(Variant, related_name="option_values")
    value = InTenantForeignKey(OptionValue, related_name="+")

    class Meta(TenantModel.Meta):
        constraints = [
            SameTenant(field="variant", name="commerce_variantoptionvalue_variant"),
            SameTenant(field="value", name="commerce_variantoptionvalue_value"),
            models.UniqueConstraint(fields=["tenant", "variant", "value"], name="commerce_variantoptionvalue_once"),
        ]
        indexes = [models.Index(fields=["tenant", "value"], name="commerce_vov_by_value")]


class Price(TenantModel):
    """`amount` and `compare_at`, the price before a reduction, are minor units of the currency."""

    variant = InTenantForeignKey(Variant, related_name="prices")
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField()
    compare_at = models.BigIntegerField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        ordering = ["currency"]
        constraints = [
            SameTenant(field="variant", name="commerce_price_variant"),
            models.UniqueConstraint(fields=["tenant", "variant", "currency"], name="commerce_price_currency_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="commerce_price_not_negative"),
            models.CheckConstraint(
                condition=Q(compare_at__isnull=True) | Q(compare_at__gte=F("amount")),
                name="commerce_price_compare_at_not_below",
            ),
        ]

    def __str__(self) -> str:
        return f"{money.to_decimal_text(self.amount, self.currency)} {self.currency}"
