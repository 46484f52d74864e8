"""The library over HTTP: forms with files, what is refused of them, and files as browsers get them."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.accounts.access import roles
from apps.content import models as content
from apps.kernel import ids
from apps.media import files, models, usage
from apps.tenants import models as tenants
from tests import factories
from tests.accounts import calling
from tests.commerce.making import make_product
from tests.content.making import make_node
from tests.media.making import Api, below, make_asset, picture


@pytest.fixture
def api(tenant: tenants.Tenant) -> Api:
    return Api(tenant)


def count(tenant: tenants.Tenant) -> int:
    with factories.at_work(tenant):
        return models.Asset.objects.count()


def test_a_file_comes_is_described_shown_and_goes(api: Api, media: Path) -> None:
    answer = api.send(picture((600, 300)), "Über uns.png", folder="team", alt="The team")

    assert answer.status_code == 201, answer.content
    asset = answer.json()
    path = f"assets/{asset['id']}"
    assert (asset["name"], asset["folder"], asset["width"]) == ("Über uns.png", "team", 600)
    assert asset["translations"] == [{"locale": "en", "alt": "The team", "caption": ""}]
    assert [each["name"] for each in asset["renditions"]] == ["thumbnail", "small"]
    read = api.call("GET", path)
    assert read.json() == asset
    changed = api.call("PATCH", path, {"folder": "people"}, **{"If-Match": read["ETag"]})
    assert (changed.status_code, changed.json()["folder"]) == (200, "people")
    assert (
        api.call("PATCH", path, {"folder": "x"}, **{"If-Match": read["ETag"]}).json()["code"] == "precondition_failed"
    )
    assert [row["id"] for row in api.call("GET", "assets?folder=people&kind=image").json()["data"]] == [asset["id"]]
    assert api.call("GET", f"{path}/usage").json() == {"uses": []}
    assert api.call("DELETE", path).status_code == 204
    assert api.call("GET", path).json()["code"] == "asset_not_found"


def test_the_same_key_takes_a_file_in_once(api: Api, tenant: tenants.Tenant, media: Path) -> None:
    content, key = picture(), {"Idempotency-Key": str(uuid.uuid4())}

    first = api.send(content, headers=key)
    kept = below(media)
    again = api.send(content, headers=key)
    other = api.send(picture(), headers=key)

    assert (first.status_code, again.status_code, again["Idempotent-Replayed"]) == (201, 201, "true")
    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (count(tenant), below(media)) == (1, kept)


def test_the_same_file_without_a_key_is_found(api: Api) -> None:
    content = picture()
    first, again = api.send(content), api.send(content)

    assert (first.status_code, again.status_code, again.json()["id"]) == (201, 201, first.json()["id"])


@pytest.mark.parametrize(
    ("content", "name", "declared", "reason"),
    [
        (b"<svg onload='alert(1)'/>", "a.svg", "image/svg+xml", "svg"),
        (b"GIF89a<script>alert(1)</script>", "a.gif", "image/gif", "damaged"),
        (b"<html>", "a.png", "image/png", "type"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "a.png", "image/png", "damaged"),
    ],
)
def test_what_pretends_is_refused(api: Api, media: Path, content: bytes, name: str, declared: str, reason: str) -> None:
    answer = api.send(content, name, declared)

    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (422, "upload_refused", reason)
    assert below(media) == []


def test_a_form_without_a_file_and_with_a_wrong_field_names_both(api: Api) -> None:
    answer = api.client.post("/api/v1/admin/assets", {"file": "text", "folders": "x"}, headers=api.headers)

    assert answer.status_code == 422
    assert {(each["pointer"], each["code"]) for each in answer.json()["errors"]} == {
        ("/file", "not_a_file"), ("/folders", "extra_forbidden"),
    }  # fmt: skip
    assert api.call("POST", "assets", {"file": "x"}).json()["code"] == "unsupported_media_type"
    empty = api.client.post("/api/v1/admin/assets", b"", content_type="", headers=api.headers)
    assert [(each["pointer"], each["code"]) for each in empty.json()["errors"]] == [("/file", "missing")]
    broken = api.client.post(
        "/api/v1/admin/assets", b"--x", content_type="multipart/form-data; boundary=é", headers=api.headers
    )
    assert broken.status_code == 400


def test_a_file_may_be_larger_than_other_bodies_and_has_a_bound(api: Api, settings: Any) -> None:
    settings.LARGEST_BODY, settings.LARGEST_UPLOAD = 1_000, 20_000

    assert api.send(b"%PDF-1.7" + b"x" * 9_000, "a.pdf", "application/pdf").status_code == 201
    assert api.send(b"%PDF-1.7" + b"x" * 21_000, "a.pdf", "application/pdf").json()["code"] == "body_too_large"
    assert api.call("POST", "assets", {"x": "y" * 2_000}).json()["code"] == "body_too_large"
    assert api.call("POST", "tags", {"x": "y" * 2_000}).json()["code"] == "body_too_large"


def test_who_may_not_is_refused_before_the_file_is_looked_at(tenant: tenants.Tenant, media: Path) -> None:
    customer = Api(tenant, "customer").send(picture())
    stranger = Client().post("/api/v1/admin/assets", {}, headers={"X-Tenant": tenant.slug})

    assert (customer.status_code, stranger.status_code) == (403, 401)
    assert below(media) == []


def test_uploads_are_expensive_and_reading_is_not(api: Api, settings: Any) -> None:
    answer = api.send(picture())
    listed = api.call("GET", "assets")

    assert "expensive" in answer["RateLimit-Policy"]
    assert "expensive" not in listed["RateLimit-Policy"]


def test_another_tenants_file_is_not_there(api: Api) -> None:
    other = Api(factories.make_tenant())
    path = f"assets/{other.send(picture()).json()['id']}"

    for method, body in (("GET", None), ("PATCH", {"folder": "x"}), ("DELETE", None)):
        assert api.call(method, path, body).json()["code"] == "asset_not_found"
    assert api.call("GET", f"{path}/usage").status_code == 404
    assert api.call("GET", "assets").json()["data"] == []
    assert other.call("GET", path).status_code == 200


@dataclass(frozen=True)
class Shown:
    """An asset that a post, a page in two languages and a product show, all of them drafts."""

    asset_id: str
    page: content.Node

    def asked_by(self, tenant: tenants.Tenant, *grants: roles.GrantInput) -> tuple[list[Any], Any]:
        """What a member with these grants beside those on media is told of its usage, and of its deletion."""
        media = [roles.GrantInput(permission=f"media:{action}") for action in ("read", "delete")]
        with factories.at_work(tenant):
            roles.create_role(new=roles.NewRole(slug="asker", name="Asker", grants=[*media, *grants]), by=None)
        caller, path = calling.make_caller(tenant, "asker"), f"assets/{self.asset_id}"
        return caller.call("GET", f"{path}/usage").json()["uses"], caller.call("DELETE", path)


@pytest.fixture
def shown(tenant: tenants.Tenant) -> Shown:
    with factories.at_work(tenant):
        asset = make_asset()
        image = {"image_id": str(asset.id)}
        make_node("Secret post", kind="post", seo={"en": image})
        texts = [{"locale": "en", "title": "Secret page"}, {"locale": "de", "title": "Seite"}]
        page = make_node(translations=texts, seo={"en": image})
        make_product(title="Secret product", images=[{"asset_id": str(asset.id)}])
    return Shown(ids.encode("asset", asset.id), page)


def test_what_may_not_be_read_keeps_an_asset_and_is_counted_only(shown: Shown, tenant: tenants.Tenant) -> None:
    told, refused = shown.asked_by(tenant)

    assert told == refused.json()["uses"] == []
    assert (refused.status_code, refused.json()["code"]) == (409, "asset_in_use")
    assert "is shown by 3 that only others may see" in refused.json()["detail"]


def test_what_is_within_the_limits_is_told_first_and_in_their_language(
    shown: Shown, tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "AT_MOST", 1)
    within = {"kind": ["page"], "locale": ["de"]}

    told, refused = shown.asked_by(tenant, roles.GrantInput(permission="nodes:read", constraint=within))

    assert (
        told == refused.json()["uses"] == [{"type": "node", "id": ids.encode("node", shown.page.id), "title": "Seite"}]
    )
    assert "is shown by node Seite, 1 that only others may see" in refused.json()["detail"]


def test_who_may_read_products_is_told_of_them(shown: Shown, tenant: tenants.Tenant) -> None:
    told, _ = shown.asked_by(tenant, roles.GrantInput(permission="products:read"))

    assert [(use["type"], use["title"]) for use in told] == [("product", "Secret product")]


def test_a_picture_is_sent_as_what_it_is_and_kept_for_ever(api: Api) -> None:
    asset = api.send(picture()).json()

    answer = Client().get(asset["url"])

    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert b"".join(answer)[:4] == b"\x89PNG"  # type: ignore[arg-type]
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in answer["Cache-Control"]
    assert answer["Content-Disposition"] == 'inline; filename="a.png"'
    assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
    small = Client().get(asset["renditions"][0]["url"])
    assert (small.status_code, small["Content-Type"]) == (200, "image/webp")
    b"".join(small)  # type: ignore[arg-type]


def test_a_document_is_saved_and_not_shown_within_a_page(api: Api) -> None:
    asset = api.send(b"%PDF-1.7 <script>", "Price List.pdf", "application/pdf").json()

    answer = Client().get(asset["url"])

    assert answer["Content-Disposition"] == 'attachment; filename="price-list.pdf"'
    assert answer["Content-Type"] == "application/pdf"
    b"".join(answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    [
        "tenants/{tenant}/assets/{place}/other.png",
        "tenants/{tenant}/assets/../../secret.png",
        "tenants/{tenant}/media/one.txt",
        "../rustok/settings.py",
        "tenants/{tenant}/assets/{place}/",
        "tenants/{tenant}/assets/",
        "",
    ],
)
def test_only_files_of_assets_are_served(api: Api, tenant: tenants.Tenant, media: Path, path: str) -> None:
    place = api.send(picture()).json()["url"].split("/")[-2]
    (media / "secret.png").write_bytes(b"secret")

    answer = Client().get("/media/" + path.format(tenant=tenant.pk, place=place))

    assert answer.status_code == 404


def test_nginx_or_the_bucket_sends_files_where_they_are_to(api: Api, settings: Any, media: Path) -> None:
    asset = api.send(picture()).json()
    settings.MEDIA_SERVING = "accel"

    answer = Client().get(asset["url"])

    assert answer["X-Accel-Redirect"] == asset["url"].replace("/media/", "/media-files/")
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("image/png", "nosniff")


def test_files_are_asked_for_on_every_host_and_as_often_as_a_page_has_pictures(api: Api) -> None:
    url = api.send(picture()).json()["url"]

    answer = Client().get(url, headers={"Host": "nobody.example.org"})

    assert (answer.status_code, "RateLimit-Policy" in answer) == (200, False)
    b"".join(answer)  # type: ignore[arg-type]


def test_two_at_once_send_the_same_file(committed_db: None, media: Path) -> None:
    tenant = factories.make_tenant()
    content, found = picture((800, 800)), []

    def send() -> None:
        from django.db import connection

        with factories.at_work(tenant):
            found.append(make_asset(content=content).id)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert {path.split("/")[3] for path in below(media)} == {_place(tenant, found[0])}


def _place(tenant: tenants.Tenant, asset_id: uuid.UUID) -> str:
    with factories.at_work(tenant):
        place = models.Asset.objects.get(id=asset_id).place
    assert len(place) == 32
    assert files.new_place() != place
    return place
