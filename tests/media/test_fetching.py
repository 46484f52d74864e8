"""Images of an imported shop or site come into the library: the old one may close, its export still changes nothing."""

from __future__ import annotations

import csv
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from PIL.PngImagePlugin import PngImageFile

from apps.commerce import models
from apps.consumers import status, tasks
from apps.content import models as content
from apps.kernel import isolation, outbound
from apps.media import fetching
from apps.media import models as media
from apps.outbox.models import Log
from apps.readmodels.models import LiveProduct
from apps.tenants import models as tenants
from tests import factories
from tests.content import wxr
from tests.media.making import picture

pytestmark = pytest.mark.usefixtures("committed_db")

HEADER = ["Handle", "Title", "Option1 Name", "Option1 Value", "Variant Price", "Image Src", "Variant Image", "Status"]


@dataclass
class Shop:
    """Another shop's image server on the loopback; `answers` are status, headers and body by path."""

    port: int = 0
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://cdn.example:{self.port}{path}"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    shop = Shop()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shop.asked.append(self.path)
            code, headers, body = shop.answers.get(self.path, (404, {}, b""))
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shop.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(
        fetching,
        "client",
        lambda: outbound.Client(
            inside=("127.0.0.0/8",), ports=frozenset({shop.port}), resolver=lambda host, port: ["127.0.0.1"]
        ),
    )
    yield shop
    server.shutdown()
    server.server_close()


@pytest.fixture
def tenant(settings: Any, tmp_path: Path) -> tenants.Tenant:
    settings.MEDIA_ROOT = tmp_path / "media"
    return factories.make_tenant(slug="acme", currency="EUR")


@pytest.fixture
def export(shop: Shop, tmp_path: Path) -> Path:
    """Two products: one with two images, of which one is a variant's, and one with an image that moved."""
    shop.answers = {
        "/red.jpg?v=1": (200, {"Content-Type": "image/jpeg"}, picture()),  # no JPEG, whatever it says
        "/blue.png": (200, {"Content-Type": "image/png"}, picture()),
        "/old.png": (301, {"Location": "/new.png"}, b""),
        "/new.png": (200, {"Content-Type": "image/png"}, picture()),
    }
    red, blue, old = shop.url("/red.jpg?v=1"), shop.url("/blue.png"), shop.url("/old.png")
    path = tmp_path / "shop.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [
                HEADER,
                ["mug", "Mug", "Colour", "Red", "12.50", red, red, "active"],
                ["mug", "", "", "Blue", "12.50", blue, blue, ""],
                ["tray", "Tray", "Title", "Default Title", "9", old, "", "active"],
            ]
        )
    return path


def take_in(export: Path) -> None:
    call_command("import_shopify", str(export), tenant="acme", quiet=True)


def fetch(**options: Any) -> None:
    call_command("fetch_images", tenant="acme", quiet=True, **options)


def urls(tenant: tenants.Tenant) -> list[str]:
    with factories.at_work(tenant):
        return list(models.ProductImage.objects.order_by("product_id", "position").values_list("url", flat=True))


def events() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbox_log")
        return int(cursor.fetchone()[0])


def test_images_come_into_the_library_and_variants_keep_theirs(
    tenant: tenants.Tenant, export: Path, shop: Shop, over_all_tenants: None
) -> None:
    take_in(export)
    with factories.at_work(tenant):
        shown_before = dict(models.Variant.objects.values_list("id", "image_id"))

    fetch()

    assert all(
        url.startswith("/media/") and default_storage.exists(url.removeprefix("/media/")) for url in urls(tenant)
    )
    with factories.at_work(tenant):
        assert dict(models.Variant.objects.values_list("id", "image_id")) == shown_before
        assert sorted(media.Asset.objects.values_list("name", flat=True)) == ["blue.png", "old.png", "red.png"]
    tasks.drain()
    with factories.at_work(tenant):
        documents = [row.document for row in LiveProduct.objects.all()]
    assert "cdn.example" not in str(documents) and "/media/" in str(documents)
    assert status.verify() == []


def test_the_export_is_still_what_is_there_and_nothing_is_asked_again(
    tenant: tenants.Tenant, export: Path, shop: Shop
) -> None:
    take_in(export)
    fetch()
    before, asked, shown = events(), list(shop.asked), urls(tenant)

    take_in(export)
    fetch()

    assert (events(), shop.asked, urls(tenant)) == (before, asked, shown)


def test_another_product_with_the_same_addresses_shows_the_library_at_once(
    tenant: tenants.Tenant, export: Path, shop: Shop
) -> None:
    take_in(export)
    fetch()
    export.write_text(export.read_text("utf-8").replace("mug,", "cup,").replace("tray,", "plate,"), "utf-8")

    take_in(export)

    assert len(urls(tenant)) == 6
    assert all(url.startswith("/media/") for url in urls(tenant))


def test_what_can_not_be_fetched_stays_is_told_and_is_asked_again_on_demand(
    tenant: tenants.Tenant, export: Path, shop: Shop, tmp_path: Path
) -> None:
    page = (200, {"Content-Type": "text/html"}, b"<html>The shop has moved</html>")
    found, shop.answers["/blue.png"] = shop.answers["/blue.png"], page
    del shop.answers["/new.png"]
    take_in(export)
    report = tmp_path / "report.csv"

    with pytest.raises(SystemExit) as ended:
        fetch(report=report)

    assert ended.value.code == 3
    told = {row["value"]: row["problem"] for row in csv.DictReader(report.read_text("utf-8").splitlines())}
    assert told.keys() == {shop.url("/blue.png"), shop.url("/old.png")}
    assert "its bytes are not those of" in told[shop.url("/blue.png")]
    assert told[shop.url("/old.png")] == "The other side answered 404."
    asked = len(shop.asked)
    with pytest.raises(SystemExit):
        fetch()
    assert len(shop.asked) == asked
    shop.answers["/blue.png"], shop.answers["/new.png"] = found, found

    fetch(again=True)

    assert all(url.startswith("/media/") for url in urls(tenant))


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("http://old.test/a.jpg", "https://old.test/a.jpg"),  # in production nothing is asked for in the clear
        ("//cdn.test/a.jpg", "https://cdn.test/a.jpg"),
        ("https://old.test/фото 1.jpg?v=1&w=2", "https://old.test/%D1%84%D0%BE%D1%82%D0%BE%201.jpg?v=1&w=2"),
        ("https://old.test/a%20b.jpg", "https://old.test/a%20b.jpg"),
        ("ftp://old.test/a.jpg", "https://old.test/a.jpg"),
    ],
)
def test_addresses_are_asked_for_as_they_can_be(given: str, asked: str) -> None:
    assert fetching._askable(given, ("https",)) == asked


def test_a_file_that_is_not_kept_after_all_leaves_nothing(
    tenant: tenants.Tenant, export: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    def fails(*given: Any, **told: Any) -> media.Source:
        raise RuntimeError("the database went away")

    monkeypatch.setattr(fetching, "_keep", fails)
    with factories.at_work(tenant), pytest.raises(RuntimeError):
        fetching.fetch(url=shop.url("/blue.png"), now=tenant.created_at)

    assert [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()] == []


def test_an_address_inside_is_not_asked(tenant: tenants.Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an export names is somebody else's word, and a redirect too."""
    with factories.at_work(tenant):
        source = fetching.fetch(url="http://127.0.0.1/secret.png", now=tenant.created_at)

    assert source.asset_id is None
    assert "not public" in source.problem


@pytest.mark.parametrize("broken", ["https://[", "//[x"])
def test_what_is_no_address_is_not_fetched(tenant: tenants.Tenant, shop: Shop, broken: str) -> None:
    with factories.at_work(tenant):
        source = fetching.fetch(url=broken, now=tenant.created_at)

    assert source.asset_id is None
    assert "it is no address" in source.problem


def test_an_image_has_a_name_whatever_its_address_is() -> None:
    assert fetching._name("/\n/[x//cdn.example/mug.png", None) == "image"


@pytest.mark.parametrize("leads_to", ["https://[", "//[x"])
def test_a_redirect_to_no_address_is_told_and_others_go_on(
    tenant: tenants.Tenant, export: Path, shop: Shop, tmp_path: Path, leads_to: str
) -> None:
    shop.answers["/blue.png"] = (302, {"Location": leads_to}, b"")
    take_in(export)
    report = tmp_path / "report.csv"

    with pytest.raises(SystemExit):
        fetch(report=report)

    told = {row["value"]: row["problem"] for row in csv.DictReader(report.read_text("utf-8").splitlines())}
    assert told.keys() == {shop.url("/blue.png")}
    assert "it is no address" in told[shop.url("/blue.png")]
    assert len([url for url in urls(tenant) if url.startswith("/media/")]) == 2
    asked = len(shop.asked)
    with pytest.raises(SystemExit):
        fetch()
    assert len(shop.asked) == asked


def test_a_product_that_shows_no_address_holds_nobody_up(tenant: tenants.Tenant, export: Path, shop: Shop) -> None:
    take_in(export)
    with factories.at_work(tenant):
        models.ProductImage.objects.filter(url=shop.url("/blue.png")).update(url="https://[/blue.png")

    fetch(host=["cdn.example"])
    with pytest.raises(SystemExit):
        fetch()

    assert [url for url in urls(tenant) if not url.startswith("/media/")] == ["https://[/blue.png"]


def test_an_image_that_makes_a_decoder_stumble_is_told(
    tenant: tenants.Tenant, export: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(image: PngImageFile) -> None:
        raise IndexError("somewhere in a decoder")

    monkeypatch.setattr(PngImageFile, "load", fails)
    with factories.at_work(tenant):
        source = fetching.fetch(url=shop.url("/blue.png"), now=tenant.created_at)

    assert "can't be read as one" in source.problem


def test_an_interruption_keeps_what_was_done(
    tenant: tenants.Tenant, export: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(export)
    original = fetching.fetch

    def interrupted(**given: Any) -> media.Source:
        if len(shop.asked) >= 2:
            raise KeyboardInterrupt
        return original(**given)

    with monkeypatch.context() as patched, pytest.raises(CommandError, match="Run it again to go on") as ended:
        patched.setattr(fetching, "fetch", interrupted)
        fetch()
    asked = len(shop.asked)

    fetch()

    assert ended.value.returncode == 130
    assert len(shop.asked) == asked + 2  # the one that moved takes two
    with factories.at_work(tenant):
        assert Log.objects.filter(type="media.asset.uploaded").count() == 3


def test_images_of_a_site_are_shown_from_the_library_and_its_export_changes_nothing(
    tenant: tenants.Tenant, export: Path, shop: Shop, tmp_path: Path
) -> None:
    shop.answers["/w_300,h_200/cut.png"] = (200, {"Content-Type": "image/png"}, picture())
    red, blue, other = shop.url("/red.jpg?v=1"), shop.url("/blue.png"), "https://elsewhere.test/kept.png"
    cut = shop.url("/w_300,h_200/cut.png")
    text = (
        f'<p><img src="{red}" alt="Red"> and <a href="{blue}">blue</a>, {blue}. But not '
        f'<a href="{shop.url("/page")}">a page</a>.</p><p><img src="{other}" alt=""><img src="{cut}" alt=""></p>'
    )
    site = wxr.write(
        tmp_path / "site.xml",
        wxr.item(1, content=text),
        wxr.item(2, "Blue", type="attachment", status="inherit", attachment_url=blue),
    )
    call_command("import_wordpress", str(site), tenant="acme", quiet=True)

    fetch(host=["cdn.example"])

    with factories.at_work(tenant):
        paths = {asset.name: f"/media/{asset.path}" for asset in media.Asset.objects.all()}
        post, attachment = content.Node.objects.order_by("external_id")
        [body] = post.bodies.all()
    assert body.body.startswith(f'<p><img src="{paths["red.png"]}" alt="Red"> and <a href="{paths["blue.png"]}"'), (
        body.body
    )
    assert f"{paths['blue.png']}. But not" in body.body
    assert body.body.count("cdn.example") == 1 and other in body.body and paths["cut.png"] in body.body
    assert attachment.metadata["url"] == paths["blue.png"]
    assert attachment.metadata["asset_id"].startswith("asset_")
    before, asked = events(), list(shop.asked)

    call_command("import_wordpress", str(site), tenant="acme", quiet=True)
    fetch(host=["cdn.example"])

    assert (events(), shop.asked) == (before, asked)
    tasks.drain()
    with isolation.all_tenants(reason="test"):
        assert status.verify() == []
