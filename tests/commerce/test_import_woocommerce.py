"""`import_woocommerce`: products with their variations, in the languages WooCommerce writes, and what is named."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from apps.commerce import models, queries
from apps.commerce.snapshots import Snapshot
from apps.commerce.woocommerce import columns
from apps.imports.models import Run
from apps.tenants import models as tenants
from tests import factories
from tests.commerce import making

EXPORTS = Path(os.environ.get("RUSTOK_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "woo"


class Importer:
    """Writes files and imports them; `report` and `code` are those of the last run."""

    def __init__(self, tenant: tenants.Tenant, folder: Path) -> None:
        self.tenant, self.folder = tenant, folder
        self.report: list[dict[str, Any]] = []
        self.code = 0

    def take(self, *rows: dict[str, str], separator: str = ",", encoding: str = "utf-8") -> None:
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
        path = self.folder / "export.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        self.run(path)

    def run(self, path: Path) -> None:
        report, self.code = self.folder / "report.json", 0
        try:
            call_command(
                "import_woocommerce", path, tenant=self.tenant.slug, report=report, quiet=True, stdout=io.StringIO()
            )
        except SystemExit as end:
            self.code = int(str(end.code))
        finally:
            self.report = orjson.loads(report.read_bytes()) if report.exists() else []

    def problems(self) -> list[tuple[int, str]]:
        return [(entry["row"], entry["column"]) for entry in self.report]


@pytest.fixture
def importer(tenant: tenants.Tenant, at_work: object, tmp_path: Path) -> Importer:
    return Importer(tenant, tmp_path)


def row(sku: str = "cap", **fields: str) -> dict[str, str]:
    """A simple product; keys are column names with _ for a space."""
    first = {"ID": "1", "Type": "simple", "SKU": sku, "Name": sku.title(), "Published": "1", "Regular price": "20"}
    return first | {key.replace("_", " "): value for key, value in fields.items()}


def variation(parent: str, sku: str, **fields: str) -> dict[str, str]:
    return row(sku, Type="variation", Parent=parent, ID="", Name="", **fields)


def stored(sku: str = "cap") -> Snapshot:
    return queries.get_product(product_id=models.Product.objects.get(external_id=f"woocommerce:{sku}").id)


def attribute(number: int, name: str, values: str) -> dict[str, str]:
    return {f"Attribute {number} name": name, f"Attribute {number} value(s)": values}


def test_a_simple_product_is_taken_whole(importer: Importer) -> None:
    importer.take(
        row(
            Sale_price="15.5",
            Stock="7",
            Low_stock_amount="2",
            Description=r"<p>One</p>\n<p>Two</p>",
            Short_description="In <b>short</b>",
            Categories="Hats > Caps, Sale",
            Tags=r"summer, red\, blue",
            Images="https://img.test/1.jpg, https://img.test/2.jpg",
            **{"Weight (lbs)": "2", "Height (cm)": "9", "Backorders allowed?": "notify", "In stock?": "1"},
            **{"Meta: fit": "loose", "GTIN, UPC, EAN, or ISBN": "0123"},
        )
        | attribute(1, "Material", "Wool, Silk")
    )

    cap = stored()
    (variant,) = cap.variants
    english = cap.translations["en"]
    assert (english.title, english.handle, english.subtitle) == ("Cap", "cap", "In short")
    assert english.description == "<p>One</p>\n<p>Two</p>"
    assert (variant.prices["EUR"].amount, variant.prices["EUR"].compare_at) == (1550, 2000)
    assert [(level.stocked, level.low_stock_threshold) for level in variant.levels.values()] == [(7, 2)]
    assert (variant.row.weight_grams, variant.row.inventory_policy, variant.row.barcode) == (907, "continue", "0123")
    assert cap.product.tags == ["summer", "red, blue"]
    assert cap.product.status == "published"
    assert len(cap.category_ids) == 2
    assert [image.url for image in cap.images] == ["https://img.test/1.jpg", "https://img.test/2.jpg"]
    assert cap.product.metadata["woocommerce"] == {
        "id": "1",
        "attributes": {"Material": ["Wool", "Silk"]},
        "dimensions": {"height": "9 cm"},
        "meta": {"fit": "loose"},
    }
    assert importer.report == []


def test_variations_find_their_parent_wherever_they_stand(importer: Importer) -> None:
    size = attribute(1, "Size", "S, M, L")
    importer.take(
        variation("tee", "tee-m", **{"Attribute 1 name": "size", "Attribute 1 value(s)": "M"}),
        row("tee", Type="variable", Regular_price="", ID="7") | size,
        row("cap", ID="8"),
        variation("id:7", "tee-s", Sale_price="12", Images="https://img.test/s.jpg") | attribute(1, "Size", "S"),
        variation("nobody", "lost") | attribute(1, "Size", "S"),
    )

    tee = stored("tee")
    assert [option.names["en"] for option in tee.options] == ["Size"]
    assert [value.names["en"] for value in tee.options[0].values] == ["S", "M"]
    assert [entry.row.sku for entry in tee.variants] == ["tee-m", "tee-s"]
    assert tee.variants[1].prices["EUR"].compare_at == 2000
    assert tee.variants[1].row.image_id == tee.images[0].id
    assert importer.problems() == [(5, "Parent")]


def test_what_has_no_place_here_is_named(importer: Importer) -> None:
    importer.take(
        row("set", Type="grouped", Regular_price="", Grouped_products="cap, id:9"),
        row("link", Type="external", External_URL="https://else.test", Button_text="Buy there"),
        row("odd", Type="subscription"),
        row("bare", Type="variable", ID="44"),
        row("old", Sale_price="5", Date_sale_price_ends="2001-01-01"),
        row("soon", **{"Stock": "parent"}),
        row("off", Published="-1"),
    )

    assert importer.problems() == [
        *[(4, "Type"), (1, "Type"), (2, "Type"), (3, "Type"), (5, "Sale price"), (6, "Stock")],
    ]
    assert importer.code == 3
    assert stored("set").product.metadata["woocommerce"]["grouped"] == ["cap", "id:9"]
    assert stored("link").product.metadata["woocommerce"]["external_url"] == "https://else.test"
    assert [stored(sku).product.status for sku in ("set", "link", "odd", "off")] == [
        *("draft", "draft", "published", "draft"),
    ]
    assert stored("old").variants[0].prices["EUR"].amount == 2000


GERMAN = {
    "ID": "5", "Typ": "simple", "Artikelnummer": "muetze", "Name": "Mütze", "Veröffentlicht": "1", "Lager": "3",
    "Normaler Preis": "1.299,50", "Kategorien": "Hüte", "Gewicht (kg)": "0,25", "Attribut 1 Name": "Farbe",
    "Attribut 1 Wert(e)": "Rot", "Attribut 1 sichtbar": "1",
}  # fmt: skip
FRENCH = {
    "ID": "5", "Type": "simple", "UGS": "muetze", "Nom": "Mütze", "Publié": "1", "Stock": "3",
    "Tarif régulier": "1 299,50", "Catégories": "Hüte", "Poids (kg)": "0,25", "Nom de l’attribut 1": "Farbe",
    "Valeur(s) de l’attribut 1 ": "Rot", "Attribut 1 visible": "1",
}  # fmt: skip
RUSSIAN = {
    "ID": "5", "Тип": "simple", "Артикул": "muetze", "Имя": "Mütze", "Опубликован": "1", "Запасы": "3",
    "Базовая цена": "1299,50", "Категории": "Hüte", "Вес (kg)": "0,25", "Название атрибута 1": "Farbe",
    "Значения атрибутов 1": "Rot", "Видимость атрибута 1": "1",
}  # fmt: skip


@pytest.mark.parametrize("given", [GERMAN, FRENCH, RUSSIAN], ids=["de", "fr", "ru"])
@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-16")])
def test_headers_in_other_languages_are_understood(
    importer: Importer, given: dict[str, str], separator: str, encoding: str
) -> None:
    importer.take(given, separator=separator, encoding=encoding)

    cap = stored("muetze")
    assert cap.translations["en"].title == "Mütze"
    assert cap.variants[0].prices["EUR"].amount == 129_950
    assert cap.variants[0].row.weight_grams == 250
    assert [level.stocked for level in cap.variants[0].levels.values()] == [3]
    assert cap.product.metadata["woocommerce"]["attributes"] == {"Farbe": ["Rot"]}


def test_western_spreadsheets_are_understood_and_said_to_be_a_guess(importer: Importer) -> None:
    importer.take(GERMAN, separator=";", encoding="windows-1252")

    assert stored("muetze").translations["en"].title == "Mütze"
    assert Run.objects.get().found["is_guess"] is True


def test_no_name_leads_to_two_columns() -> None:
    spelled = [name for names in columns.NAMES.values() for name in {columns.spelled(name) for name in names}]

    assert sorted({name for name in spelled if spelled.count(name) > 1}) == []


def test_another_file_is_refused(importer: Importer) -> None:
    path = importer.folder / "other.csv"
    path.write_text("Handle,Title\na,b\n")

    with pytest.raises(CommandError, match="no columns Name and Type, SKU or ID"):
        importer.run(path)


# Products, variants and images; and how many notes the report has, by column.
TAKEN = [
    ("sample_products.csv", (15, 22, 26), {"Type": 2}),
    ("importer-unit-sample.csv", (5, 6, 10), {"Type": 2, "Sale price": 1}),
    ("teocns-shoes.csv", (167, 2338, 653), {}),
]


@pytest.mark.skipif(not EXPORTS.exists(), reason=f"no real exports at {EXPORTS}; set RUSTOK_SHARED_DATA")
@pytest.mark.parametrize(("name", "counts", "notes"), TAKEN, ids=[entry[0] for entry in TAKEN])
def test_an_export_is_taken_whole_once_and_taken_back(
    importer: Importer, name: str, counts: tuple[int, int, int], notes: dict[str, int]
) -> None:
    importer.run(EXPORTS / name)
    events, first = len(making.event_names()), Run.objects.get()
    importer.run(EXPORTS / name)

    assert (
        models.Product.objects.count(),
        models.Variant.objects.count(),
        models.ProductImage.objects.count(),
    ) == counts
    assert Counter(entry["column"] for entry in importer.report) == notes
    assert len(making.event_names()) == events
    call_command("imports", tenant=importer.tenant.slug, undo=str(first), quiet=True)
    assert not models.Product.objects.exists()
    assert not models.Category.objects.exists()


@pytest.mark.skipif(not EXPORTS.exists(), reason=f"no real exports at {EXPORTS}; set RUSTOK_SHARED_DATA")
def test_the_same_goods_come_the_same_from_both_shops(importer: Importer) -> None:
    """One catalogue in both formats: prices and titles agree wherever a product is in both."""
    importer.run(EXPORTS / "teocns-shoes.csv")
    from_woo = prices_by_title()
    other = factories.make_tenant(default_locale="en", currency="EUR")
    with factories.at_work(other):
        call_command("import_shopify", EXPORTS.parent / "shopify" / "teocns-shoes.csv", tenant=other.slug, quiet=True)
        from_shopify = prices_by_title()

    common = from_woo.keys() & from_shopify.keys()
    assert len(common) >= 160
    assert [title for title in common if from_woo[title] != from_shopify[title]] == []


def prices_by_title() -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    rows = models.Price.objects.values_list("variant__product__translations__title", "amount")
    for title, amount in rows:
        found.setdefault(title, set()).add(amount)
    return found
