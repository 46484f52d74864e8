"""Real shops' exports: all that is in them is taken or named, and a second time changes nothing."""

from __future__ import annotations

import os
from collections import Counter
from io import StringIO
from pathlib import Path

import orjson
import pytest
from django.core.management import call_command

from apps.commerce import models
from tests import factories
from tests.commerce import making

EXPORTS = Path(os.environ.get("RUSTOK_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "shopify"
pytestmark = [
    pytest.mark.skipif(not EXPORTS.exists(), reason=f"no real exports at {EXPORTS}; set RUSTOK_SHARED_DATA"),
    pytest.mark.usefixtures("db"),
]

COMPARE_AT, SKU, STOCK = "Variant Compare At Price", "Variant SKU", "Variant Inventory Qty"


@pytest.mark.parametrize(
    ("name", "currency", "counts", "notes"),
    [
        ("partners-apparel.csv", "CAD", (20, 22, 20), {}),
        ("partners-home-and-garden.csv", "CAD", (20, 21, 21), {}),
        ("partners-jewelery.csv", "CAD", (20, 23, 41), {}),
        ("packt-product-data.csv", "GBP", (20, 21, 21), {}),
        ("sample-product-template.csv", "USD", (3, 16, 11), {COMPARE_AT: 3}),
        ("foa-mattress-63.csv", "USD", (63, 206, 633), {COMPARE_AT: 62}),
        ("garden-planters-3-options.csv", "USD", (70, 1842, 323), {COMPARE_AT: 1146, SKU: 761}),
        ("vietjewelers.csv", "VND", (1243, 1654, 1406), {SKU: 114, COMPARE_AT: 19, STOCK: 11}),
    ],
)
def test_an_export_is_taken_whole(
    name: str, currency: str, counts: tuple[int, int, int], notes: dict[str, int], tmp_path: Path
) -> None:
    tenant, report = factories.make_tenant(currency=currency), tmp_path / "report.json"

    def run() -> None:
        call_command("import_shopify", EXPORTS / name, tenant=tenant.slug, report=report, quiet=True, stdout=StringIO())

    with factories.at_work(tenant):
        run()
        events = len(making.event_names())
        run()

        stored = (models.Product.objects.count(), models.Variant.objects.count(), models.ProductImage.objects.count())
        assert stored == counts
        assert Counter(entry["column"] for entry in orjson.loads(report.read_bytes())) == notes
        assert len(making.event_names()) == events
