"""The tables of commerce."""

from apps.commerce.models.products import (
    Option,
    OptionTranslation,
    OptionValue,
    OptionValueTranslation,
    Price,
    Product,
    ProductImage,
    ProductTranslation,
    Variant,
    VariantOptionValue,
)
from apps.commerce.models.stock import InventoryLevel, InventoryMovement, Reservation, StockLocation
from apps.commerce.models.taxonomy import (
    Category,
    CategoryTranslation,
    Collection,
    CollectionProduct,
    CollectionTranslation,
    ProductCategory,
)

__all__ = [
    "Category",
    "CategoryTranslation",
    "Collection",
    "CollectionProduct",
    "CollectionTranslation",
    "InventoryLevel",
    "InventoryMovement",
    "Option",
    "OptionTranslation",
    "OptionValue",
    "OptionValueTranslation",
    "Price",
    "Product",
    "ProductCategory",
    "ProductImage",
    "ProductTranslation",
    "Reservation",
    "StockLocation",
    "Variant",
    "VariantOptionValue",
]
