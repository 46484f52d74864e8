"""A real browser at the editors' desk: a product, a translation, the tree, and two people at one page."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client
from playwright.sync_api import Browser, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.accounts.desk.screens import EditingAdmin
from apps.commerce import models as commerce
from apps.commerce import queries
from apps.content import models as content
from apps.imports import serving
from apps.kernel import isolation
from apps.tenants import models as tenants
from rustok.testing.draining import drain
from tests import factories
from tests.commerce import making
from tests.content import making as site
from tests.media import making as library

PATIENCE = 30_000  # ms, on a busy machine
expect.set_options(timeout=PATIENCE)
_TELL = """
document.addEventListener("securitypolicyviolation", e => console.error(
  `CSP ${e.effectiveDirective} kept out ${e.blockedURI} of ${e.sourceFile}:${e.lineNumber} ${e.sample}`));
"""


@dataclass
class Desk:
    """The admin on a tenant's host, in a browser of its owner, and what went wrong on its pages."""

    tenant: tenants.Tenant
    page: Page
    thread: ThreadPoolExecutor
    wrongs: list[str] = field(default_factory=list)

    def do(self, work: Callable[[Page], Any]) -> Any:
        """Where the browser lives, which is another thread than the database's."""
        return self.thread.submit(work, self.page).result()


@pytest.fixture
def server(committed_db: None) -> Iterator[LiveServer]:
    started = LiveServer("127.0.0.1")
    yield started
    started.stop()


NAME, PASSWORD = "ines@example.test", "tea with lemon peel"


@pytest.fixture
def desk(chromium: Browser, thread: ThreadPoolExecutor, server: LiveServer) -> Iterator[Desk]:
    tenant = factories.make_tenant(domains=["desk.localhost"], default_locale="en", locales=["de"], currency="EUR")
    client, user = Client(), factories.make_user(email=NAME, password=PASSWORD, is_staff=True)
    client.force_login(factories.make_member(tenant, "owner", user))
    name = django_settings.SESSION_COOKIE_NAME
    base = f"http://desk.localhost:{urlsplit(server.url).port}"

    def open_page() -> Page:
        context = chromium.new_context(base_url=base, viewport={"width": 1280, "height": 1400})
        context.set_default_timeout(PATIENCE)
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": base}])
        context.add_init_script(_TELL)
        return context.new_page()

    page = thread.submit(open_page).result()
    opened = Desk(tenant, page, thread)

    def listen(page: Page) -> None:
        def note(message: Any) -> None:
            if message.type == "error" and not message.text.startswith("Failed to load resource: the server responded"):
                opened.wrongs.append(f"{page.url}: {message.text}")

        page.on("console", note)
        page.on("pageerror", lambda error: opened.wrongs.append(f"{page.url}: {error}"))

    opened.do(listen)
    yield opened
    thread.submit(page.context.close).result()


def test_no_page_of_the_desk_breaks_the_policy_or_is_wider_than_a_phone(desk: Desk) -> None:
    with factories.at_work(desk.tenant):
        category = making.make_category("Shirts")
        making.make_collection("Summer")
        making.make_product(
            making.product_fields(category_ids=[category.id], images=[{"url": "/static/desk/mark.svg"}])
        )
        root = site.make_node("Home", bodies=[{"locale": "en", "body": "# Hello"}])
        site.make_node("Below", parent_id=root.id)
        site.make_category("News")
        site.make_tag("red")
        paths = ["/admin/", f"/admin/content/node/tree/?open={root.id}"]
        for model, screen in admin.site._registry.items():
            listed = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            paths.append(listed)
            if isinstance(screen, EditingAdmin):
                row = model._default_manager.order_by("pk").first()
                paths += [f"{listed}add/"]
                paths += [f"{listed}{quote(row.pk)}/{page}/" for page in ("change", "delete", "history")] if row else []

    def crawl(page: Page) -> dict[str, tuple[int, int]]:
        found = {}
        for path in paths:
            page.set_viewport_size({"width": 390, "height": 844})
            answer = page.goto(path, wait_until="load")
            assert answer is not None
            wider = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
            found[path] = (answer.status, wider)
        return found

    found = desk.do(crawl)

    assert desk.wrongs == []
    ours = {path: seen for path, seen in found.items() if seen[0] != 403}
    assert len(ours) > 25
    assert {path: seen for path, seen in ours.items() if seen != (200, 0)} == {}


HEADER = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty,Status\n"
GOODS = [f"good-{number},Good {number},Title,Default Title,G-{number},9.90,5,active\n" for number in range(1, 61)]
WRONG = "lamp,Lamp,Title,Default Title,LAMP,nine euros,1,active\n"


def test_a_whole_day(desk: Desk, tmp_path: Path, settings: Any) -> None:
    """From the login to what the storefront shows: a file is taken and mended, a product, a page, a menu are made."""
    settings.MEDIA_ROOT = tmp_path / "media"
    with factories.at_work(desk.tenant):
        for title in ("Home", "Contact", "About us"):
            site.make_node(title, bodies=[{"locale": "en", "body": f"# {title}"}])
    export, red = tmp_path / "shop.csv", tmp_path / "Red Shirt.png"
    export.write_text(HEADER + "".join(GOODS) + WRONG, "utf-8")
    red.write_bytes(library.picture())

    desk.do(_log_in)
    desk.do(lambda page: _send_import(page, export))
    with isolation.all_tenants(reason="test"):
        assert serving.advance(deadline=time.monotonic() + 0.02)  # a worker that has time for one batch
    desk.do(lambda page: expect(page.locator("progress")).to_have_js_property("value", 50))
    drain()
    desk.do(_read_problems)
    export.write_text(HEADER + "".join(GOODS) + WRONG.replace("nine euros", "9"), "utf-8")
    desk.do(lambda page: _send_import(page, export))
    drain()
    desk.do(lambda page: expect(page.locator(".import-tally")).to_contain_text("60 unchanged"))

    desk.do(lambda page: _make_product(page, red))
    desk.do(_translate_page)
    desk.do(_order_tree)
    desk.do(_build_menu)
    drain()

    store = Client(headers={"host": "desk.localhost"})

    def shown(path: str) -> Any:
        answer = store.get(f"/api/v1/store/{path}")
        assert answer.status_code == 200, (path, answer.content)
        return answer.json()

    shirt = shown("products/linen-shirt")
    assert [variant["sku"] for variant in shirt["variants"]] == ["SHIRT-S", "SHIRT-M"]
    [image] = shirt["images"]
    file = store.get(image["url"])
    assert (image["alt"], file.status_code, b"".join(file)[:4]) == ("A red shirt", 200, b"\x89PNG")
    assert shown("products?count=exact")["count"] == 62
    assert shown("products/lamp")["title"] == "Lamp"
    about = shown("content/page/uber-uns?locale=de")
    assert about["title"] == "Über uns" and "<strong>hier</strong>" in about["body"]["html"]
    items = shown("menus/header")["items"]
    assert [(item["title"], [child["title"] for child in item["children"]]) for item in items] == [
        ("Shop", ["Linen shirt"]), ("About us", []),
    ]  # fmt: skip
    with factories.at_work(desk.tenant):
        rows = content.Node.objects.order_by("depth", "position").prefetch_related("translations")
        assert [str(row) for row in rows] == ["About us", "Home", "Contact"]
    assert desk.wrongs == []


def _log_in(page: Page) -> None:
    page.context.clear_cookies()
    page.goto("/admin/")
    page.locator("[name=username]").fill(NAME)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Imports", exact=True)).to_be_visible()


def _send_import(page: Page, file: Path) -> None:
    page.goto("/admin/imports/run/upload/")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_label("Format").select_option(label="Shopify products (CSV)")
    page.get_by_label("Only look for problems first").uncheck()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("progress")).to_be_visible()


def _read_problems(page: Page) -> None:
    """What was not taken stands on the page, and in the file an editor opens beside the export."""
    expect(page.locator("[data-shown=status]")).to_have_text("done")
    expect(page.locator(".import-run tbody tr")).to_contain_text("nine euros")
    with page.expect_download() as loading:
        page.get_by_role("link", name="All of them as CSV").click()
    [row] = csv.DictReader(loading.value.path().read_text("utf-8-sig").splitlines())
    assert (row["row"], row["column"], row["value"]) == ("61", "Variant Price", "nine euros")


def _make_product(page: Page, picture: Path) -> None:
    page.goto("/admin/commerce/product/add/")
    page.get_by_role("button", name="Add an option").click()
    page.locator("[name^='options/'][name$='/names/en']").fill("Size")
    page.locator("[name^='options/'][name$='/values/en']").fill("S\nM")
    page.locator("[name='translations/en/title']").fill("Linen shirt")
    page.get_by_role("button", name="Add a variant").click()
    for row, (size, sku) in enumerate((("S", "SHIRT-S"), ("M", "SHIRT-M"))):
        line = page.locator("[data-rows=variants] tbody.row").nth(row)
        line.locator("[name$='/values/0']").fill(size)
        line.locator("[name$='/sku']").fill(sku)
        line.locator("[name$='/prices/EUR/amount']").fill("19.90")
    page.get_by_role("button", name="Add an image").click()
    images = page.locator("[data-rows=images]")
    with page.expect_file_chooser() as choosing:
        images.get_by_role("button", name="Upload…").click()
    choosing.value.set_files(picture)
    expect(images.locator("[name$='/url']")).to_have_value(re.compile("^/media/"))
    images.locator("[name$='/alt']").fill("A red shirt")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator(".messagelist")).to_contain_text("is saved")
    expect(page.locator("[data-rows=images] .row-picture img")).to_be_visible()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("is saved and published")


def _translate_page(page: Page) -> None:
    page.goto("/admin/content/node/")
    page.get_by_role("link", name="About us").first.click()
    page.get_by_role("button", name="de missing").click()
    panel = page.locator("[data-language=de]")
    panel.locator("[name='translations/de/title']").fill("Über uns")
    panel.locator("[name='bodies/de/body']").fill("Wir sind ")
    panel.get_by_role("button", name="Preview").click()
    panel.get_by_role("button", name="Bold").click()
    page.keyboard.type("hier")
    expect(panel.frame_locator("iframe").locator("strong")).to_have_text("hier")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("is saved and published")


def _order_tree(page: Page) -> None:
    page.goto("/admin/content/node/tree/")
    about = page.locator("li", has_text="About us").locator(".tree-grip")
    about.drag_to(page.locator("li", has_text="Home").locator(".tree-row"), target_position={"x": 60, "y": 2})
    expect(page.locator(".tree-name")).to_have_text(["About us", "Home", "Contact"])


def _build_menu(page: Page) -> None:
    page.goto("/admin/content/menu/add/")
    page.locator("[name=name]").fill("Main")
    page.locator("[name=location]").select_option("header")
    rows = page.locator("[data-rows=items] tbody.row")

    def add(level: str, title: str = "") -> Locator:
        before = rows.count()
        page.get_by_role("button", name="Add an item").click()
        expect(rows).to_have_count(before + 1)
        row = rows.nth(before)
        row.locator("[name$='/level']").select_option(level)
        row.locator("[name$='/titles/en']").fill(title)
        return row

    add("1", "Shop")
    shirt = add("2")
    shirt.locator("summary").click()
    shirt.get_by_role("combobox", name="Product", exact=True).fill("Linen")
    shirt.get_by_role("option", name="Linen shirt").click()
    about = add("1")
    about.get_by_role("combobox", name="Page or post").fill("About")
    about.get_by_role("option", name="About us").click()
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator(".messagelist")).to_contain_text("is saved")


def test_a_product_with_two_variants_is_made(desk: Desk) -> None:
    with factories.at_work(desk.tenant):
        making.make_category("Footwear")

    def make(page: Page) -> None:
        page.goto("/admin/commerce/product/add/")
        page.get_by_role("button", name="Add an option").click()
        page.locator("[name^='options/'][name$='/names/en']").fill("Size")
        page.locator("[name^='options/'][name$='/values/en']").fill("S\nM")
        page.locator("[name='translations/en/title']").fill("Linen shirt")
        page.get_by_role("button", name="Add a variant").click()
        for row, (size, sku, price) in enumerate((("S", "SHIRT-S", "19.90"), ("M", "SHIRT-M", "twenty"))):
            line = page.locator("[data-rows=variants] tbody.row").nth(row)
            line.locator("[name$='/values/0']").fill(size)
            line.locator("[name$='/sku']").fill(sku)
            line.locator("[name$='/prices/EUR/amount']").fill(price)
        search = page.get_by_role("combobox", name="Categories")
        search.fill("foot")
        page.get_by_role("option", name="Footwear").click()
        page.get_by_role("button", name="Save", exact=True).last.click()
        expect(page.locator(".problem")).to_have_count(1)
        wrong = page.locator("[name$='/prices/EUR/amount'][aria-invalid=true]")
        expect(wrong).to_have_value("twenty")
        wrong.fill("21")
        page.get_by_role("button", name="Save", exact=True).last.click()
        expect(page.locator(".messagelist")).to_contain_text("is saved")
        page.get_by_role("button", name="Publish", exact=True).click()
        expect(page.locator(".messagelist")).to_contain_text("is saved and published")

    desk.do(make)

    with factories.at_work(desk.tenant):
        made = queries.get_product(product_id=commerce.Product.objects.get().id)
        assert made.product.status == "published"
        assert [(each.row.sku, each.prices["EUR"].amount) for each in made.variants] == [
            ("SHIRT-S", 1990), ("SHIRT-M", 2100),
        ]  # fmt: skip
        assert len(made.category_ids) == 1
    assert desk.wrongs == []


def test_a_page_is_translated_with_its_preview_beside_it(desk: Desk) -> None:
    with factories.at_work(desk.tenant):
        node = site.make_node("About us", bodies=[{"locale": "en", "body": "# Hello"}])

    def translate(page: Page) -> str:
        page.goto(f"/admin/content/node/{node.id}/change/")
        expect(page.locator("[data-language=de]")).to_be_hidden()
        page.get_by_role("button", name="de missing").click()
        panel = page.locator("[data-language=de]")
        panel.locator("[name='translations/de/title']").fill("Über uns")
        panel.locator("[name='bodies/de/body']").fill("Wir sind ")
        panel.get_by_role("button", name="Preview").click()
        panel.get_by_role("button", name="Bold").click()
        page.keyboard.type("hier")
        frame = panel.frame_locator("iframe")
        expect(frame.locator("strong")).to_have_text("hier")
        colour = frame.locator("body").evaluate("body => getComputedStyle(body).margin")
        page.keyboard.press("Control+s")
        expect(page.locator(".messagelist")).to_contain_text("is saved")
        return str(colour)

    assert desk.do(translate) == "16px"  # its own style sheet, through the policy
    with factories.at_work(desk.tenant):
        assert content.Body.objects.get(node=node, locale="de").body == "Wir sind **hier**"
    assert desk.wrongs == []


def test_the_tree_is_put_in_order_by_dragging_and_by_keys(desk: Desk) -> None:
    with factories.at_work(desk.tenant):
        for title in ("First", "Second", "Third"):
            site.make_node(title)

    def arrange(page: Page) -> None:
        page.goto("/admin/content/node/tree/")
        names = page.locator(".tree-name")
        third = page.locator("li", has_text="Third").locator(".tree-grip")
        first = page.locator("li", has_text="First").locator(".tree-row")
        third.drag_to(first, target_position={"x": 60, "y": 2})
        expect(names).to_have_text(["Third", "First", "Second"])
        page.get_by_role("link", name="Second", exact=True).focus()
        page.keyboard.press("Alt+ArrowUp")
        expect(names).to_have_text(["Third", "Second", "First"])
        page.keyboard.press("Alt+ArrowRight")
        expect(page.locator("ul ul .tree-name")).to_have_text(["Second"])
        page.get_by_role("link", name=re.compile("Close Third")).click()
        expect(page.get_by_role("link", name="Second", exact=True)).to_be_hidden()

    desk.do(arrange)

    with factories.at_work(desk.tenant):
        rows = content.Node.objects.order_by("depth", "position").prefetch_related("translations")
        assert [(str(row), row.depth) for row in rows] == [("Third", 0), ("First", 0), ("Second", 1)]
    assert desk.wrongs == []


def test_two_people_at_one_page_lose_nothing(desk: Desk) -> None:
    with factories.at_work(desk.tenant):
        node = site.make_node("Before", author_name="Ann")
    address = f"/admin/content/node/{node.id}/change/"

    def begin(page: Page) -> None:
        page.goto(address)
        page.locator("[name='translations/en/title']").fill("Mine")

    def finish(page: Page) -> None:
        save = page.get_by_role("button", name="Save", exact=True).last
        save.click()
        expect(page.get_by_role("alert")).to_contain_text("Somebody else has saved this in the meantime")
        expect(page.locator(".theirs")).to_contain_text("Theirs")
        expect(page.locator("[name=author_name]")).to_have_value("Bob")
        save.click()
        expect(page.locator(".messagelist")).to_contain_text("is saved")

    desk.do(begin)
    with factories.at_work(desk.tenant):
        site.update(node, translations=[{"locale": "en", "title": "Theirs"}], author_name="Bob")
    desk.do(finish)

    with factories.at_work(desk.tenant):
        row = content.Node.objects.prefetch_related("translations").get(id=node.id)
        assert (str(row), row.author_name) == ("Mine", "Bob")
    assert desk.wrongs == []
