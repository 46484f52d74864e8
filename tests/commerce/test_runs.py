"""An import is a run: killed anywhere it goes on, and undone all is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.commerce import models, queries, services, snapshots
from apps.imports import models as imports
from apps.imports import queries as runs
from apps.imports import services as runs_services
from apps.kernel import failpoints
from apps.tenants import models as tenants
from tests import factories
from tests.commerce import making
from tests.commerce.test_import_shopify import Importer, more, row

SIZED = {"Option1 Name": "Size", "Option1 Value": "S", "Variant Inventory Tracker": "shopify"}
SHOP = [
    line
    for number in range(9)
    for line in (
        row(f"p-{number}")
        | SIZED
        | {"Variant SKU": f"S{number}", "Variant Inventory Qty": "5", "Product Category": "A > B"},
        more(f"p-{number}", Option1_Value="M", Variant_Price="21", Variant_SKU=f"M{number}", Variant_Inventory_Qty="2"),
        more(f"p-{number}", Image_Src=f"https://img.test/{number}.jpg"),
    )
]
# Columns that tell when and under which number, not what.
MOMENTS = {"id", "created_at", "updated_at", "published_at"}


class Killed(BaseException):
    """As if the process were gone."""


@contextmanager
def killed_at(name: str, occasion: int) -> Iterator[None]:
    """Die at the failpoint, the given time it is reached."""
    seen = 0

    def reach(reached: str) -> None:
        nonlocal seen
        seen += reached == name
        if reached == name and seen == occasion:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failpoints, "reach", reach)
        with pytest.raises(Killed):
            yield


@pytest.fixture
def importer(tenant: tenants.Tenant, at_work: object, tmp_path: Path) -> Importer:
    return Importer(tenant, tmp_path)


def told() -> list[dict[str, Any]]:
    """Every product whole, without what differs from one tenant to the next."""
    names: dict[str, str] = {}
    found = snapshots.load(models.Product.objects.order_by("external_id"))
    return [plain(snapshots.dump(snapshot), names) for snapshot in found]


def plain(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: plain(item, names) for key, item in value.items() if key not in MOMENTS and key != "tenant_id"}
    if isinstance(value, list):
        return [plain(item, names) for item in value]
    if isinstance(value, str) and len(value) >= 32 and set(value) <= set("0123456789abcdef-."):
        return names.setdefault(value, f"#{len(names)}")
    return value


def whole(handle: str) -> dict[str, Any]:
    """A product with all identities, but for when it was last written."""
    dump = snapshots.dump(
        queries.get_product(product_id=models.Product.objects.get(external_id=f"shopify:{handle}").id)
    )
    del dump["product"]["updated_at"]
    for variant in dump["variants"]:
        for rows in ("prices", "levels"):
            variant[rows] = sorted(({**entry, "id": None} for entry in variant[rows]), key=str)
    for entry in dump["translations"]:
        entry["id"] = None
    return dump


def undo(importer: Importer, run: str = "last") -> str:
    output = StringIO()
    importer.code = 0
    try:
        call_command("import_shopify", tenant=importer.tenant.slug, undo=run, stdout=output, stderr=output)
    except SystemExit as end:
        importer.code = int(str(end.code))
    return output.getvalue()


def resume(importer: Importer, **options: Any) -> None:
    report = importer.folder / "report.json"
    output = StringIO()
    options |= {"tenant": importer.tenant.slug, "resume": "last", "report": report}
    try:
        call_command("import_shopify", stdout=output, stderr=output, **options)
    except SystemExit as end:
        importer.code = int(str(end.code))
    importer.output = output.getvalue()


@pytest.mark.parametrize("point", ["append.before_commit", "imports.before_commit", "imports.after_commit"])
@pytest.mark.parametrize("occasion", [1, 2, 4])
def test_killed_anywhere_and_resumed_it_is_as_if_undisturbed(
    importer: Importer, point: str, occasion: int, tmp_path: Path
) -> None:
    path = importer.write(*SHOP, more("p-1", Variant_Price="3"), more("", Variant_Price="1"))
    with killed_at(point, occasion):
        importer.run(path, batch_size=2, quiet=True)
    run = runs.get_run(named="last")

    resume(importer, batch_size=3)

    assert runs.get_run(named="last").id == run.id
    other = factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")
    resumed, names, output = told(), making.event_names(), importer.output
    tally, notes = runs.get_run(named="last").tally, [entry.row for entry in runs.problems_of(run.id)]
    with factories.at_work(other):
        undisturbed = Importer(other, tmp_path)
        undisturbed.run(path, batch_size=2)
        assert told() == resumed
        assert sorted(making.event_names()) == sorted(names)
        second = runs.get_run(named="last")
        assert second.tally == tally
        assert [entry.row for entry in runs.problems_of(second.id)] == notes
    assert "products: 9 created, 0 updated, 0 unchanged, 1 skipped" in output


def test_a_run_that_came_to_its_end_is_not_resumed(importer: Importer) -> None:
    importer.take(*SHOP)

    with pytest.raises(CommandError, match="is done; there is nothing to resume"):
        resume(importer)


def test_another_file_is_not_taken_for_the_rest(importer: Importer) -> None:
    path = importer.write(*SHOP)
    with killed_at("imports.after_commit", 2):
        importer.run(path, batch_size=2, quiet=True)
    importer.write(*SHOP[:6])

    with pytest.raises(CommandError, match="is not the file that imp_"):
        resume(importer)


def test_two_at_once_do_not_take_the_same_rows(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = importer.write(*SHOP)
    sync, calls = services.sync_products, list[int]()

    def somebody_else_goes_on(**options: Any) -> Any:
        calls.append(1)
        return sync(**options)

    with killed_at("imports.after_commit", 3):
        importer.run(path, batch_size=2, quiet=True)
    run = runs.get_run(named="last")
    stale = imports.Run.objects.get(id=run.id)
    stale.done = 0
    monkeypatch.setattr(services, "sync_products", somebody_else_goes_on)
    from apps.imports import formats, working
    from apps.kernel import validation

    format = formats.formats()["shopify"]
    importing = format.opened(path, validation.parse(format.options, stale.options), stale.found)
    with pytest.raises(working.Overtaken):
        working.carry_out(stale, importing, batch_size=2)
    assert calls == []


def test_what_a_run_made_goes(importer: Importer) -> None:
    importer.take(*SHOP)

    said = undo(importer)

    assert "11 objects are as they were before, 0 left as they are" in said
    assert [model.objects.count() for model in (models.Product, models.Category, models.InventoryLevel)] == [0, 0, 0]
    assert making.event_names()[-3:] == ["product.deleted", "category.deleted", "category.deleted"]
    assert runs.get_run(named=str(imports.Run.objects.get())).status == "undone"
    importer.take(*SHOP)
    assert models.Product.objects.count() == 9


def test_what_a_run_changed_is_as_it_was_down_to_its_identities(importer: Importer) -> None:
    options = {"Option2 Name": "Colour", "Option2 Value": "Red"}
    importer.take(
        row("a")
        | SIZED
        | options
        | {"Variant SKU": "A", "Variant Inventory Qty": "5", "Image Src": "https://img.test/1.jpg"},
        more(
            "a", Option1_Value="M", Option2_Value="Blue", Variant_Price="7", Variant_SKU="B", Variant_Inventory_Qty="1"
        ),
        more(
            "a", Option1_Value="XL", Option2_Value="Blue", Variant_Price="9", Variant_SKU="C", Variant_Inventory_Qty="4"
        ),
        row("b"),
    )
    before = whole("a"), whole("b")
    importer.take(
        row("a", Title="Other", Tags="new", Published="false", Vendor="W", Product_Category="X > Y")
        | SIZED
        | {
            "Variant SKU": "B",
            "Variant Inventory Qty": "9",
            "Image Src": "https://img.test/2.jpg",
            "Variant Price": "3",
        },
        more("a", Option1_Value="L", Variant_Price="8", Variant_SKU="A"),
        row("b"),
    )
    assert whole("a") != before[0]

    undo(importer)

    assert (whole("a"), whole("b")) == before
    assert not models.Category.objects.exists()
    making_events = making.event_names(models.Product.objects.get(external_id="shopify:a").id)
    assert {"product.updated", "variant.created", "variant.updated", "inventory.updated", "product.published"} <= set(
        making_events
    )


def test_runs_are_undone_one_after_another(importer: Importer) -> None:
    importer.take(row("a"))
    importer.take(row("a", Title="Second"))
    importer.take(row("a", Title="Third"))

    undo(importer)
    assert making.event_names()[-1] == "product.updated"
    undo(importer)
    undo(importer)

    assert not models.Product.objects.exists()


def test_what_others_changed_since_is_left_and_named(importer: Importer) -> None:
    importer.take(row("a"), row("b"))
    product = models.Product.objects.get(external_id="shopify:a")
    making.update(product.id, vendor="Somebody")

    said = undo(importer)

    assert importer.code == 3
    assert f"product {product.id}: It was changed since." in said
    assert list(models.Product.objects.values_list("external_id", flat=True)) == ["shopify:a"]


def test_a_category_with_other_products_stays(importer: Importer) -> None:
    importer.take(row("a", Product_Category="A"))
    making.make_product(making.product_fields(category_ids=[str(models.Category.objects.get().id)]))

    said = undo(importer)

    assert "Products are in this category." in said
    assert models.Category.objects.count() == 1


@pytest.mark.parametrize("point", ["imports.undo_before_commit", "imports.undo_after_commit"])
def test_an_undo_that_was_killed_goes_on(importer: Importer, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.imports.undoing.BATCH", 3)
    importer.take(*SHOP)
    with killed_at(point, 2):
        undo(importer)

    said = undo(importer)

    assert "11 objects are as they were before" in said
    assert not models.Product.objects.exists()


def test_what_is_undone_in_part_is_not_resumed(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.imports.undoing.BATCH", 3)
    importer.take(*SHOP)
    with killed_at("imports.undo_after_commit", 2):
        undo(importer)
    imports.Run.objects.update(status=imports.Status.STOPPED)  # as it is once its worker gave it up

    with pytest.raises(CommandError, match="is undoing; there is nothing to resume"):
        resume(importer)

    undo(importer)
    assert imports.Run.objects.get().status == imports.Status.UNDONE


def test_a_dry_run_is_not_undone_and_writes_no_journal(importer: Importer) -> None:
    importer.take(*SHOP, dry_run=True)
    run = imports.Run.objects.get()

    assert not imports.Entry.objects.exists()
    with pytest.raises(CommandError, match="was a dry run"):
        undo(importer, str(run))


def test_runs_are_listed_and_forgotten(importer: Importer) -> None:
    importer.take(row("a"))
    output = StringIO()
    call_command("imports", tenant=importer.tenant.slug, stdout=output)
    run = imports.Run.objects.get()

    assert str(run) in output.getvalue()
    assert "1 of 1, 1 objects written, 0 skipped" in output.getvalue()
    assert runs_services.forget_old(now=run.expires_at) == 1
    assert not imports.Entry.objects.exists()


def test_an_unknown_run_is_named(importer: Importer) -> None:
    with pytest.raises(CommandError, match="There is no import imp_nonsense"):
        undo(importer, "imp_nonsense")
