"""Real shops' exports: all that is in them is taken or named, a second time changes nothing, and undone it is gone."""

from __future__ import annotations

import os
from collections import Counter
from io import StringIO
from pathlib import Path

import orjson
import pytest
from django.core.management import CommandError, call_command

from apps.commerce import models
from apps.imports.models import Run
from tests import factories
from tests.commerce import making

EXPORTS = Path(os.environ.get("RUSTOK_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "shopify"
pytestmark = [
    pytest.mark.skipif(not EXPORTS.exists(), reason=f"no real exports at {EXPORTS}; set RUSTOK_SHARED_DATA"),
    pytest.mark.usefixtures("db"),
]

COMPARE_AT, SKU, STOCK = "Variant Compare At Price", "Variant SKU", "Variant Inventory Qty"
# Products, variants and images, as the files hold them; and what the report names, by column. Where counts differ from
# a plain count of the file, the report has the reason.
TAKEN = [
    ("cutiepoppers.csv", "SEK", (37, 722, 72), {STOCK: 33, SKU: 2}),
    ("eticaret-unlisted.csv", "TRY", (16, 16, 94), {"Status": 1}),
    ("foa-bedroom-898.csv", "USD", (898, 1161, 3959), {COMPARE_AT: 489, "Variant Image": 1}),
    ("foa-mattress-63.csv", "USD", (63, 206, 633), {COMPARE_AT: 62}),
    ("garden-planters-3-options.csv", "USD", (70, 1842, 323), {COMPARE_AT: 1146, SKU: 761}),
    ("header-aliases.csv", "USD", (1, 1, 1), {}),
    ("henrychris-electronics.csv.gz", "GBP", (2080, 4481, 3701), {COMPARE_AT: 23}),
    ("messy-1-classic-tee.csv", "USD", (1, 3, 1), {"Handle": 4, "Option1 Value": 1, "Image Src": 1}),
    ("packt-product-data.csv", "GBP", (20, 21, 21), {}),
    ("partners-apparel.csv", "CAD", (20, 22, 20), {}),
    ("partners-home-and-garden.csv", "CAD", (20, 21, 21), {}),
    ("partners-jewelery.csv", "CAD", (20, 23, 41), {}),
    # Its last three rows are shifted by a column.
    (
        "product-template-2025-new-headers.csv",
        "USD",
        (2, 12, 1),
        {
            **{"URL handle": 3, "Compare-at price": 3, "Product image URL": 3, "Continue selling when out of stock": 3},
            **{
                "Gift card": 1,
                "Inventory quantity": 1,
                "Requires shipping": 1,
                "Variant image URL": 1,
                "Weight value (grams)": 3,
            },
        },
    ),
    ("sample-product-template.csv", "USD", (3, 16, 11), {COMPARE_AT: 3}),
    ("space-padded-headers.csv", "USD", (24, 24, 24), {}),
    ("stoneflame-pt.csv", "EUR", (28, 28, 101), {}),
    ("stress-5500-rows.csv", "USD", (1100, 4400, 1106), {STOCK: 7, "Image Src": 6}),
    ("teocns-shoes.csv", "USD", (168, 2520, 658), {}),
    ("text-connects-template.csv", "USD", (2, 4, 2), {}),
    ("vietjewelers.csv", "VND", (1243, 1654, 1406), {SKU: 114, COMPARE_AT: 19, STOCK: 11}),
]
REFUSED = {
    "foa-broken-quotes.csv": 'broken quoting.*Product "jambi-sofa-and-loveseat-upholstery-set" skipped',
    "prijsgarantie-partial-update.csv": 'Row 1, Handle "a1554244": the file has no prices: it can update products',
}


def test_every_export_is_spoken_of() -> None:
    assert {path.name for path in EXPORTS.iterdir()} == {entry[0] for entry in TAKEN} | REFUSED.keys()


@pytest.mark.parametrize(("name", "currency", "counts", "notes"), TAKEN, ids=[entry[0] for entry in TAKEN])
def test_an_export_is_taken_whole_once_and_taken_back(
    name: str, currency: str, counts: tuple[int, int, int], notes: dict[str, int], tmp_path: Path
) -> None:
    tenant, report = factories.make_tenant(currency=currency), tmp_path / "report.json"

    def run(**options: str) -> None:
        options = options or {"report": str(report)}
        file = [] if "undo" in options else [EXPORTS / name]
        shown = {"report": report} if "report" in options else options
        call_command("import_shopify", *file, tenant=tenant.slug, quiet=True, stdout=StringIO(), **shown)

    with factories.at_work(tenant):
        run()
        events = len(making.event_names())
        first = Run.objects.get()
        run()

        stored = (models.Product.objects.count(), models.Variant.objects.count(), models.ProductImage.objects.count())
        assert stored == counts
        assert Counter(entry["column"] for entry in orjson.loads(report.read_bytes())) == notes
        assert len(making.event_names()) == events
        assert first.touched == models.Product.objects.count() + models.Category.objects.count()

        run(undo=str(first))

        assert [model.objects.count() for model in (models.Product, models.Category, models.InventoryLevel)] == [0] * 3


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_imported_says_why(name: str) -> None:
    tenant = factories.make_tenant()

    with factories.at_work(tenant), pytest.raises(CommandError, match=REFUSED[name]):
        call_command("import_shopify", EXPORTS / name, tenant=tenant.slug, quiet=True, stdout=StringIO())
