"""What the lists of commerce can be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apps.accounts.access import limiting
from apps.commerce import models, queries
from apps.commerce.api import shown
from apps.kernel import filters, ids
from apps.kernel.listing import Document, Expansion, Listing, member

# How many products of each collection are shown in full: the first in its order.
COLLECTION_PRODUCTS = 10


def _categories(wanted: Sequence[str]) -> Mapping[str, Document]:
    rows = queries.list_categories().filter(id__in=[ids.decode("cat", each) for each in wanted])
    return _by_id([shown.category(row) for row in limiting.among(rows, "categories:read")])


def _products(wanted: Sequence[str]) -> Mapping[str, Document]:
    rows = queries.find_products([ids.decode("prod", each) for each in wanted])
    return _by_id([shown.product(snapshot) for snapshot in queries.load_products(rows)])


def _locations(wanted: Sequence[str]) -> Mapping[str, Document]:
    rows = queries.list_locations().filter(id__in=[ids.decode("loc", each) for each in wanted])
    return _by_id([shown.location(row) for row in limiting.among(rows, "inventory:read")])


def _in_collections(documents: Sequence[Document]) -> Sequence[Sequence[str]]:
    collection_ids = [ids.decode("coll", document["id"]) for document in documents]
    placed = queries.first_products(collection_ids, limit=COLLECTION_PRODUCTS)
    return [[ids.encode("prod", each) for each in placed.get(key, ())] for key in collection_ids]


def _by_id(documents: Sequence[Document]) -> Mapping[str, Document]:
    return {document["id"]: document for document in documents}


PRODUCTS = Listing(
    document=shown.Product,
    filters={
        "status": filters.choice(*models.Product.Status.values),
        "vendor": filters.words(*filters.SAME, description="Exactly this vendor."),
        "product_type": filters.words(*filters.SAME, description="Exactly this type."),
        "handle": filters.words(column="translations__handle", is_many=True, description="In any locale."),
        "sku": filters.words(column="variants__sku", is_many=True, description="Of any of its variants."),
        "category": filters.object_id("cat", column="categories__category_id", is_many=True),
        "is_gift_card": filters.flag(),
        "external_id": filters.words(read=filters.exact),
        "created_at": filters.moments(),
        "updated_at": filters.moments(),
        "published_at": filters.moments(),
    },
    sorts={"created_at": "id", "updated_at": "updated_at", "vendor": "vendor", "product_type": "product_type"},
    expansions={"categories": Expansion(member("category_ids"), _categories, listing=lambda: CATEGORIES)},
)  # fmt: skip

VARIANTS = Listing(
    document=shown.Variant,
    filters={
        "sku": filters.words(),
        "barcode": filters.words(),
        "inventory_policy": filters.choice(*models.Variant.InventoryPolicy.values),
        "manage_inventory": filters.flag(),
    },
    sorts={"position": "position", "created_at": "id"},
    default="position",
)  # fmt: skip

CATEGORIES: Listing = Listing(
    document=shown.ProductCategory,
    filters={
        "parent": filters.Filter(
            filters.or_none("root", filters.identifier("cat")), column="parent_id", description="An id, or root."
        ),
        "handle": filters.words(column="translations__handle", is_many=True, description="In any locale."),
        "is_active": filters.flag(),
    },
    sorts={"tree": "depth position id", "created_at": "id"},
    default="tree",
    expansions={"parent": Expansion(member("parent_id"), _categories, is_many=False, listing=lambda: CATEGORIES)},
)

COLLECTIONS = Listing(
    document=shown.Collection,
    filters={
        "handle": filters.words(column="translations__handle", is_many=True, description="In any locale."),
        "created_at": filters.moments(),
        "updated_at": filters.moments(),
    },
    expansions={"products": Expansion(_in_collections, _products, listing=lambda: PRODUCTS)},
)

LOCATIONS = Listing(
    document=shown.StockLocation,
    filters={"code": filters.words()},
    sorts={"code": "code", "created_at": "id"},
    default="code",
)

LEVELS = Listing(
    document=shown.StockLevel,
    filters={
        "location": filters.words(column="location__code", description="The code of a stock location."),
        "stocked": filters.numbers(),
        "reserved": filters.numbers(),
    },
    sorts={"location": "location__code"},
    default="location",
    expansions={
        "stock_location": Expansion(
            member("location_id"), _locations, is_many=False, listing=lambda: LOCATIONS
        )
    },
)  # fmt: skip
