"""`make screenshots`: the pictures of `docs/`, taken from the running product with the tenant of the tutorial in it.

Everything is thrown away afterwards but the pictures. To add one: a line in PICTURES, and in a page
`![what it shows](../images/name.webp)`.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from rustok import servers
from rustok.environment import CHECKOUT, Environment
from tests.serving import MANAGE, Dev

FOLDER = CHECKOUT / "docs" / "images"
PRODUCTS, NODES, IMPORTS = "/admin/commerce/product/", "/admin/content/node/", "/admin/imports/run/"
DESKTOP, PHONE = (1280, 800), (390, 844)
SLUG = "leuchtkontor"
EDITOR, EDITORS_PASSWORD = "ines@example.com", "tea with lemon peel"
NEW_EDITOR = f"""
from apps.accounts.models import User
User.objects.create_user("{EDITOR}", "{EDITORS_PASSWORD}", name="Ines Brook", is_staff=True)
"""
STEPS = (
    ["create_tenant", SLUG, "--name", "Leuchtkontor", "--domain", f"{SLUG}.localhost", "--currency", "EUR"],
    ["enable_locale", SLUG, "de"],
    ["import_shopify", "docs/tutorial/shop.csv", "--tenant", SLUG],
    ["import_wordpress", "docs/tutorial/site.xml", "--tenant", SLUG],
    ["shell", "--command", NEW_EDITOR],
    ["grant_role", EDITOR, "owner", "--tenant", SLUG],
    [
        "shell",
        "--command",
        f"from tests.furnishing import furnish; furnish('{SLUG}', editor='{EDITOR}')",
    ],
    ["events_run", "--once"],
)
# Of the import of the shop: one product of the file has a price in words.
SKIPPED_SOME = 3
# What `make dev` says when it is ready.
LOGIN = re.compile(r"/admin/  \((\S+), password (\S+)\)")
PATIENCE = 30_000  # ms
DRAWN = 1_000  # ms, for what comes into a frame or a branch after its button is pressed
QUALITY = 82


@dataclass(frozen=True, slots=True)
class Picture:
    """`name` is that of the file, `shows` the text for who can't see it; `follow` is a link to click on at `address`,
    `press` a button, link or heading to press after that, `at` what is scrolled to, `ready` what has to be seen before
    the picture is taken."""

    name: str
    address: str
    shows: str
    size: tuple[int, int] = DESKTOP
    scheme: Literal["light", "dark"] = "light"
    follow: str = ""
    press: str = ""
    at: str = ""
    ready: str = "body"
    seen_by: Literal["owner", "administrator", "anybody"] = "owner"

    @property
    def file(self) -> Path:
        return FOLDER / f"{self.name}.webp"


@dataclass(frozen=True, slots=True)
class Product:
    """Where it answers to whom, and with which address and password they come."""

    urls: dict[str, str]
    logins: dict[str, tuple[str, str]]


PICTURES = (
    Picture("admin-start", "/admin/", "The first page of the admin"),
    Picture("admin-start-phone", "/admin/", "The first page of the admin on a phone", size=PHONE),
    Picture("admin-products", PRODUCTS, "The list of products"),
    Picture("admin-product", PRODUCTS, "One product with its texts, prices and stock", follow="Harbour lamp"),
    Picture("admin-product-dark", PRODUCTS, "The same product in the dark", scheme="dark", follow="Harbour lamp"),
    Picture(
        "admin-variants",
        PRODUCTS,
        "Its images, options and variants, in rows",
        follow="Harbour lamp",
        at="[data-rows=images]",
    ),
    Picture("admin-product-phone", PRODUCTS, "A product on a phone", size=PHONE, follow="Harbour lamp"),
    Picture("admin-media", "/admin/media/asset/", "The media library"),
    Picture("admin-nodes", NODES, "Pages and posts"),
    Picture("admin-tree", f"{NODES}tree/", "The tree of pages", press="Open The workshop"),
    Picture(
        "admin-preview",
        NODES,
        "A post with its preview below the text, as it is written",
        follow="How brass grows old",
        press="Preview",
        at="[data-language=en] .writer",
    ),
    Picture(
        "admin-blocks",
        NODES,
        "A page of blocks, each with a form of its own",
        follow="Welcome",
        press="Hero",
        at="[data-language=en] .writer",
    ),
    Picture("admin-menu", "/admin/content/menu/", "A menu with items below items", follow="Main menu"),
    Picture("admin-screens-phone", "/admin/", "All screens, a button away on a phone", size=PHONE, press="All screens"),
    Picture("admin-upload", "/admin/imports/run/upload/", "Sending a file to be imported"),
    Picture("admin-import", IMPORTS, "An import with its bar, and the row that is wrong", follow="spring-prices.csv"),
    Picture(
        "admin-import-phone",
        IMPORTS,
        "The same import on a phone, in the dark",
        size=PHONE,
        scheme="dark",
        follow="spring-prices.csv",
    ),
    Picture("admin-node-phone", NODES, "A post on a phone", size=PHONE, follow="How brass grows old"),
    Picture(
        "admin-consumers",
        "/admin/consumers/consumer/",
        "How far the readers of the log are, and the levers that move them",
        seen_by="administrator",
    ),
    Picture("events-catalogue", "/events/catalogue?q=product", "The catalogue of events", seen_by="administrator"),
    Picture("api-docs", "/api/docs", "The API, to try out", ready=".opblock-summary", seen_by="anybody"),
)


def main(arguments: Sequence[str]) -> int:
    names = [picture.name for picture in PICTURES]
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"those to take (default: all): {', '.join(names)}")
    asked = parser.parse_args(arguments).names or names
    if unknown := set(asked) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    with _product() as product, _chromium() as browser:
        take([picture for picture in PICTURES if picture.name in asked], browser, product)
    return 0


def take(pictures: Sequence[Picture], browser: Browser, product: Product) -> None:
    """Write their files, and say how big they are."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        width, height = picture.size
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=picture.scheme,
            base_url=product.urls[picture.seen_by],
            locale="en-GB",
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        if picture.seen_by != "anybody":
            _sign_in(page, *product.logins[picture.seen_by])
        picture.file.write_bytes(_shoot(page, picture))
        context.close()
        print(f"{picture.file.relative_to(CHECKOUT)}: {picture.file.stat().st_size / 1024:.0f} KiB")


def _shoot(page: Page, picture: Picture) -> bytes:
    page.goto(picture.address, wait_until="networkidle")
    if picture.follow:
        page.locator("#content").get_by_role("link", name=picture.follow).first.click()
        page.wait_for_load_state("networkidle")
    if picture.press:
        ways = (page.get_by_role(role, name=picture.press) for role in ("button", "link"))
        summary = page.locator("#content summary", has_text=picture.press)
        reduce(Locator.or_, ways, summary).first.click()
        page.wait_for_timeout(DRAWN)
    if picture.at:
        page.locator(picture.at).first.evaluate("element => element.scrollIntoView({block: 'start'})")
    page.locator(picture.ready).first.wait_for()
    taken = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide")))
    written = io.BytesIO()
    taken.convert("RGB").save(written, "WEBP", quality=QUALITY, method=6)
    return written.getvalue()


def _sign_in(page: Page, email: str, password: str) -> None:
    page.goto("/admin/login/")
    page.locator("[name=username]").fill(email)
    page.locator("[name=password]").fill(password)
    page.locator("[type=submit]").click()
    page.locator("#user-tools").wait_for()


@contextmanager
def _product() -> Iterator[Product]:
    """`make dev` on data of its own, with the shop and the site of the tutorial."""
    with tempfile.TemporaryDirectory(prefix="rustok-") as folder:
        dev = Dev(Path(folder) / "data", Path(folder) / "output")
        try:
            port = dev.wait_until_ready()
            for step in STEPS:
                done = subprocess.run(  # noqa: PLW1510 - looked at below
                    [*MANAGE, *step], cwd=CHECKOUT, env=dev.variables, capture_output=True, text=True
                )
                if done.returncode not in {0, SKIPPED_SOME}:
                    raise RuntimeError(f"{step[0]} failed:\n{done.stdout}{done.stderr}")
            (administrator,) = LOGIN.findall(dev.output)
            logins = {"administrator": administrator, "owner": (EDITOR, EDITORS_PASSWORD)}
            urls = dict.fromkeys(("administrator", "anybody"), f"http://localhost:{port}")
            yield Product(urls | {"owner": f"http://{SLUG}.localhost:{port}"}, logins)
        finally:
            dev.stop()
            servers.remove(Environment(data_dir=dev.data_dir, database_url=None, valkey_url=None))


@contextmanager
def _chromium() -> Iterator[Browser]:
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=installed, args=["--no-sandbox", "--hide-scrollbars"])
        yield browser
        browser.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
