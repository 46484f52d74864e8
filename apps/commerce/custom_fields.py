"""Products, by their type, as what tenants define fields of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apps.commerce import models
from apps.kernel import ids
from apps.tenants import custom_fields

FIELDS = "product"


def _rows(product_type: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = models.Product.objects.filter(product_type=product_type).exclude(fields={}).values_list("id", "fields")
    for product_id, values in rows.iterator(chunk_size=1000):
        yield ids.encode("prod", product_id), values


custom_fields.register(custom_fields.Subject(FIELDS, _rows))
