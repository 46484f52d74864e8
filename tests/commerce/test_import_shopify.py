"""`import_shopify`: what is taken from a file, what is named and left out, and that a second time changes nothing."""

from __future__ import annotations

import csv
import gzip
import io
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from apps.commerce import models, queries, services
from apps.commerce.snapshots import Snapshot
from apps.kernel import imports, records
from apps.tenants import models as tenants
from tests import factories
from tests.commerce import making

DATA = Path(__file__).parent / "data"

HEADER = (
    "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,"
    "Option2 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,"
    "Variant Price,Variant Compare At Price,Variant Requires Shipping,Variant Barcode,Image Src,Image Position,"
    "Image Alt Text,Gift Card,SEO Title,SEO Description,Variant Image,Cost per item,Status,"
    "Fabric (product.metafields.custom.fabric),Price / International"
)


class Importer:
    """Writes files and imports them; `report` and `code` are those of the last run."""

    def __init__(self, tenant: tenants.Tenant, folder: Path) -> None:
        self.tenant, self.folder = tenant, folder
        self.report: list[dict[str, Any]] = []
        self.code = 0
        self.output = ""

    def write(self, *rows: dict[str, str], header: str = HEADER, encoding: str = "utf-8") -> Path:
        names = header.split(",")
        text = io.StringIO()
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(rows)
        path = self.folder / "export.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        return path

    def run(self, path: Path, **options: Any) -> None:
        report = self.folder / "report.json"
        output = io.StringIO()
        self.code = 0
        try:
            call_command(
                "import_shopify", path, tenant=self.tenant.slug, report=report, stdout=output, stderr=output, **options
            )
        except SystemExit as end:
            self.code = int(str(end.code))
        finally:
            self.output = output.getvalue()
            self.report = orjson.loads(report.read_bytes()) if report.exists() else []

    def take(self, *rows: dict[str, str], **options: Any) -> None:
        self.run(self.write(*rows), **options)

    def problems(self) -> list[tuple[int, str, str]]:
        return [(entry["row"], entry["column"], entry["value"]) for entry in self.report]


@pytest.fixture
def importer(tenant: tenants.Tenant, at_work: object, tmp_path: Path) -> Importer:
    return Importer(tenant, tmp_path)


def row(handle: str = "red-shoes", **fields: str) -> dict[str, str]:
    """A product's first row; keys are column names with _ for a space."""
    given = {key.replace("_", " "): value for key, value in fields.items()}
    first = {"Handle": handle, "Title": handle.title(), "Variant Price": "19.90", "Option1 Name": "Title"}
    return first | {"Option1 Value": "Default Title", "Published": "true"} | given


def more(handle: str = "red-shoes", **fields: str) -> dict[str, str]:
    """A further row of a product."""
    return {"Handle": handle} | {key.replace("_", " "): value for key, value in fields.items()}


def stored(handle: str = "red-shoes") -> Snapshot:
    return queries.get_product(product_id=models.Product.objects.get(external_id=f"shopify:{handle}").id)


def test_a_small_shop_is_taken_whole(importer: Importer) -> None:
    importer.run(DATA / "small-shop.csv", quiet=True)

    lamp, mug, card = stored("desk-lamp"), stored("mug"), stored("gift-card")
    assert importer.code == 0
    assert importer.problems() == [(4, "Variant Compare At Price", "8.00"), (5, "Variant Inventory Qty", "-2")]
    english = lamp.translations["en"]
    assert (english.title, english.handle, english.meta_title) == ("Desk Lamp", "desk-lamp", "Buy the lamp")
    assert english.description == "<p>Bright,\nand “warm”.</p>"
    assert (lamp.product.status, lamp.product.vendor, lamp.product.tags) == ("published", "Lumen", ["light", "desk"])
    assert lamp.product.metadata == {"shopify": {"metafields": {"custom.fabric": "steel"}}}
    assert lamp.options == []
    assert [image.alt for image in lamp.images] == ["on", "off"]
    variant = lamp.variants[0]
    assert (variant.row.sku, variant.row.barcode, variant.row.weight_grams) == ("LAMP-1", "0123", 1200)
    assert (variant.prices["EUR"].amount, variant.prices["EUR"].compare_at) == (4990, 5990)
    assert [level.stocked for level in variant.levels.values()] == [12]
    assert variant.row.metadata == {"shopify": {"markets": {"Price / International": "55"}}}
    path = [queries.get_category(category_id=category_id) for category_id in lamp.category_ids]
    assert [(entry.depth, entry.translations.get().name) for entry in path] == [(2, "Lamps")]
    assert [option.names["en"] for option in mug.options] == ["Colour", "Size"]
    assert [[value.names["en"] for value in option.values] for option in mug.options] == [["Red", "Blue"], ["S", "L"]]
    assert [entry.row.inventory_policy for entry in mug.variants] == ["deny", "continue", "deny"]
    assert mug.variants[1].row.image_id == mug.images[0].id
    assert mug.product.status == "draft"
    assert (card.product.is_gift_card, card.product.status) == (True, "archived")
    assert not card.variants[0].row.manage_inventory
    assert card.variants[0].levels == {}


def test_importing_again_changes_nothing_and_appends_no_event(importer: Importer) -> None:
    importer.run(DATA / "small-shop.csv", quiet=True)
    events, first_report = making.events(commerce_only=False), importer.report

    importer.run(DATA / "small-shop.csv")

    assert making.events(commerce_only=False) == events
    assert importer.report == first_report
    assert "products: 0 created, 0 updated, 3 unchanged, 0 skipped" in importer.output
    assert "variants: 0 created, 0 updated, 5 unchanged, 0 skipped" in importer.output
    assert "Cost per item" in importer.output


def test_a_changed_file_changes_what_differs_only(importer: Importer) -> None:
    sizes = {"Option1 Name": "Size", "Option1 Value": "S", "Variant Inventory Tracker": "shopify"}
    first = row() | sizes | {"Variant Inventory Qty": "5", "Image Src": "https://img.test/1.jpg", "Variant SKU": "S-1"}
    importer.take(first, more(Option1_Value="M", Variant_Price="20", Variant_SKU="M-1"), row("other"))
    product = stored()
    small, medium = product.variants

    importer.take(
        first | {"Title": "Better Shoes", "Variant Price": "17.50", "Variant Inventory Qty": "9"},
        more(Option1_Value="Medium", Variant_Price="20", Variant_SKU="M-1"),
        more(Option1_Value="L", Variant_Price="21"),
        row("other"),
    )

    changed = stored()
    assert making.event_names(product.id)[2:] == [
        "product.updated",
        "price.updated",
        "inventory.updated",
        "variant.updated",
        "variant.created",
        "product.updated",
    ]
    assert making.event_names(stored("other").id) == ["product.created", "product.published"]
    assert [variant.row.id for variant in changed.variants[:2]] == [small.row.id, medium.row.id]
    assert [value.names["en"] for value in changed.options[0].values] == ["S", "Medium", "L"]
    assert [variant.prices["EUR"].amount for variant in changed.variants] == [1750, 2000, 2100]
    assert changed.translations["en"].title == "Better Shoes"
    assert [image.id for image in changed.images] == [image.id for image in product.images]


def test_variants_that_left_the_file_go(importer: Importer) -> None:
    sizes = row() | {"Option1 Name": "Size", "Option1 Value": "S"}
    importer.take(sizes, more(Option1_Value="M", Variant_Price="20"))

    importer.take(sizes)

    product = stored()
    assert making.event_names(product.id)[2:] == ["product.updated", "variant.deleted", "product.updated"] or (
        making.event_names(product.id)[2:] == ["variant.deleted", "product.updated"]
    )
    assert [value.names["en"] for value in product.options[0].values] == ["S"]


def test_skus_may_change_places_within_a_product(importer: Importer) -> None:
    first = row() | {"Option1 Name": "Size", "Option1 Value": "S"}
    importer.take(first | {"Variant SKU": "A"}, more(Option1_Value="M", Variant_Price="20", Variant_SKU="B"))

    importer.take(first | {"Variant SKU": "B"}, more(Option1_Value="M", Variant_Price="20", Variant_SKU="A"))

    assert [variant.row.sku for variant in stored().variants] == ["B", "A"]
    assert making.event_names(stored().id).count("variant.updated") == 2


def sizes(name: str, *values: str, skus: tuple[str, ...] = (), **fields: str) -> list[dict[str, str]]:
    """The rows of one product with one option and 5 pieces in stock of each."""
    stock = {"Variant Inventory Tracker": "shopify", "Variant Inventory Qty": "5"}
    rows = [row() | {"Option1 Name": name}, *(more(Variant_Price="20") for _ in values[1:])]
    names = zip(values, skus or [""] * len(values), strict=True)
    return [
        entry | stock | {"Option1 Value": value, "Variant SKU": sku} | fields
        for entry, (value, sku) in zip(rows, names, strict=True)
    ]


def coloured(rows: list[dict[str, str]], *colours: str) -> list[dict[str, str]]:
    """The rows with a second option."""
    pairs = zip(rows, colours, strict=True)
    return [entry | {"Option2 Name": "Colour", "Option2 Value": colour} for entry, colour in pairs]


def names_of(option: Any) -> list[dict[str, str]]:
    return [option.names, *(value.names for value in option.values)]


def test_another_locale_leaves_variants_stock_promises_and_prices_alone(importer: Importer) -> None:
    importer.take(*sizes("Size", "Small", "Large"))
    small, large = stored().variants
    making.adjust(small.row.id, -2)
    making.reserve(small.row.id, 1)
    making.set_prices(large.row.id, {"currency": "USD", "amount": "25"})
    without_stock = {"Variant Inventory Qty": ""}

    importer.take(*sizes("Größe", "Klein", "Groß", **without_stock), locale="de")

    product = stored()
    assert "variants: 0 created, 0 updated, 2 unchanged, 0 skipped" in importer.output
    assert (importer.code, importer.report) == (0, [])
    assert [variant.row.id for variant in product.variants] == [small.row.id, large.row.id]
    assert [(level.stocked, level.reserved) for level in product.variants[0].levels.values()] == [(3, 1)]
    assert sorted(product.variants[1].prices) == ["EUR", "USD"]
    assert names_of(product.options[0]) == [
        {"en": "Size", "de": "Größe"},
        {"en": "Small", "de": "Klein"},
        {"en": "Large", "de": "Groß"},
    ]
    assert not {"variant.created", "variant.deleted"} & set(making.event_names(product.id)[2:])


def test_locales_may_take_turns_and_change_nothing_more(importer: Importer) -> None:
    english, german = sizes("Size", "Small", "Large"), sizes("Größe", "Klein", "Groß")
    importer.take(*english)
    importer.take(*german, locale="de")
    events = making.events(commerce_only=False)

    importer.take(*english)
    importer.take(*german, locale="de")

    assert making.events(commerce_only=False) == events


def test_skus_tell_which_value_is_which_before_places_do(importer: Importer) -> None:
    importer.take(*sizes("Size", "Small", "Large", skus=("A", "B")))
    small, large = stored().variants

    importer.take(*sizes("Größe", "Groß", "Klein", skus=("B", "A")), locale="de")

    product = stored()
    assert {variant.row.id for variant in product.variants} == {small.row.id, large.row.id}
    assert {value.names["en"]: value.names["de"] for value in product.options[0].values} == {
        "Small": "Klein",
        "Large": "Groß",
    }
    assert {variant.row.id: variant.row.sku for variant in product.variants} == {small.row.id: "A", large.row.id: "B"}


def test_the_same_text_is_the_same_value_in_every_locale(importer: Importer) -> None:
    importer.take(*sizes("Size", "38", "40", "42"))
    ids = {variant.row.id for variant in stored().variants}

    importer.take(*sizes("Größe", "42", "38", "40"), locale="de")

    assert {variant.row.id for variant in stored().variants} == ids
    assert all(value.names["en"] == value.names["de"] for value in stored().options[0].values)


def test_a_locale_that_never_told_of_a_variant_does_not_remove_it(importer: Importer) -> None:
    importer.take(*sizes("Size", "38", "40", "42"))
    ids = {variant.row.id for variant in stored().variants}

    importer.take(*sizes("Größe", "38", "40"), locale="de")
    importer.take(*sizes("Größe", "38"), locale="de")  # 40 has left this one's file, 42 was never in it

    product = stored()
    assert {variant.row.id for variant in product.variants} < ids
    assert [value.names for value in product.options[0].values] == [{"en": "38", "de": "38"}, {"en": "42"}]
    assert "variants: 0 created, 0 updated, 1 unchanged, 0 skipped, 1 removed" in importer.output


@pytest.mark.parametrize(
    ("german", "message"),
    [
        (sizes("Größe", "Klein"), '"Klein" could be any of "Small", "Large"'),
        (sizes("Größe", "Klein", "Mittel", "Groß"), '"Klein", "Mittel", "Groß" could be any of "Small", "Large"'),
        ([row()], 'the product has the options "Size" and here are none'),
    ],
)
def test_what_could_be_either_is_named_and_left_alone(
    importer: Importer, german: list[dict[str, str]], message: str
) -> None:
    importer.take(*sizes("Size", "Small", "Large"))
    importer.take(row("other"), locale="de")
    events = making.events(commerce_only=False)

    importer.take(*german, row("other"), locale="de")

    assert importer.code == 3
    assert making.events(commerce_only=False) == events
    assert [entry["column"] for entry in importer.report] == ["Option1 Value"]
    assert message in importer.report[0]["problem"]
    assert "nothing tells which is which: " in importer.report[0]["problem"]


def test_a_variant_with_another_sku_is_not_taken_for_the_one_in_its_place(importer: Importer) -> None:
    importer.take(*sizes("Size", "Small", "Large", skus=("A", "B")))
    events = making.events(commerce_only=False)

    importer.take(*sizes("Größe", "Klein", "Riesig", skus=("A", "C")), row("other"), locale="de")

    assert '"Riesig" would be "Large", but the SKUs of their variants differ' in importer.report[0]["problem"]
    assert making.events(commerce_only=False)[: len(events)] == events
    assert making.event_names(stored().id) == ["product.created", "product.published"]


def test_skus_added_since_do_not_stand_in_the_way(importer: Importer) -> None:
    importer.take(*sizes("Size", "Small", "Large"))
    ids = [variant.row.id for variant in stored().variants]

    importer.take(*sizes("Größe", "Klein", "Groß", skus=("A", "B")), locale="de")

    assert [(variant.row.id, variant.row.sku) for variant in stored().variants] == list(zip(ids, "AB", strict=True))


def test_skus_that_contradict_each_other_are_named(importer: Importer) -> None:
    importer.take(*coloured(sizes("Size", "Small", "Large", skus=("A", "B")), "Red", "Blue"))

    two_of_one_size = sizes("Größe", "Klein", "Klein", skus=("A", "B"))
    importer.take(*coloured(two_of_one_size, "Rot", "Blau"), row("other"), locale="de")

    assert importer.code == 3
    assert 'by the SKUs of its variants "Klein" is several values' in importer.report[0]["problem"]


def test_what_the_file_does_not_speak_of_stays(importer: Importer) -> None:
    importer.take(row() | {"Tags": "a"})
    product = stored()
    making.update(
        product.id,
        translations=[{"locale": "en", "title": "Red-Shoes"}, {"locale": "de", "title": "Rote Schuhe"}],
        metadata={"ours": 1},
    )
    making.set_prices(product.variants[0].row.id, {"currency": "USD", "amount": "25"})
    events = making.events()

    importer.run(importer.write(row(), header=HEADER.replace("Tags,", "")))

    assert making.events() == events
    assert sorted(stored().translations) == ["de", "en"]
    assert (stored().product.tags, stored().product.metadata) == (["a"], {"ours": 1})


def test_a_file_without_prices_updates_but_does_not_create(importer: Importer) -> None:
    importer.take(row() | {"Variant SKU": "R-1", "Variant Inventory Tracker": "shopify", "Variant Inventory Qty": "3"})
    header = "Handle,Title,Vendor,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty"

    partial = {"Handle": "red-shoes", "Title": "Red-Shoes", "Vendor": "Acme", "Variant SKU": "R-1"}
    tracked = {"Variant Inventory Tracker": "shopify", "Variant Inventory Qty": "8"}
    importer.run(importer.write(partial | tracked, {"Handle": "new", "Title": "New"}, header=header))

    product = stored()
    assert importer.code == 3
    assert importer.problems() == [(2, "Handle", "new")]
    assert (product.product.vendor, product.product.status) == ("Acme", "published")
    assert product.variants[0].prices["EUR"].amount == 1990
    assert [level.stocked for level in product.variants[0].levels.values()] == [8]


@pytest.mark.parametrize(
    ("status", "published", "expected"),
    [
        ("active", "true", "published"),
        ("", "TRUE", "published"),
        ("", "", "published"),
        ("Active", "false", "draft"),
        ("draft", "true", "draft"),
        ("unpublished", "true", "draft"),
        ("archived", "false", "archived"),
        ("unlisted", "true", "draft"),
    ],
)
def test_status_and_published_decide_together(importer: Importer, status: str, published: str, expected: str) -> None:
    importer.take(row() | {"Status": status, "Published": published})

    assert stored().product.status == expected
    assert importer.problems() == ([(1, "Status", "unlisted")] if status == "unlisted" else [])


def test_a_sku_that_is_taken_is_left_out_every_time(importer: Importer) -> None:
    making.make_product(making.product_fields(variants=[{"sku": "OURS"}]))
    rows = [
        row("a", Variant_SKU="'TWICE"),
        row("b", Variant_SKU="TWICE"),
        row("c", Variant_SKU="OURS"),
        row("d", Option1_Name="Size", Option1_Value="S", Variant_SKU="SAME"),
        more("d", Option1_Value="M", Variant_Price="1", Variant_SKU="SAME"),
    ]

    importer.take(*rows, batch_size=2)
    first, events = importer.problems(), making.events()
    importer.take(*rows, batch_size=1)

    assert (
        first
        == importer.problems()
        == [
            (2, "Variant SKU", "TWICE"),
            (3, "Variant SKU", "OURS"),
            (5, "Variant SKU", "SAME"),
        ]
    )
    assert making.events() == events
    assert [stored(handle).variants[0].row.sku for handle in "abcd"] == ["TWICE", None, None, "SAME"]
    assert importer.code == 0


@pytest.mark.parametrize(
    ("fields", "column"),
    [
        ({"Variant Price": ""}, "Variant Price"),
        ({"Variant Price": "19.999"}, "Variant Price"),
        ({"Variant Price": "19 apples"}, "Variant Price"),
        ({"Variant Price": "-1"}, "Variant Price"),
        ({"Title": ""}, "Title"),
        ({"Title": "x" * 300}, "Title"),
        ({"SEO Description": "x" * 2000}, "SEO Description"),
        ({"Product Category": " > ".join("abcdefghijklmnopqrstuvwxyz")}, "Handle"),
        ({"Option1 Value": "", "Option2 Name": "Size", "Option2 Value": "M"}, "Option1 Value"),
    ],
)
def test_a_product_that_can_not_be_taken_is_skipped_whole(
    importer: Importer, fields: dict[str, str], column: str
) -> None:
    bad = row("bad", Option1_Name="Colour", Option1_Value="Red") | fields

    importer.take(row(), bad, more("bad", Option1_Value="Green", Variant_Price="2"), row("last"))

    assert importer.code == 3
    assert [(entry["row"], entry["column"]) for entry in importer.report] == [(2, column)]
    assert set(models.Product.objects.values_list("external_id", flat=True)) == {"shopify:red-shoes", "shopify:last"}
    assert models.Variant.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "column"),
    [
        ({"Variant Compare At Price": "10"}, "Variant Compare At Price"),
        ({"Variant Inventory Tracker": "shopify", "Variant Inventory Qty": "-5"}, "Variant Inventory Qty"),
        ({"Variant Inventory Tracker": "shopify", "Variant Inventory Qty": "1.5"}, "Variant Inventory Qty"),
        ({"Variant Grams": "heavy"}, "Variant Grams"),
        ({"Variant Inventory Policy": "perhaps"}, "Variant Inventory Policy"),
        ({"Image Src": "img.test/1.jpg"}, "Image Src"),
        ({"Variant Image": "ftp://img.test/only-here.jpg"}, "Variant Image"),
        ({"Variant Image": "https://img.test/only-here.jpg"}, "Variant Image"),
        ({"Gift Card": "maybe"}, "Gift Card"),
    ],
)
def test_a_detail_that_can_not_be_taken_is_named(importer: Importer, fields: dict[str, str], column: str) -> None:
    importer.take(row() | fields)

    assert importer.code == 0
    assert importer.problems() == [(1, column, fields[column])]
    assert stored().product.status == "published"


def test_rows_that_fit_nowhere_are_named(importer: Importer) -> None:
    importer.take(
        row("a", Option1_Name="Size", Option1_Value="S"),
        more("a", Option1_Value="S", Variant_Price="3"),
        more("a"),
        more("", Variant_Price="3"),
        row("b"),
        more("a", Image_Src="https://img.test/late.jpg"),
    )

    assert importer.problems() == [
        (4, "Handle", ""),
        (6, "Handle", "a"),
        (3, "Handle", "a"),
        (2, "Option1 Value", "S"),
    ]
    assert importer.code == 3
    assert stored("a").images == []


def test_a_handle_outside_our_letters_is_kept_beside_a_slug(importer: Importer) -> None:
    importer.take(row("nhan-1"), row("nhẫn-1"), row("Foo--Bar_"))

    assert stored("nhẫn-1").translations["en"].handle == "nhan-1-2"
    assert stored("nhẫn-1").product.metadata == {"shopify": {"handle": "nhẫn-1"}}
    assert stored("Foo--Bar_").translations["en"].handle == "foo-bar"
    events = making.events()
    importer.take(row("nhan-1"), row("nhẫn-1"), row("Foo--Bar_"))
    assert making.events() == events


def test_images_follow_their_positions(importer: Importer) -> None:
    importer.take(
        row(Image_Src="https://img.test/2.jpg", Image_Position="2"),
        more(Image_Src="https://img.test/9.jpg"),
        more(Image_Src="//img.test/1.jpg", Image_Position="1", Image_Alt_Text="front"),
        more(Image_Src="https://img.test/2.jpg", Image_Position="3"),
    )

    assert [image.url.rpartition("/")[2] for image in stored().images] == ["1.jpg", "2.jpg", "2.jpg", "9.jpg"]


def test_broken_quoting_is_refused_by_name_and_leaves_no_junk(importer: Importer) -> None:
    path = importer.folder / "broken.csv"
    lines = [
        "Handle,Title,Body (HTML),Variant Price",
        "good,Good,fine,1.00",
        'broken,Broken,"<p>mail "us"',
        "junk, from the body, with commas",
        'more "junk"',
        '</p>",2.00',
        "broken,,,",
        "after,After,fine,3.00",
        'open,Open,"never closed,4.00',
        "not-swallowed,x,y,5.00",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")

    importer.run(path)

    assert importer.code == 3
    assert [(entry["row"], entry["column"]) for entry in importer.report] == [(2, "Body (HTML)"), (8, "Body (HTML)")]
    assert '"broken"' in importer.report[0]["problem"]
    assert "line 3" in importer.report[0]["problem"]
    assert '"open"' in importer.report[1]["problem"]
    assert set(models.Product.objects.values_list("external_id", flat=True)) == {
        "shopify:good",
        "shopify:after",
        "shopify:not-swallowed",
    }


def test_short_rows_are_filled_and_long_ones_refused(importer: Importer) -> None:
    path = importer.folder / "ragged.csv"
    text = "Handle,Title,Variant Price,Vendor\nshort,Short,1\nlong,Long,2,Acme,extra\nwide,Wide,3,Acme,,\n"
    path.write_text(text, encoding="utf-8")

    importer.run(path)

    assert [(entry["row"], entry["value"]) for entry in importer.report] == [(1, "short"), (2, "extra")]
    assert importer.code == 3
    assert set(models.Product.objects.values_list("external_id", flat=True)) == {"shopify:short", "shopify:wide"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"Name,Price\nx,1\n", "no column Handle or URL handle and no column Title"),
        (b"Handle,Title,Variant Price\na,caf\x81,1\n", "byte 32 is 0x81.*name its encoding with --encoding"),
        ("Handle,Title,Variant Price\na,Мягкий плюшевый медведь,1\n".encode("cp1251"), "byte 29 is 0xcc"),
        (b"\xff\xfeH\x00a", "can't be read as utf-16"),
        (b"\x1f\x8b\x08\x00broken", "damaged"),
        (b'"Handle"x,Title\n', "no readable header"),
    ],
)
def test_a_wrong_file_is_refused(importer: Importer, content: bytes, message: str) -> None:
    path = importer.folder / "wrong.csv"
    path.write_bytes(content)

    with pytest.raises(CommandError, match=message):
        importer.run(path)

    assert not models.Product.objects.exists()


def test_wrong_encoding_late_in_the_file_writes_nothing(importer: Importer) -> None:
    path = importer.write(*(row(f"p-{number}") for number in range(9)))
    path.write_bytes(path.read_bytes() + b"caf\x81,x\n")

    with pytest.raises(CommandError, match="not UTF-8"):
        importer.run(path, batch_size=2)

    assert not models.Product.objects.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tenant": "nobody-there"}, 'no tenant "nobody-there"'),
        (
            {"locale": "xx-YY-zz"},
            r'^--locale: "xx-YY-zz" is no locale; one looks like "en" or .*: (\w\w, )*en(, \w\w)*\.$',
        ),
        ({"locale": "fr"}, '^--locale: "fr" is not enabled.*enabled: .*manage.py enable_locale tenant-[0-9a-f]+ fr$'),
        ({"currency": "EUX"}, '^--currency "EUX": not an ISO 4217'),
        ({"encoding": "bz2"}, '^--encoding "bz2": this is no encoding of text; name one such as utf-8'),
        ({"location": "mars"}, 'no stock location "mars"'),
        ({"location": "No Slug"}, "slug"),
        ({"batch_size": 0}, "1 to 1000"),
        ({"report": Path("/nowhere/report.csv")}, "can't be written"),
        ({"report": Path("report.txt")}, ".csv or .json"),
    ],
)
def test_wrong_options_are_refused(importer: Importer, options: dict[str, Any], message: str) -> None:
    path = importer.write(row())

    with pytest.raises(CommandError, match=message):
        call_command("import_shopify", path, **({"tenant": importer.tenant.slug} | options))

    assert not models.Product.objects.exists()


@pytest.mark.parametrize("below", ["", "\n,,\n , ,\n"])
def test_a_file_with_a_header_row_only_says_so(importer: Importer, below: str) -> None:
    path = importer.folder / "only_header.csv"
    path.write_text("Handle,Title,Variant Price\n" + below, encoding="utf-8")

    with pytest.raises(CommandError, match=r"only_header\.csv\. It has a header row, and no product below it\.$"):
        importer.run(path)


def test_ctrl_c_tells_how_far_it_came_and_the_next_run_goes_on(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = importer.write(*(row(f"p-{number}") for number in range(7)))
    sync, sizes = services.sync_products, list[int]()

    def interrupt_the_third(**options: Any) -> Any:
        sizes.append(len(options["wanted"]))
        outcome = sync(**options)
        if len(sizes) == 3:
            signal.raise_signal(signal.SIGINT)
        return outcome

    monkeypatch.setattr(services, "sync_products", interrupt_the_third)
    with pytest.raises(CommandError) as interrupted:
        importer.run(path, batch_size=2)
    monkeypatch.undo()
    written = models.Product.objects.count()
    importer.run(path, batch_size=2)

    assert interrupted.value.returncode == 130
    assert "written so far: products: 4 created, 0 updated, " in str(interrupted.value)
    assert str(interrupted.value).endswith(". Run it again to go on.")
    assert written == 4
    assert "products: 3 created, 0 updated, 4 unchanged, 0 skipped" in importer.output


def test_ctrl_c_in_a_dry_run_says_that_nothing_was_written(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "sync_products", lambda **_: signal.raise_signal(signal.SIGINT))

    with pytest.raises(CommandError, match=r"^interrupted; nothing was written, as it was"):
        importer.take(row(), dry_run=True)


def test_a_missing_file_is_named(importer: Importer) -> None:
    with pytest.raises(CommandError, match="can't be read"):
        importer.run(importer.folder / "missing.csv")


def test_a_dry_run_finds_the_problems_and_writes_nothing(importer: Importer) -> None:
    rows = [
        row("a", Variant_SKU="X", Product_Category="A > B"),
        row("b", Variant_SKU="X", Variant_Price=""),
        row("c", Variant_SKU="X", Product_Category="A > B"),
    ]
    events = making.events(commerce_only=False)

    importer.take(*rows, dry_run=True, batch_size=1)
    found = importer.report

    assert "nothing was written" in importer.output
    assert "products: 2 created, 0 updated, 0 unchanged, 1 skipped" in importer.output
    assert making.events(commerce_only=False) == events
    assert not models.Category.objects.exists()
    importer.take(*rows, batch_size=1)
    assert importer.report == found


def test_one_product_that_fails_leaves_the_others_of_its_batch(importer: Importer) -> None:
    sized = {"Variant Inventory Tracker": "shopify", "Variant Inventory Qty": "5"}
    importer.take(row("a") | sized, row("b") | sized)
    making.reserve(stored("a").variants[0].row.id, 4)

    importer.take(row("a", Title="A!") | sized | {"Variant Inventory Qty": "1"}, row("b", Title="B!") | sized, row("c"))

    assert importer.code == 3
    assert [(entry["row"], entry["column"]) for entry in importer.report] == [(1, "Handle")]
    assert [stored(handle).translations["en"].title for handle in "abc"] == ["A", "B!", "C"]


def test_a_taken_handle_is_named(importer: Importer) -> None:
    making.make_product(making.product_fields("Red Shoes"))

    importer.take(row(), row("other"))

    assert importer.code == 3
    assert importer.problems() == [(1, "Handle", "red-shoes")]


def test_gzip_a_byte_order_mark_and_other_options_are_understood(importer: Importer) -> None:
    tenant = tenants.Tenant.objects.get(id=importer.tenant.id)
    services.create_location(new=services.NewLocation(code="hanoi", name="Hà Nội"))
    tracked = {"Variant Inventory Tracker": "shopify", "Variant Inventory Qty": "2", "Variant Price": "250000"}
    plain = importer.write(row() | tracked, encoding="utf-8-sig")
    packed = importer.folder / "export.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    importer.run(packed, locale="de", currency="VND", location="hanoi", quiet=True)

    product = stored()
    assert tenant.currency == "EUR"
    assert (list(product.translations), product.variants[0].prices["VND"].amount) == (["de"], 250000)
    (level,) = queries.list_levels(variant_id=product.variants[0].row.id)
    assert (level.location.code, level.stocked) == ("hanoi", 2)
    assert importer.output == ""


def test_the_newer_column_names_and_line_ends_are_understood(importer: Importer) -> None:
    path = importer.folder / "newer.csv"
    header = (
        "Title,URL handle,Description,SKU,Price,Compare-at price,Continue selling when out of stock,Product image URL"
    )
    path.write_bytes(f"{header}\r\nMug,mug,Nice,M-1,5.00,6.00,TRUE,https://img.test/m.jpg\r\n\r\n".encode())

    importer.run(path)

    mug = stored("mug")
    assert (mug.variants[0].row.sku, mug.variants[0].row.inventory_policy) == ("M-1", "continue")
    assert mug.variants[0].prices["EUR"].compare_at == 600
    assert len(mug.images) == 1
    classic_mac = importer.folder / "mac.csv"
    classic_mac.write_bytes(path.read_bytes().replace(b"\r\n", b"\r"))
    events = making.events()
    importer.run(classic_mac)
    assert making.events() == events


@pytest.mark.parametrize("before", ["sep=;\n", "\n\n", '"sep=;"\n\n', ";;\n"])
def test_what_spreadsheets_write_before_the_header_is_passed_over(importer: Importer, before: str) -> None:
    path = importer.folder / "sheet.csv"
    path.write_text(f"{before}Handle;Title;Variant Price\na;A;1,50\n", encoding="utf-8")

    importer.run(path)

    assert stored("a").variants[0].prices["EUR"].amount == 150


def test_a_cell_that_is_too_long_is_called_so(importer: Importer) -> None:
    importer.take(row("a", Title="x" * 1_000_001), row("b"))

    assert "a cell is longer than 1,000,000 characters" in importer.report[0]["problem"]
    assert list(models.Product.objects.values_list("external_id", flat=True)) == ["shopify:b"]


def test_a_workbook_is_told_for_what_it_is(importer: Importer) -> None:
    path = importer.folder / "shop.csv"
    path.write_bytes(b"PK\x03\x04 and more")

    with pytest.raises(CommandError, match="is an Excel workbook or a ZIP archive, and no text: save it as CSV"):
        importer.run(path)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        *[("€ 1.234,50", 123450), ("1,234.50 EUR", 123450), ("1 234,50", 123450), ("1'234.50", 123450), ("19,9", 1990)],
        *[("1,234", 123400), ("1.234.567", 123456700), ("0", 0), (".5", 50), ("EUR 7", 700)],
    ],
)
def test_prices_are_read_as_people_write_them(importer: Importer, written: str, amount: int) -> None:
    importer.take(row(Variant_Price=written))

    assert stored().variants[0].prices["EUR"].amount == amount
    assert importer.report == []


def test_a_sign_of_another_currency_is_noted(importer: Importer) -> None:
    importer.take(row(Variant_Price="$19.90"))

    assert stored().variants[0].prices["EUR"].amount == 1990
    assert "the amount is in" in importer.report[0]["problem"]


def test_pictures_may_come_before_the_product(importer: Importer) -> None:
    importer.take(more(Image_Src="https://img.test/1.jpg"), row(Vendor="V"), more(Image_Src="https://img.test/2.jpg"))

    product = stored()
    assert (product.translations["en"].title, product.product.vendor, len(product.images)) == ("Red-Shoes", "V", 2)
    assert len(product.variants) == 1


def test_products_of_another_tenant_do_not_matter(importer: Importer) -> None:
    with factories.at_work(factories.make_tenant()):
        making.make_product(making.product_fields(variants=[{"sku": "R-1"}], external_id="shopify:red-shoes"))

    importer.take(row(Variant_SKU="R-1"))

    assert stored().variants[0].row.sku == "R-1"
    assert importer.report == []


def test_a_product_with_too_many_rows_is_refused(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.commerce.shopify.grouping.MAXIMUM_ROWS_OF_A_PRODUCT", 2)

    importer.take(row("a"), *(more("a", Image_Src=f"https://img.test/{n}.jpg") for n in range(5)), row("b"))

    assert importer.problems() == [(3, "Handle", "a")]
    assert list(models.Product.objects.values_list("external_id", flat=True)) == ["shopify:b"]


@pytest.mark.parametrize(
    "record",
    [b"a," + b"x" * (12 << 20), b'a,"' + (b"x" * 1000 + b'","\n') * 12_000 + b'"'],
    ids=["one line", "many lines"],
)
def test_a_row_too_long_for_memory_refuses_the_file_by_name(importer: Importer, record: bytes) -> None:
    path = importer.folder / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"Handle,Title\nfirst,First\n" + record + b"\nlast,Last\n"))

    with pytest.raises(CommandError, match=r"bomb.csv.gz.*row 2 is longer than 8,388,608 bytes"):
        importer.run(path)

    assert not models.Product.objects.exists()


def test_many_rows_of_one_product_may_not_fill_memory(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.commerce.shopify.grouping.MAXIMUM_PRODUCT_LENGTH", 5_000)

    importer.take(row("a", SEO_Description="x" * 3_000), more("a", Image_Alt_Text="x" * 3_000), row("b"))

    assert importer.problems() == [(2, "Handle", "a")]
    assert list(models.Product.objects.values_list("external_id", flat=True)) == ["shopify:b"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_are_the_same_wherever_the_pieces_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(end.join([b"Handle,Title", "a,Ä".encode(), b"", b'b,"1', b'2"', b"c,3"]))

    def cells() -> list[list[str]]:
        with imports.Source(path) as source:
            return [record.cells for record in records.read_records(source, records.Layout("utf-8", ","))]

    whole = cells()
    for piece in range(1, 20):
        monkeypatch.setattr(records, "_PIECE", piece)
        assert cells() == whole

    assert [row[0] for row in whole if row] == ["Handle", "a", "b", "c"]


def test_a_sku_is_found_again_however_its_letters_are_composed(importer: Importer) -> None:
    importer.take(row("one", Variant_SKU="CAFÉ-1"))
    importer.take(row("one", Variant_SKU="CAFE\u0301-1"), row("two", Variant_SKU="  CAFE\u0301-1"))

    assert stored("one").variants[0].row.sku == "CAFÉ-1"
    assert stored("two").variants[0].row.sku is None
    assert importer.report[0]["problem"].startswith("another variant has this SKU already")


@pytest.mark.parametrize("sku", ["RED\u200b42", "RED\u202e42", "RED\t42", "x" * 256])
def test_a_sku_that_no_api_would_take_costs_no_variant(importer: Importer, sku: str) -> None:
    importer.take(row(Variant_SKU=sku))

    [entry] = importer.report
    assert (entry["row"], entry["column"]) == (1, "Variant SKU")
    assert "a SKU has" in entry["problem"]
    assert entry["problem"].endswith("imported without a SKU")
    assert stored().variants[0].row.sku is None


def test_names_that_break_in_the_middle_are_taken_as_one_line(importer: Importer) -> None:
    importer.take(row(Title="Red\r\nshoes", Vendor=" A\tB ", Tags="new\nin, sale", SEO_Title="Buy\nthem"))

    product = stored()
    assert (product.translations["en"].title, product.translations["en"].meta_title) == ("Red shoes", "Buy them")
    assert (product.product.vendor, product.product.tags) == ("A B", ["new in", "sale"])
    assert importer.report == []


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("Title", "Red\x01shoes", "remove the line break or control character U+0001"),
        ("Title", "\u200b", "there is nothing to be seen in this"),
        ("Vendor", "x" * 256, "at most 255 characters"),
        ("Variant Price", "-1", "must be zero or more"),
        ("Variant Price", "1e3", "decimal number such as 19.90"),
        ("Variant Price", "\uff11\uff19", "decimal number such as 19.90"),
    ],
)
def test_what_the_api_would_refuse_is_refused_by_column_value_and_fix(
    importer: Importer, column: str, value: str, problem: str
) -> None:
    with pytest.raises(CommandError, match="Nothing could be imported"):
        importer.take(row() | {column: value})

    [entry] = importer.report
    assert (entry["row"], entry["column"], entry["value"][:100]) == (1, column, value[:100])
    assert problem in entry["problem"]
    assert "skipped" in entry["problem"]


@pytest.mark.parametrize("number", ["1e999999999", "-1e999999999", "9" * 30, "\uff11", "NaN", "1.5e-999999999"])
def test_numbers_beyond_measure_are_left_out_at_once(importer: Importer, number: str) -> None:
    importer.take(row(Variant_Grams=number, Variant_Inventory_Qty=number, Variant_Inventory_Tracker="shopify"))

    assert {entry["column"] for entry in importer.report} <= {"Variant Grams", "Variant Inventory Qty"}
    assert "Variant Inventory Qty" in {entry["column"] for entry in importer.report}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("currency", "eur", '--currency "eur": not an ISO 4217 currency code'),
        ("location", "No Code", '--location "No Code": a slug has only a-z'),
    ],
)
def test_an_option_is_held_against_the_rule_of_its_field(
    importer: Importer, option: str, value: str, said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        importer.take(row(), **{option: value})
