"""Products out of one tenant and into another: the same, down to the last cell."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from apps.commerce import models
from apps.tenants import models as tenants
from tests import factories
from tests.commerce import making
from tests.commerce.test_runs import told

DATA = Path(__file__).parent / "data"
EXPORTS = Path(os.environ.get("RUSTOK_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "shopify"
REAL = ["cutiepoppers.csv", "sample-product-template.csv", "stoneflame-pt.csv", "foa-mattress-63.csv"]


def moved(tenant: tenants.Tenant, source: Path, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The products of a file, and what they are after an export and an import elsewhere."""
    with factories.at_work(tenant):
        call_command("import_shopify", source, tenant=tenant.slug, quiet=True)
        file = folder / "export.csv"
        call_command("export_shopify", file, tenant=tenant.slug, quiet=True)
        before = told()
    other = factories.make_tenant(default_locale="en", currency=tenant.currency)
    with factories.at_work(other):
        call_command("import_shopify", file, tenant=other.slug, quiet=True)
        return before, told()


def test_a_round_trip_is_equal(tenant: tenants.Tenant, tmp_path: Path) -> None:
    before, after = moved(tenant, DATA / "small-shop.csv", tmp_path)

    assert len(before) == 3
    assert after == before


@pytest.mark.skipif(not EXPORTS.exists(), reason=f"no real exports at {EXPORTS}; set RUSTOK_SHARED_DATA")
@pytest.mark.parametrize("name", REAL)
def test_a_round_trip_of_a_real_shop_is_equal(tenant: tenants.Tenant, tmp_path: Path, name: str) -> None:
    before, after = moved(tenant, EXPORTS / name, tmp_path)

    assert after == before


def test_what_has_no_place_is_named(tenant: tenants.Tenant, at_work: object, tmp_path: Path) -> None:
    making.make_product(making.product_fields("Dear", variants=[{"prices": [{"currency": "USD", "amount": "5"}]}]))
    said = io.StringIO()

    call_command("export_shopify", tmp_path / "x.csv", tenant=tenant.slug, stderr=said, quiet=True)

    assert "a variant without a price in EUR" in said.getvalue()
    with (tmp_path / "x.csv").open(newline="") as file:
        assert [row["Title"] for row in csv.DictReader(file)] == ["Dear"]


def test_lines_of_json_are_what_the_api_shows(tenant: tenants.Tenant, at_work: object, tmp_path: Path) -> None:
    product = making.make_product()

    call_command("export_ndjson", tmp_path / "x.ndjson", tenant=tenant.slug, quiet=True)

    (line,) = (tmp_path / "x.ndjson").read_bytes().splitlines()
    assert orjson.loads(line)["variants"][0]["sku"] == product.variants[0].row.sku
    assert models.Product.objects.count() == 1


def test_a_file_that_is_there_stays(tenant: tenants.Tenant, at_work: object, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("mine")

    with pytest.raises(CommandError, match="File exists"):
        call_command("export_shopify", tmp_path / "x.csv", tenant=tenant.slug)

    assert (tmp_path / "x.csv").read_text() == "mine"
