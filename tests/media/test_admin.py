"""The media library in the admin: files are sent there or from a product's page, described, found, kept while shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.access import roles
from apps.media import models
from apps.tenants import models as tenants
from rustok.testing.asserting import assert_constant_queries
from tests import factories
from tests.commerce import making as shop
from tests.media import making

ASSETS = "/admin/media/asset/"


def desk_of(tenant: tenants.Tenant, role: str = "owner") -> Client:
    browser = Client(headers={"host": f"{tenant.slug}.test"})
    browser.force_login(factories.make_member(tenant, role, factories.make_user(is_staff=True)))
    return browser


def sent(content: bytes | None = None, name: str = "Mug.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, making.picture() if content is None else content, content_type="image/png")


def assets(tenant: tenants.Tenant) -> list[str]:
    with factories.at_work(tenant):
        return sorted(models.Asset.objects.values_list("name", flat=True))


def test_several_files_are_sent_and_each_is_taken_or_refused_by_itself(tenant: tenants.Tenant) -> None:
    browser = desk_of(tenant)
    files = [sent(), sent(name="Cup.png"), sent(b"<html>", "page.png")]

    answer = browser.post(f"{ASSETS}upload/", {"file": files, "folder": "shop/2026"})

    assert answer.status_code == 422
    assert "2 files are in the library" in answer.text
    assert "page.png" in answer.text and "its bytes are not those of" in answer.text
    assert assets(tenant) == ["Cup.png", "Mug.png"]
    with factories.at_work(tenant):
        assert set(models.Asset.objects.values_list("folder", flat=True)) == {"shop/2026"}


def test_one_file_leads_to_the_page_where_it_is_described_in_every_language(tenant: tenants.Tenant) -> None:
    browser = desk_of(tenant)
    page = browser.post(f"{ASSETS}upload/", {"file": sent()}, follow=True)
    fields = dict(re.findall(r'name="(_version|_made_from)" value="([^"]*)"', page.text))
    fields |= {"name": "Mug", "folder": "", "focal/x": "30", "focal/y": "101"}
    fields |= {"translations/en/alt": "A mug", "translations/de/alt": "Ein Becher"}

    assert "“Mug.png” is in the library" in page.text
    wrong = browser.post(page.request["PATH_INFO"], fields)
    saved = browser.post(page.request["PATH_INFO"], fields | {"focal/y": "60"}, follow=True)

    assert "Nothing is saved yet" in wrong.text
    assert "is saved" in saved.text
    with factories.at_work(tenant):
        asset = models.Asset.objects.get()
        assert (asset.name, asset.focal_x, asset.focal_y) == ("Mug", 30, 60)
        assert dict(asset.translations.values_list("locale", "alt")) == {"en": "A mug", "de": "Ein Becher"}
        assert making.types_of(asset.id) == ["asset.uploaded", "asset.updated"]


def test_a_script_is_answered_with_what_it_can_put_into_a_page(tenant: tenants.Tenant) -> None:
    browser = desk_of(tenant)

    taken = browser.post(f"{ASSETS}upload/", {"file": sent()}, headers={"accept": "application/json"}).json()
    refused = browser.post(f"{ASSETS}upload/", {}, headers={"accept": "application/json"})
    found = browser.get(f"{ASSETS}find/", {"q": "mug", "kind": "image"}).json()["found"]
    others = browser.get(f"{ASSETS}find/", {"q": "mug", "kind": "video"}).json()["found"]

    assert taken["refused"] == [] and taken["taken"] == found
    assert found[0]["address"].startswith("/media/") and found[0]["picture"].startswith("/media/")
    assert (refused.status_code, refused.json()["refused"][0]["reason"]) == (422, "no file was sent.")
    assert others == []


def test_what_is_shown_is_kept_and_who_shows_it_is_named(tenant: tenants.Tenant) -> None:
    browser = desk_of(tenant)
    with factories.at_work(tenant):
        asset, unused = making.make_asset(), making.make_asset()
        shop.make_product(images=[{"asset_id": asset.id}])

    page = browser.get(f"{ASSETS}{asset.id}/change/")
    refused = browser.post(f"{ASSETS}{asset.id}/delete/", follow=True)
    gone = browser.post(f"{ASSETS}{unused.id}/delete/", follow=True)

    assert "product Red Shoes" in page.text
    assert "is shown by product Red Shoes" in refused.text
    assert "is deleted" in gone.text
    with factories.at_work(tenant):
        assert [row.id for row in models.Asset.objects.all()] == [asset.id]


def test_what_may_not_be_read_is_counted_and_not_named(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        asset = making.make_asset()
        shop.make_product(images=[{"asset_id": asset.id}])
        grants = [roles.GrantInput(permission=f"media:{action}") for action in ("list", "read", "update")]
        roles.create_role(new=roles.NewRole(slug="keeper", name="Keeper", grants=grants), by=None)

    page = desk_of(tenant, "keeper").get(f"{ASSETS}{asset.id}/change/")

    assert "1 that only others may see" in page.text
    assert "product Red Shoes" not in page.text


@pytest.mark.parametrize(("role", "status"), [("merchandiser", 200), ("manager", 200), ("looker", 403)])
def test_only_who_may_upload_is_offered_it(tenant: tenants.Tenant, role: str, status: int) -> None:
    with factories.at_work(tenant):
        grants = [roles.GrantInput(permission="media:read")]
        roles.create_role(new=roles.NewRole(slug="looker", name="Looker", grants=grants), by=None)
    browser = desk_of(tenant, role)

    assert browser.get(f"{ASSETS}upload/").status_code == status
    assert browser.post(f"{ASSETS}upload/", {"file": sent()}).status_code == (302 if status == 200 else 403)


def test_a_list_of_many_costs_what_one_of_few_does(tenant: tenants.Tenant) -> None:
    browser = desk_of(tenant)

    def make(number: int) -> Any:
        with factories.at_work(tenant):
            return making.make_asset(alt=f"Picture {number}")

    assert_constant_queries(lambda: browser.get(ASSETS), make)
