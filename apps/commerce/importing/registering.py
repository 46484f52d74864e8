"""The formats of products that can be imported, and how products and categories are put back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from apps.commerce import events, services
from apps.commerce.catalogue.importing import CatalogueImporter
from apps.commerce.catalogue.maps import Map
from apps.commerce.importing.mapped import Target
from apps.commerce.shopify.importing import ShopifyImporter
from apps.commerce.woocommerce.importing import WooCommerceImporter
from apps.imports import formats
from apps.kernel import encodings, errors, validation, wording

MODULES = ("commerce", "inventory")
PERMISSION = "products:import"


class ProductsOptions(validation.Input):
    """Without an encoding it is told by the bytes of the file."""

    locale: validation.Locale
    currency: validation.Currency
    location: validation.ShortSlug = services.DEFAULT_LOCATION
    encoding: encodings.Named = ""

    @property
    def target(self) -> Target:
        return Target(self.locale, self.currency, self.location)


class CatalogueOptions(ProductsOptions):
    map: Map


def _catalogue(path: Path, options: CatalogueOptions, found: Mapping[str, Any]) -> formats.Importer:
    return CatalogueImporter(path, options.map, options.target, found)


def _shopify(path: Path, options: ProductsOptions, found: Mapping[str, Any]) -> formats.Importer:
    return ShopifyImporter(path, options.target, found, encoding=options.encoding)


def _woocommerce(path: Path, options: ProductsOptions, found: Mapping[str, Any]) -> formats.Importer:
    return WooCommerceImporter(path, options.target, found, encoding=options.encoding)


def register() -> None:
    """Let them be known."""
    formats.register(
        formats.Format(
            name="shopify",
            title="Shopify products (CSV)",
            action="commerce.import",
            permission=PERMISSION,
            modules=MODULES,
            endings=(".csv", ".csv.gz", ".txt", ".tsv"),
            options=ProductsOptions,
            opened=_shopify,
        )
    )
    formats.register(
        formats.Format(
            name="woocommerce",
            title="WooCommerce products (CSV)",
            action="commerce.import",
            permission=PERMISSION,
            modules=MODULES,
            endings=(".csv", ".csv.gz", ".txt", ".tsv"),
            options=ProductsOptions,
            opened=_woocommerce,
        )
    )
    formats.register(
        formats.Format(
            name="catalogue",
            title="Catalogue with a map (table, JSON, NDJSON)",
            action="commerce.import",
            permission=PERMISSION,
            modules=MODULES,
            endings=(".csv", ".tsv", ".json", ".ndjson", ".jsonl", ".gz"),
            options=CatalogueOptions,
            opened=_catalogue,
            is_offered=False,
        )
    )
    formats.register_undo(events.PRODUCT, formats.Undo("product", _discard_product, _restore_product))
    formats.register_undo(events.CATEGORY, formats.Undo("category", _discard_category, _restore_category))


def _discard_product(product_id: uuid.UUID, now: datetime) -> None:
    services.discard_product(product_id=product_id, now=now)


def _restore_product(product_id: uuid.UUID, state: Any, now: datetime) -> None:
    services.restore_product(product_id=product_id, state=state, now=now)


def _discard_category(category_id: uuid.UUID, now: datetime) -> None:
    services.discard_category(category_id=category_id)


def _restore_category(category_id: uuid.UUID, state: Any, now: datetime) -> None:
    raise errors.Conflict(wording.say("Imports of products do not change categories."))
