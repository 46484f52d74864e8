"""Commerce in the admin: the catalogue to be written, stock and its ledger to be read."""

from apps.commerce.admin import panels, products, stock, taxonomy

__all__ = ["panels", "products", "stock", "taxonomy"]
