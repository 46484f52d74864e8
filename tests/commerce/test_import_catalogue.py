"""`import_catalogue`: what the maps of the manual make of small catalogues, previews, and maps that are refused."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.commerce import models, queries
from apps.commerce.snapshots import Snapshot
from apps.tenants import models as tenants
from tests.commerce import making

MANUAL = Path(__file__).parents[2] / "docs" / "how-to" / "import.md"
CATALOGUES = Path(os.environ.get("RUSTOK_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "catalogue"
MAPS = {name: text for text, name in re.findall(r"^```toml\n(# (\w+\.toml)\n.*?)^```", MANUAL.read_text(), re.S | re.M)}
FILES = {
    "sets.csv": (
        "set_num;name;year;theme;price;img_url\n"
        "001-1;Gears;1965;Technic;1.299,50;https://img.test/1.jpg\n"
        "002-1;Wheels;1966;Technic;9,90;img.test/2.jpg\n"
    ),
    "gadgets.csv": (
        "name,slug,description,assets,facets,optionGroups,optionValues,sku,price,stockOnHand\n"
        "Laptop ,laptop ,Fast ,a.jpg|b.jpg,category:Computers|brand:Acme,size|RAM,13 inch|8GB,L1 ,1299.00,3\n"
        " , , , , , ,15 inch|8GB,L2,1399.00,4\n"
        "Mouse,mouse,,,category:Computers,,,M1,9.00,5\n"
    ),
    "books.ndjson": (
        '{"isbn": "978-1", "title": {"en": "Atlas", "de": "Atlas DE"}, "state": "on", "subjects": ["maps", "big"],'
        ' "offer": {"price": 19.90}, "kilos": "1,5", "binding": "hard"}\n'
        "\n"
        '{"isbn": "978-1", "title": {"en": "Atlas"}, "offer": {"price": 9.90}, "binding": "soft"}\n'
        '{"isbn": "978-2", "title": {"en": "Novel"}, "state": "off", "offer": {"price": 5}, "binding": "soft"}\n'
    ),
}


class Importer:
    def __init__(self, tenant: tenants.Tenant, folder: Path) -> None:
        self.tenant, self.folder = tenant, folder
        self.output = ""

    def take(self, name: str, map: str | None = None, content: str | None = None, **options: Any) -> None:
        file, toml = self.folder / name, self.folder / "map.toml"
        file.write_text(content or FILES[name])
        toml.write_text(map or MAPS[f"{name.partition('.')[0]}.toml"])
        output = io.StringIO()
        try:
            call_command(
                "import_catalogue", file, map=toml, tenant=self.tenant.slug, stdout=output, stderr=output, **options
            )
        finally:
            self.output = output.getvalue()


@pytest.fixture
def importer(tenant: tenants.Tenant, at_work: object, tmp_path: Path) -> Importer:
    return Importer(tenant, tmp_path)


def stored(external_id: str) -> Snapshot:
    return queries.get_product(product_id=models.Product.objects.get(external_id=external_id).id)


def test_a_row_for_each_product(importer: Importer) -> None:
    importer.take("sets.csv")

    gears = stored("bricks:001-1")
    assert (gears.translations["en"].title, gears.product.vendor) == ("Gears", "Bricks & Co")
    assert gears.variants[0].prices["EUR"].amount == 129_950
    assert gears.product.metadata == {"bricks": {"year": "1965"}}
    assert gears.product.status == "published"
    assert stored("bricks:002-1").images[0].url == "https://img.test/2.jpg"
    assert models.Category.objects.count() == 1


def test_further_variants_in_rows_without_an_id(importer: Importer) -> None:
    importer.take("gadgets.csv")

    laptop = stored("gadgets:laptop")
    assert [option.names["en"] for option in laptop.options] == ["size", "RAM"]
    assert [(entry.row.sku, entry.prices["EUR"].amount) for entry in laptop.variants] == [
        ("L1", 129_900),
        ("L2", 139_900),
    ]
    assert [image.url for image in laptop.images] == ["https://img.example/a.jpg", "https://img.example/b.jpg"]
    assert laptop.product.tags == ["Acme"]
    assert len(stored("gadgets:mouse").variants) == 1


def test_objects_a_line_in_two_languages(importer: Importer) -> None:
    importer.take("books.ndjson")

    atlas = stored("books:978-1")
    assert {locale: row.title for locale, row in atlas.translations.items()} == {"en": "Atlas", "de": "Atlas DE"}
    assert [value.names["en"] for value in atlas.options[0].values] == ["hard", "soft"]
    assert [entry.prices["EUR"].amount for entry in atlas.variants] == [1990, 990]
    assert atlas.variants[0].row.weight_grams == 1500
    assert atlas.product.tags == ["maps", "big"]
    assert (atlas.product.status, stored("books:978-2").product.status) == ("published", "draft")


@pytest.mark.parametrize("name", FILES)
def test_again_changes_nothing(importer: Importer, name: str) -> None:
    importer.take(name)
    events = making.event_names()
    importer.take(name)

    assert making.event_names() == events


def test_a_preview_shows_what_becomes_of_the_columns_and_writes_nothing(importer: Importer) -> None:
    importer.take("sets.csv", preview=True)

    assert "bricks:001-1, rows 1 to 1" in importer.output
    assert "translations.0.title = Gears" in importer.output
    assert "variants.0.sku = 001-1" in importer.output
    assert not models.Product.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("title =", "titel ="), 'Did you mean "title"'),
        (('"set_num"', '"set_nun"'), 'no column "set_nun".*Did you mean "set_num"'),
        (('mark = ","', 'mark = ";"'), "mark"),
        (("[product]", "[product"), "is no TOML"),
    ],
)
def test_a_wrong_map_is_refused_with_the_nearest_right_word(
    importer: Importer, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        importer.take("sets.csv", map=MAPS["sets.toml"].replace(*change))

    assert not models.Product.objects.exists()


@pytest.mark.skipif(not CATALOGUES.exists(), reason=f"no catalogues at {CATALOGUES}; set RUSTOK_SHARED_DATA")
def test_a_real_catalogue_with_options_is_taken_whole(importer: Importer) -> None:
    content = (CATALOGUES / "vendure-products.csv").read_text()

    importer.take("gadgets.csv", content=content)

    assert models.Variant.objects.count() == 88
