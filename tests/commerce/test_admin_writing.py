"""Products and what they are found by, written in the admin: through services, with problems at their cells."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.audit import models as audit
from apps.commerce import models, queries, services, snapshots
from apps.kernel import isolation
from apps.outbox import models as outbox
from apps.tenants import models as tenants
from tests import factories
from tests.commerce import making
from tests.filling import Page

LIST, NEW = "/admin/commerce/product/", "/admin/commerce/product/add/"


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant(default_locale="en", currency="EUR", locales=["de"])


@pytest.fixture
def page(tenant: tenants.Tenant) -> Page:
    """The admin of somebody who looks after the catalogue."""
    return Page.of(tenant, "merchandiser")


@pytest.fixture
def product(tenant: tenants.Tenant) -> snapshots.Snapshot:
    with factories.at_work(tenant):
        return making.make_product()


def of(tenant: tenants.Tenant, product_id: uuid.UUID) -> snapshots.Snapshot:
    with factories.at_work(tenant):
        return queries.get_product(product_id=product_id)


def events_of(tenant: tenants.Tenant, product_id: uuid.UUID) -> list[str]:
    with factories.at_work(tenant):
        rows = outbox.Event.objects.filter(aggregate_id=product_id).order_by("aggregate_version")
        return list(rows.values_list("type", flat=True))


def test_a_product_with_two_variants_is_made_on_one_page(page: Page, tenant: tenants.Tenant) -> None:
    page.get(NEW)
    page.press("_add", "options")
    option = page.values("options")[0]
    page.fill(
        {
            "translations/en/title": "Linen shirt",
            "translations/de/title": "Leinenhemd",
            f"options/{option}/names/en": "Size",
            f"options/{option}/values/en": "S\nM",
            "tags": "summer, linen",
            "variants": ["new1", "new2"],
            "variants/new1/values/0": "S",
            "variants/new1/sku": "SHIRT-S",
            "variants/new1/prices/EUR/amount": "19.90",
            "variants/new1/stock/default": "5",
            "variants/new2/values/0": "M",
            "variants/new2/sku": "SHIRT-M",
            "variants/new2/prices/EUR/amount": "21",
            "variants/new2/manage_inventory": "on",
        }
    )

    page.press("_save")

    assert "“Linen shirt” is saved." in page.told
    with factories.at_work(tenant):
        made = queries.get_product(product_id=models.Product.objects.get().id)
    assert {locale: row.title for locale, row in made.translations.items()} == {
        "en": "Linen shirt",
        "de": "Leinenhemd",
    }
    assert made.product.tags == ["summer", "linen"]
    assert [variant.row.sku for variant in made.variants] == ["SHIRT-S", "SHIRT-M"]
    assert [variant.prices["EUR"].amount for variant in made.variants] == [1990, 2100]
    assert [level.stocked for level in made.variants[0].levels.values()] == [5]
    assert events_of(tenant, made.id) == ["commerce.product.created"]
    with factories.at_work(tenant):
        entry = audit.Entry.objects.get(object_id=str(made.id), action="commerce.product.created")
    assert entry.actor == f"user:{page.user.pk}"


def test_a_problem_stands_at_its_cell_and_nothing_is_lost(page: Page, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        making.make_product(making.product_fields(variants=[making.variant_fields(sku="TAKEN")]))
    page.get(NEW)
    page.fill(
        {
            "translations/en/title": "Shirt",
            "variants": ["new1", "new7"],
            "variants/new1/sku": "FREE",
            "variants/new7/sku": "SECOND",
            "variants/new7/prices/EUR/amount": "12,x",
            "variants/new7/weight_grams": "heavy",
        }
    )

    page.press("_save")

    assert set(page.problems) == {"variants-new7-prices-EUR-amount", "variants-new7-weight_grams"}
    assert page.values("variants/new7/prices/EUR/amount") == ["12,x"]
    assert page.values("translations/en/title") == ["Shirt"]
    with factories.at_work(tenant):
        assert models.Product.objects.count() == 1
    page.fill(
        {
            "variants/new7/sku": "TAKEN",
            "variants/new7/prices/EUR/amount": "12",
            "variants/new7/weight_grams": "",
            "variants/new7/barcode": "7",
        }
    )
    page.press("_save")
    assert "variants-new7-sku" in page.problems or "variants-new7-values" in " ".join(page.problems) or page.problems


def test_only_what_changed_is_written(page: Page, tenant: tenants.Tenant, product: snapshots.Snapshot) -> None:
    before = events_of(tenant, product.id)
    page.get(f"{LIST}{product.id}/change/")

    page.press("_save")
    assert "is saved" in page.told
    assert events_of(tenant, product.id) == before

    (row,) = page.values("variants")
    page.fill({f"variants/{row}/prices/EUR/amount": "25.00", f"variants/{row}/stock/default": "9"})
    page.press("_save")

    assert page.problems == {}
    assert events_of(tenant, product.id)[len(before) :] == [
        "commerce.price.updated",
        "commerce.inventory.updated",
    ]
    assert of(tenant, product.id).variants[0].prices["EUR"].amount == 2500
