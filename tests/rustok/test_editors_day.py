"""A real browser at the editors' desk: a whole day from login to storefront, and each of its hours by itself."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pyotp
import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from apps.accounts.clients import Client as Peer
from apps.accounts.desk.screens import EditingAdmin
from apps.accounts.services import second_factors
from apps.commerce import models as commerce
from apps.commerce import queries
from apps.content import models as content
from apps.imports import models as imports
from apps.kernel import context, failpoints
from rustok.testing.draining import drain
from tests import factories
from tests.commerce import making
from tests.content import making as site
from tests.media import making as media
from tests.rustok.desk import Desk

PEER = Peer("127.0.0.1")
PHONE = {"width": 390, "height": 844}
SHOP = "Handle,Title,Status,Published,Variant SKU,Variant Price\n" + "".join(
    f"cup-{number},Cup {number},active,true,CUP-{number},9.90\n" for number in range(120)
)
# Buttons nobody could press; tables scroll by themselves.
_OUT_OF_REACH = """() => [...document.querySelectorAll("#content :is(button, a.button, a.addlink, [type=submit])")]
  .filter(each => each.checkVisibility({visibilityProperty: true}))
  .filter(each => !each.closest(".visually-hidden, .table-frame, .results"))
  .filter(each => {
    const {left, right, height} = each.getBoundingClientRect();
    return left < 0 || right > window.innerWidth || height < 24;
  })
  .map(each => each.outerHTML.slice(0, 120))"""


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
        paths += ["/admin/imports/run/upload/", "/admin/second-factor/", "/admin/password_change/"]
        for model, screen in admin.site._registry.items():
            listed = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            paths.append(listed)
            if isinstance(screen, EditingAdmin):
                row = model._default_manager.order_by("pk").first()
                paths += [f"{listed}add/"]
                paths += [f"{listed}{quote(row.pk)}/{page}/" for page in ("change", "delete", "history")] if row else []

    def crawl(page: Page) -> dict[str, tuple[int, int, list[str]]]:
        found = {}
        for path in paths:
            page.set_viewport_size(PHONE)
            answer = page.goto(path, wait_until="load")
            assert answer is not None
            wider = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
            found[path] = (answer.status, wider, page.evaluate(_OUT_OF_REACH))
        return found

    found = desk.do(crawl)

    assert desk.wrongs == []
    ours = {path: seen for path, seen in found.items() if seen[0] != 403}
    assert len(ours) > 25
    assert {path: seen for path, seen in ours.items() if seen != (200, 0, [])} == {}


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
        page.get_by_role("button", name="German missing").click()
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


@dataclass
class Person:
    """Somebody who works here, with a password and an authenticator app."""

    email: str
    secret: str

    def log_in(self, page: Page) -> None:
        page.goto("/admin/")
        page.locator("[name=username]").fill(self.email)
        page.locator("[name=password]").fill(factories.PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator(".errornote")).to_be_visible()  # the code is asked for
        page.locator("[name=password]").fill(factories.PASSWORD)
        page.locator("[name=code]").fill(pyotp.TOTP(self.secret).now())
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Today")).to_be_visible()


@pytest.fixture
def editor(desk: Desk) -> Person:
    """Nobody is logged in yet in the browser."""
    desk.do(lambda page: page.context.clear_cookies())
    user = factories.make_member(desk.tenant, "owner", factories.make_user(is_staff=True))
    earlier = timezone.now() - timedelta(minutes=5)
    with context.use(actor=f"user:{user.pk}"):
        secret = second_factors.enrol(user=user, now=earlier).secret
        code = pyotp.TOTP(secret).at(earlier)
        second_factors.confirm(user=user, session=None, code=code, client=PEER, now=earlier)
    return Person(user.email, secret)


def test_the_day_of_an_editor(desk: Desk, editor: Person, media_root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the login to what customers see, with nothing but the browser; workers are at work beside it."""
    with factories.at_work(desk.tenant):
        media.make_asset(name="Tape.png")
        about = site.make_node("About us", bodies=[{"locale": "en", "body": "# Hello"}])
        for title in ("First", "Second"):
            site.make_node(title)
    desk.do(editor.log_in)

    problems, watched = _import(desk, _with_a_wrong_row(SHOP), monkeypatch)
    assert watched == [0, 50, 100]
    assert [(row["column"], row["value"]) for row in problems] == [("Variant Price", "six")]
    assert _import(desk, SHOP + "jug,Jug,active,true,JUG,6.00\n", monkeypatch) == ([], [0, 50, 100])

    desk.do(lambda page: _make_product(page, media.picture()))
    desk.do(lambda page: _translate(page, about.id))
    desk.do(_reorder)
    desk.do(_build_menu)
    drain()

    browser = Client(headers={"x-tenant": desk.tenant.slug})

    def read(path: str) -> Any:
        answer = browser.get(f"/api/v1/store/{path}")
        assert answer.status_code == 200, answer.content
        return answer.json()

    assert read("products?count=exact&limit=1")["count"] == 122  # 120 cups, a jug and a shirt
    assert read("products/jug")["variants"][0]["sku"] == "JUG"
    product = read("products/linen-shirt")
    assert len(product["variants"]) == 2
    assert [image["alt"] for image in product["images"]] == ["A shirt on a line", "A measuring tape"]
    for image in product["images"]:
        with closing(browser.get(urlsplit(image["url"]).path)) as file:
            assert (file.status_code, file.headers["Content-Type"]) == (200, "image/png")
    page = read("content/page/uber-uns?locale=de")
    assert (page["title"], "Wir sind hier" in str(page["body"])) == ("Über uns", True)
    (shown,) = read("menus/header")["items"]
    assert (shown["title"], [each["title"] for each in shown["children"]]) == ("Shop", ["Linen shirt", "About us"])
    with factories.at_work(desk.tenant):
        roots = content.Node.objects.order_by("position").prefetch_related("translations")
        assert [str(row) for row in roots] == ["Second", "About us", "First"]
    assert desk.wrongs == []


def _with_a_wrong_row(shop: str) -> str:
    return shop + "jug,Jug,active,true,JUG,six\n"


def _import(desk: Desk, shop: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Sequence[dict[str, str]], list[int]]:
    """Send the file and watch; returns what was wrong with it, downloaded, and where the bar was seen."""
    watched: list[int] = []

    def send(page: Page) -> None:
        page.goto("/admin/")
        page.get_by_role("link", name="Import a file").click()
        page.locator("[name=file]").set_input_files(
            {"name": "shop.csv", "mimeType": "text/csv", "buffer": shop.encode()}
        )
        expect(page.locator("[name=format]")).to_have_value("shopify")
        page.get_by_label("Only look for problems first").uncheck()
        page.get_by_role("button", name="Import").click()
        expect(page.locator("[data-shown=status]")).to_have_text("queued")

    def see(page: Page) -> None:
        reached = imports_at[-1]
        page.wait_for_function(f"() => document.querySelector('progress').value === {reached}")
        watched.append(reached)

    def show_each_step(name: str) -> None:
        if name == "imports.after_commit":
            with factories.at_work(desk.tenant):
                done, total = imports.Run.objects.order_by("-id").values_list("done", "total")[0]
            if done < total and done not in imports_at:
                imports_at.append(done)
                desk.do(see)

    def finish(page: Page) -> Sequence[dict[str, str]]:
        expect(page.locator("[data-shown=status]")).to_have_text("done")
        expect(page.locator("progress")).to_have_js_property("value", 121)
        if page.locator("[data-shown=notes]").inner_text() == "0":
            return []
        expect(page.locator(".import-run table")).to_contain_text("six")
        with page.expect_download() as started:
            page.get_by_role("link", name="All of them as CSV").click()
        return list(csv.DictReader(io.StringIO(started.value.path().read_text())))

    imports_at: list[int] = []
    desk.do(send)
    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "reach", show_each_step)
        drain()
    return desk.do(finish), watched


def _make_product(page: Page, picture: bytes) -> None:
    page.goto("/admin/")
    page.get_by_role("link", name="New product", exact=True).click()
    page.locator("[name='translations/en/title']").fill("Linen shirt")
    page.get_by_role("button", name="Add an option").click()
    page.locator("[name^='options/'][name$='/names/en']").fill("Size")
    page.locator("[name^='options/'][name$='/values/en']").fill("S\nM")
    for row, (size, price) in enumerate((("S", "19.90"), ("M", "21"))):
        page.get_by_role("button", name="Add a variant").click()  # one more than is needed: a blank row is no variant
        line = page.locator("[data-rows=variants] tbody.row").nth(row)
        line.locator("[name$='/values/0']").fill(size)
        line.locator("[name$='/sku']").fill(f"SHIRT-{size}")
        line.locator("[name$='/prices/EUR/amount']").fill(price)
    images = page.locator("[data-rows=images] tbody.row")
    page.get_by_role("button", name="Add an image").click()
    with page.expect_file_chooser() as choosing:
        images.first.get_by_role("button", name="Upload…").click()
    choosing.value.set_files({"name": "Shirt.png", "mimeType": "image/png", "buffer": picture})
    expect(images.first.locator("[name$='/url']")).to_have_value(re.compile("^/media/.+/shirt.png$"))
    images.first.locator("[name$='/alt']").fill("A shirt on a line")
    page.get_by_role("button", name="Add an image").click()
    images.nth(1).get_by_role("button", name="Library").click()
    images.nth(1).get_by_role("textbox", name="Search the library").fill("tape")
    images.nth(1).get_by_role("button", name="Tape.png").click()
    images.nth(1).locator("[name$='/alt']").fill("A measuring tape")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator(".messagelist")).to_contain_text("is saved")
    assert page.locator(".row-picture img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("is saved and published")


def _translate(page: Page, node_id: Any) -> None:
    page.goto(f"/admin/content/node/{node_id}/change/")
    page.get_by_role("button", name="German missing").click()
    page.locator("[name='translations/de/title']").fill("Über uns")
    page.locator("[name='bodies/de/body']").fill("Wir sind hier")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("is saved and published")


def _reorder(page: Page) -> None:
    page.goto("/admin/content/node/tree/")
    second = page.locator("li", has_text="Second").locator(".tree-grip")
    second.drag_to(page.locator("li", has_text="About us").locator(".tree-row"), target_position={"x": 60, "y": 2})
    expect(page.locator(".tree-name")).to_have_text(["Second", "About us", "First"])


def _build_menu(page: Page) -> None:
    page.goto("/admin/content/menu/")
    page.get_by_role("link", name="New menu").last.click()
    page.locator("[name=name]").fill("Main")
    page.locator("[name=location]").select_option("header")
    rows = page.locator("[data-rows=items] tbody.row")
    page.get_by_role("button", name="Add an item").click()
    rows.nth(0).locator("[name$='/titles/en']").fill("Shop")
    rows.nth(0).locator("[name$='/url']").fill("/shop")
    page.get_by_role("button", name="Add an item").click()
    rows.nth(1).get_by_role("button", name="Further in").click()
    rows.nth(1).get_by_text("More", exact=True).click()
    rows.nth(1).get_by_role("combobox", name="Product", exact=True).fill("linen")
    page.get_by_role("option", name="Linen shirt").click()
    page.get_by_role("button", name="Add an item").click()  # beside the one before
    rows.nth(2).get_by_role("combobox", name="Page or post").fill("about")
    page.get_by_role("option", name="About us").click()
    page.keyboard.press("Control+s")
    expect(page.locator(".messagelist")).to_contain_text("is saved")


def test_every_screen_is_found_on_a_phone(desk: Desk) -> None:
    def walk(page: Page) -> None:
        page.set_viewport_size(PHONE)
        page.goto("/admin/")
        menus = page.get_by_role("link", name="Menus", exact=True)
        expect(menus).to_be_hidden()
        page.get_by_role("button", name="All screens").focus()
        page.keyboard.press("Enter")
        menus.click()
        expect(page.get_by_role("heading", name="Menus", exact=True)).to_be_visible()
        expect(page.locator("#content")).to_contain_text("There is no menu yet.")
        page.locator("#content").get_by_role("link", name="New menu").first.click()
        expect(page.get_by_role("heading", name="New menu")).to_be_visible()

    desk.do(walk)
    assert desk.wrongs == []
