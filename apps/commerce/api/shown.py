"""What the management API answers: ids as typed text, amounts as decimal text."""

from __future__ import annotations

from typing import Any

from apps.commerce import models, snapshots
from apps.kernel import ids, money, validation


def product(snapshot: snapshots.Snapshot) -> dict[str, Any]:
    row = snapshot.product
    return {
        "id": ids.encode("prod", row.id),
        "status": row.status,
        "vendor": row.vendor,
        "product_type": row.product_type,
        "tags": row.tags,
        "is_gift_card": row.is_gift_card,
        "metadata": row.metadata,
        "external_id": row.external_id,
        "category_ids": [ids.encode("cat", category_id) for category_id in snapshot.category_ids],
        "published_at": validation.to_text(row.published_at) if row.published_at else None,
        "created_at": validation.to_text(row.created_at),
        "updated_at": validation.to_text(row.updated_at),
        "translations": [
            {
                "locale": translation.locale,
                "title": translation.title,
                "subtitle": translation.subtitle,
                "handle": translation.handle,
                "description": translation.description,
                "meta_title": translation.meta_title,
                "meta_description": translation.meta_description,
            }
            for translation in snapshot.translations.values()
        ],
        "options": [
            {
                "id": ids.encode("opt", option.row.id),
                "names": option.names,
                "values": [{"id": ids.encode("val", value.row.id), "names": value.names} for value in option.values],
            }
            for option in snapshot.options
        ],
        "images": [
            {"id": ids.encode("img", image.id), "url": image.url, "alt": image.alt} for image in snapshot.images
        ],
        "variants": [variant(snapshot, entry) for entry in snapshot.variants],
    }


def variant(snapshot: snapshots.Snapshot, entry: snapshots.Variant) -> dict[str, Any]:
    row = entry.row
    names = {value.row.id: value.names for option in snapshot.options for value in option.values}
    images = {image.id: image.url for image in snapshot.images}
    return {
        "id": ids.encode("var", row.id),
        "product_id": ids.encode("prod", row.product_id),
        "position": row.position,
        "sku": row.sku,
        "barcode": row.barcode,
        "values": [names[value_id] for value_id in entry.value_ids],
        "weight_grams": row.weight_grams,
        "inventory_policy": row.inventory_policy,
        "manage_inventory": row.manage_inventory,
        "requires_shipping": row.requires_shipping,
        "image": images.get(row.image_id) if row.image_id else None,
        "metadata": row.metadata,
        "prices": [price(entry.prices[currency]) for currency in sorted(entry.prices)],
        "stocked": sum(level.stocked for level in entry.levels.values()),
        "reserved": sum(level.reserved for level in entry.levels.values()),
    }


def price(row: models.Price) -> dict[str, Any]:
    compare_at = None if row.compare_at is None else money.to_decimal_text(row.compare_at, row.currency)
    return {
        "currency": row.currency,
        "amount": money.to_decimal_text(row.amount, row.currency),
        "compare_at": compare_at,
    }


def level(row: models.InventoryLevel, location: models.StockLocation) -> dict[str, Any]:
    return {
        "location": location.code,
        "location_id": ids.encode("loc", location.id),
        "stocked": row.stocked,
        "reserved": row.reserved,
        "available": row.stocked - row.reserved,
        "incoming": row.incoming,
        "low_stock_threshold": row.low_stock_threshold,
        "allow_backorder": row.allow_backorder,
    }


def reservation(row: models.Reservation) -> dict[str, Any]:
    return {
        "id": ids.encode("res", row.id),
        "variant_id": ids.encode("var", row.variant_id),
        "location_id": ids.encode("loc", row.location_id),
        "quantity": row.quantity,
        "status": row.status,
        "expires_at": validation.to_text(row.expires_at),
        "reference": row.reference,
    }


def location(row: models.StockLocation) -> dict[str, Any]:
    return {"id": ids.encode("loc", row.id), "code": row.code, "name": row.name}


def category(row: models.Category) -> dict[str, Any]:
    return {
        "id": ids.encode("cat", row.id),
        "parent_id": ids.encode("cat", row.parent_id) if row.parent_id else None,
        "position": row.position,
        "depth": row.depth,
        "is_active": row.is_active,
        "translations": [
            {
                "locale": translation.locale,
                "name": translation.name,
                "handle": translation.handle,
                "description": translation.description,
            }
            for translation in row.translations.all()
        ],
    }


def collection(row: models.Collection) -> dict[str, Any]:
    return {
        "id": ids.encode("coll", row.id),
        "translations": [
            {
                "locale": translation.locale,
                "title": translation.title,
                "handle": translation.handle,
                "description": translation.description,
            }
            for translation in row.translations.all()
        ],
    }


def whole_collection(row: models.Collection) -> dict[str, Any]:
    return collection(row) | {
        "products": [
            {"product_id": ids.encode("prod", placed.product_id), "position": placed.position}
            for placed in row.products.all()
        ]
    }
