"""Products and what they are found by, written in the admin: through services, with problems at their cells."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.access import roles
from apps.accounts.desk.sheets import Document
from apps.accounts.models import User
from apps.audit import models as audit
from apps.commerce import models, queries, services, snapshots
from apps.commerce.admin import product_document
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


def change(product: snapshots.Snapshot, **fields: object) -> None:
    services.update_product(product_id=product.id, changes=services.ProductChanges.model_validate(fields))


def count(product: snapshots.Snapshot, quantity: int) -> None:
    wanted = services.InventoryCount(quantity=quantity)
    services.set_inventory(variant_id=product.variants[0].row.id, count=wanted, now=making.NOW)


def member_with(tenant: tenants.Tenant, *grants: roles.GrantInput) -> User:
    """Somebody with a role of these grants."""
    with factories.at_work(tenant):
        roles.create_role(new=roles.NewRole(slug="some", name="Some", grants=[*grants]), by=None)
    return factories.make_member(tenant, "some", factories.make_user(is_staff=True))


def limited_to(category_id: uuid.UUID) -> list[roles.GrantInput]:
    within = {"category": [str(category_id)]}
    return [roles.GrantInput(permission=f"products:{action}", constraint=within) for action in ("read", "update")]


def events_of(tenant: tenants.Tenant, product_id: uuid.UUID) -> list[str]:
    with factories.at_work(tenant):
        return [name for name, _ in making.events(product_id)]


def test_all_combinations_of_options_are_a_button_away(page: Page, tenant: tenants.Tenant) -> None:
    page.get(NEW)
    assert "Add all combinations" not in page.text
    for _ in range(2):
        page.press("_add", "options")
    size, colour = page.values("options")
    page.fill(
        {
            "translations/en/title": "Shirt",
            f"options/{size}/names/en": "Size",
            f"options/{size}/values/en": "S\nM \n",
            f"options/{colour}/names/en": "Colour",
            f"options/{colour}/values/en": "red\nblue",
            "variants/new1/prices/EUR/amount": "19.90",
            "variants/new1/inventory_policy": "on",
        }
    )
    page.press("_add", "variants/all")
    assert page.values("variants") == ["new1", "new2", "new3", "new4"]
    page.fill({"variants/new4/prices/EUR/amount": "21", f"options/{size}/values/en": "S\nM\nL"})
    page.press("_add", "variants/all")  # those that are there stay as they are
    page.press("_save")

    with factories.at_work(tenant):
        made = queries.get_product(product_id=models.Product.objects.get().id)
    names = {value.row.id: value.names["en"] for option in made.options for value in option.values}
    assert [[names[each] for each in variant.value_ids] for variant in made.variants] == [
        ["S", "red"], ["S", "blue"], ["M", "red"], ["M", "blue"], ["L", "red"], ["L", "blue"],
    ]  # fmt: skip
    assert [variant.prices["EUR"].amount for variant in made.variants] == [1990, 1990, 1990, 2100, 1990, 1990]
    assert {variant.row.inventory_policy for variant in made.variants} == {"continue"}


def test_combinations_end_where_a_page_of_them_does(tenant: tenants.Tenant) -> None:
    document: Document = {"options": ["a", "b", "c"], "variants": []}
    document |= {f"options/{option}/values/en": "\n".join(map(str, range(50))) for option in "abc"}
    twice: Document = {"options": ["a"], "options/a/values/en": "S\nS", "variants": []}
    with factories.at_work(tenant):
        found = product_document.with_all_combinations(document, 200)
        without = product_document.with_all_combinations({"options": [], "variants": ["new1"]}, 200)
        once = product_document.with_all_combinations(twice, 200)
    assert (once["variants"], once["variants/new1/manage_inventory"]) == (["new1"], "on")
    assert len(found["variants"]) == 200
    assert without["variants"] == ["new1"]


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
    assert events_of(tenant, made.id) == ["product.created"]
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
    assert page.problems == {"variants-new7-sku": "the variant FREE has the same option values."}


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
        "price.updated",
        "inventory.updated",
    ]
    assert of(tenant, product.id).variants[0].prices["EUR"].amount == 2500


def test_somebody_elses_change_is_neither_lost_nor_overwritten(
    page: Page, tenant: tenants.Tenant, product: snapshots.Snapshot
) -> None:
    page.get(f"{LIST}{product.id}/change/")
    with factories.at_work(tenant):
        change(product, vendor="Theirs", product_type="Boots")
        count(product, 3)
    page.fill({"vendor": "Mine", "tags": "mine"})
    assert page.values("seo") == page.values("fields") == [""]

    page.press("_save")

    assert "Somebody else has saved this" in page.text
    assert (page.values("vendor"), page.values("product_type"), page.values("tags")) == (["Mine"], ["Boots"], ["mine"])
    assert "Stored meanwhile: <q>Theirs</q>" in page.text
    assert of(tenant, product.id).product.vendor == "Theirs"
    page.press("_save")
    stored = of(tenant, product.id).product
    assert (stored.vendor, stored.product_type, stored.tags) == ("Mine", "Boots", ["mine"])
    assert [level.stocked for level in of(tenant, product.id).variants[0].levels.values()] == [3]


def test_what_is_sold_meanwhile_is_no_conflict(page: Page, tenant: tenants.Tenant, product: snapshots.Snapshot) -> None:
    with factories.at_work(tenant):
        count(product, 9)
    page.get(f"{LIST}{product.id}/change/")
    with factories.at_work(tenant):
        making.reserve(product.variants[0].row.id, 2, reference="cart")
        count(product, 8)
    page.fill({"vendor": "Mine"})

    page.press("_save")

    assert "is saved" in page.told
    assert of(tenant, product.id).product.vendor == "Mine"
    assert [level.stocked for level in of(tenant, product.id).variants[0].levels.values()] == [8]


def test_a_product_deleted_meanwhile_is_told(page: Page, tenant: tenants.Tenant, product: snapshots.Snapshot) -> None:
    page.get(f"{LIST}{product.id}/change/")
    with factories.at_work(tenant):
        services.delete_product(product_id=product.id)

    page.press("_save")

    assert "There is no product" in page.told


def test_buttons_publish_and_archive(page: Page, tenant: tenants.Tenant, product: snapshots.Snapshot) -> None:
    page.get(f"{LIST}{product.id}/change/")
    page.fill({"vendor": "Acme"})
    page.press("_act", "publish")
    assert "is saved and published" in page.told
    stored = of(tenant, product.id).product
    assert (stored.vendor, stored.status) == ("Acme", "published")

    page.press("_act", "archive")
    assert of(tenant, product.id).product.status == "archived"


def test_an_option_value_is_renamed_while_variants_have_it(page: Page, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        fields = making.product_fields(
            options=[{"names": {"en": "Size"}, "values": [{"names": {"en": "S"}}, {"names": {"en": "M"}}]}],
            variants=[making.variant_fields(sku="S", values=["S"]), making.variant_fields(sku="M", values=["M"])],
        )
        product = making.make_product(fields)
    page.get(f"{LIST}{product.id}/change/")
    (option,), (first, second) = page.values("options"), page.values("variants")

    page.fill({f"options/{option}/values/en": "Small\nM", f"variants/{first}/values/0": "Small"})
    page.press("_save")

    assert page.problems == {}
    stored = of(tenant, product.id)
    assert [value.names["en"] for value in stored.options[0].values] == ["Small", "M"]
    assert [len(variant.value_ids) for variant in stored.variants] == [1, 1]
    page.fill({"variants": [second]})
    page.press("_save")
    assert [variant.row.sku for variant in of(tenant, product.id).variants] == ["M"]


def test_rows_are_added_and_removed_without_scripts(page: Page, product: snapshots.Snapshot) -> None:
    page.get(f"{LIST}{product.id}/change/")
    page.fill({"vendor": "Kept"})
    page.press("_add", "images")
    assert (page.values("images"), page.values("vendor")) == (["new1"], ["Kept"])
    page.fill({"images/new1/url": "/static/desk/mark.svg"})
    page.press("_save")
    (row,) = page.values("images")
    assert '<img src="/static/desk/mark.svg"' in page.text
    page.fill({f"images/{row}/gone": "on"})
    page.press("_save")
    assert page.values("images") == []


def test_each_row_of_a_bulk_action_has_its_answer(page: Page, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        draft = making.make_product(title="A draft")
        shown = making.make_product(title="A shown one", status="published")
    chosen = [str(draft.id), str(shown.id)]

    page.post(LIST, action="delete_chosen", _selected_action=chosen)
    assert "This cannot be undone." in page.text
    page.post(LIST, action="delete_chosen", _selected_action=chosen, _sure="on")

    assert "1 is deleted." in page.told
    assert "“A shown one” is not deleted: The product is published; unpublish or archive it first." in page.told
    with factories.at_work(tenant):
        assert [row.id for row in models.Product.objects.all()] == [shown.id]


def test_many_products_are_published_tagged_and_priced_anew(page: Page, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        products = [making.make_product(title=f"Number {number}") for number in range(3)]
    chosen = [str(product.id) for product in products]

    page.post(LIST, action="publish", _selected_action=chosen)
    assert "3 are published." in page.told
    page.post(LIST, action="add_tag", _selected_action=chosen)
    assert "Add a tag" in page.text
    page.post(LIST, action="add_tag", _selected_action=chosen, _sure="on", tag="sale")
    page.post(LIST, action="change_prices", _selected_action=chosen, _sure="on", percent="-10")

    stored = of(tenant, products[0].id)
    assert (stored.product.status, stored.product.tags) == ("published", [*products[0].product.tags, "sale"])
    assert stored.variants[0].prices["EUR"].amount == 1791
    page.post(LIST, action="change_prices", _selected_action=chosen, _sure="on", percent="a lot")
    assert "write how many percent" in page.told


def test_a_page_says_no_to_who_may_only_read(tenant: tenants.Tenant, product: snapshots.Snapshot) -> None:
    reader = Page.by(member_with(tenant, roles.GrantInput(permission="products:read")), tenant)

    assert "Red Shoes" in reader.get(f"{LIST}{product.id}/change/").text
    assert 'name="_save"' not in reader.text
    assert reader.get(NEW).status == 403
    assert reader.post(f"{LIST}{product.id}/change/", vendor="Mine").status == 403
    assert reader.get(f"{LIST}{product.id}/delete/").status == 403
    reader.post(LIST, action="archive", _selected_action=[str(product.id)])
    assert of(tenant, product.id).product.status == "draft"
    assert of(tenant, product.id).product.vendor == ""


def test_what_lies_beyond_the_limits_of_a_grant_is_refused(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        mine, other = making.make_category("Mine"), making.make_category("Other")
        inside = making.make_product(making.product_fields(title="Inside", category_ids=[mine.id]))
        outside = making.make_product(making.product_fields(title="Outside", category_ids=[other.id]))
    page = Page.by(member_with(tenant, *limited_to(mine.id)), tenant)

    assert "Inside" in page.get(LIST).text
    assert "Outside" not in page.text
    assert "There is no product" in page.get(f"{LIST}{outside.id}/change/").told
    page.get(f"{LIST}{inside.id}/change/")
    page.fill({"category_ids": [str(mine.id), str(other.id)]})
    page.press("_save")
    assert "beyond its limits" in page.text
    assert of(tenant, inside.id).category_ids == [mine.id]


def test_choosers_find_what_may_be_seen_in_the_tenant(page: Page, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        making.make_category("Footwear")
    with factories.at_work(factories.make_tenant(default_locale="en")):
        making.make_category("Footstools")

    assert "Footwear" in page.get("/admin/commerce/category/find/", q="foot").text
    assert "Footstools" not in page.text
    assert page.get("/admin/content/category/find/", q="foot").status == 403


def test_lists_and_pages_cost_the_same_however_many_there_are(page: Page, tenant: tenants.Tenant) -> None:
    def cost(path: str) -> int:
        with CaptureQueriesContext(connection) as queries_made:
            assert page.get(path).status == 200
        return len(queries_made)

    def fill(number: int) -> snapshots.Snapshot:
        variants = [making.variant_fields(sku=f"V-{number}", stock=[{"quantity": 1}])]
        return making.make_product(making.product_fields(title=f"P {number}", variants=variants))

    with factories.at_work(tenant):
        product = fill(0)
        making.make_category("C 0")
        making.make_collection("K 0")
    paths = [LIST, "/admin/", f"{LIST}{product.id}/change/", "/admin/commerce/category/", "/admin/commerce/collection/"]
    for path in paths:
        cost(path)
    before = {path: cost(path) for path in paths}
    with factories.at_work(tenant):
        for number in range(1, 5):
            fill(number)
            making.make_category(f"C {number}")
            making.make_collection(f"K {number}")

    assert {path: cost(path) for path in paths} == before


def test_a_collection_is_put_in_order(page: Page, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        first, second = making.make_product(title="First"), making.make_product(title="Second")
    page.get("/admin/commerce/collection/add/")
    page.fill(
        {
            "translations/en/title": "Summer",
            "products": ["new1", "new2"],
            "products/new1/product_id": str(first.id),
            "products/new2/product_id": str(second.id),
        }
    )
    page.press("_save")
    assert "is saved" in page.told
    page.fill({"products": [*reversed(page.values("products"))]})
    page.press("_save")

    with factories.at_work(tenant):
        placed = models.CollectionProduct.objects.order_by("position").values_list("product_id", flat=True)
        assert list(placed) == [second.id, first.id]


def test_a_category_is_made_moved_and_deleted(page: Page, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        parent = making.make_category("Clothes")
    page.get("/admin/commerce/category/add/")
    page.fill({"translations/en/name": "Shirts", "parent_id": str(parent.id)})
    page.press("_save")
    with factories.at_work(tenant):
        made = models.Category.objects.get(parent=parent)

    page.get(f"/admin/commerce/category/{parent.id}/change/")
    page.fill({"parent_id": str(made.id)})
    page.press("_save")
    assert "lie below itself" in page.text
    page.post(f"/admin/commerce/category/{parent.id}/delete/", _sure="on")
    assert "Categories lie below this one" in page.told
    page.post(f"/admin/commerce/category/{made.id}/delete/", _sure="on")
    assert "“Shirts” is deleted." in page.told


def test_the_history_says_who_did_what(page: Page, tenant: tenants.Tenant, product: snapshots.Snapshot) -> None:
    page.get(f"{LIST}{product.id}/change/")
    page.fill({"vendor": "Acme"})
    page.press("_save")

    page.get(f"{LIST}{product.id}/history/")

    assert "product updated" in page.text
    assert page.user.email in page.text
    assert "vendor" in page.text
    assert "values</a>" not in page.text  # for those who may read the audit log
