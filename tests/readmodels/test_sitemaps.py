"""Sitemaps, robots.txt and feeds: what is published, at the addresses of the frontend, and nothing else."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.commerce import services as commerce
from apps.consumers import tasks
from apps.kernel import errors
from apps.readmodels import sitemaps
from apps.tenants import services as tenants
from apps.tenants.models import Tenant
from tests.commerce import making as shop
from tests.content.making import make_category, make_tag, update
from tests.readmodels.conftest import NOW, Get, make_node, make_product

SITE = {"sm": "http://www.sitemaps.org/schemas/sitemap/0.9", "xhtml": "http://www.w3.org/1999/xhtml"}
ATOM = {"a": "http://www.w3.org/2005/Atom"}
BOTH = [{"locale": "en", "title": "Care"}, {"locale": "de", "title": "Pflege"}]


class Files:
    """What a search engine fetches from the tenant's host."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._client = Client(headers={"host": f"{tenant.slug}.test"})

    def __call__(self, path: str, *, status: int = 200, **headers: str) -> Any:
        tasks.drain()
        answer = self._client.get(path, headers=headers)
        assert answer.status_code == status, answer.content
        return answer

    def xml(self, path: str) -> ElementTree.Element:
        return ElementTree.fromstring(self(path).content)  # noqa: S314 - our own

    def queries(self, path: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert self._client.get(path).status_code == 200
        return len(asked)

    def parts(self) -> list[str]:
        """The paths of the parts of the sitemap."""
        found = self.xml("/sitemap.xml").findall("sm:sitemap/sm:loc", SITE)
        return [str(loc.text).removeprefix(f"https://{self.tenant.slug}.test") for loc in found]

    def urls(self) -> dict[str, dict[str, str]]:
        """Path by path of the sitemap, its alternates."""
        host = f"https://{self.tenant.slug}.test"
        return {
            str(url.findtext("sm:loc", "", SITE)).removeprefix(host): {
                str(link.get("hreflang")): str(link.get("href")).removeprefix(host)
                for link in url.findall("xhtml:link", SITE)
            }
            for part in self.parts()
            for url in self.xml(part).findall("sm:url", SITE)
        }


@pytest.fixture
def files(tenant: Tenant) -> Files:
    return Files(tenant)


def set_site(tenant: Tenant, **site: Any) -> None:
    tenants.update_tenant(tenant=tenant, changes=tenants.TenantChanges(settings={"site": site}))


def test_everything_public_is_listed_once_in_each_language(files: Files) -> None:
    make_node("Care", translations=BOTH)
    make_node("Draft", publish=False)
    post = make_node("About", kind="page")
    make_node("Yes", kind="comment", parent_id=str(post.id))
    make_product("Mug")
    make_product("Secret", seo={"en": {"noindex": True}})
    shop.make_category("Mugs")
    make_category("News")
    make_category("Drafts", seo={"en": {"noindex": True}})
    make_tag("linen")

    assert files.urls() == {
        "/en/blog/care": {"en": "/en/blog/care", "de": "/de/blog/pflege", "x-default": "/en/blog/care"},
        "/de/blog/pflege": {"en": "/en/blog/care", "de": "/de/blog/pflege", "x-default": "/en/blog/care"},
        "/en/about": {},
        "/en/products/mug": {},
        "/en/categories/mugs": {},
        "/en/topics/news": {},
        "/en/tags/linen": {},
    }


def test_lastmod_is_when_the_page_last_changed(files: Files, get: Get) -> None:
    make_node("Care")
    changed = get("content/post/care").json()["updated_at"]

    [part] = files.parts()

    assert files.xml(part).findtext("sm:url/sm:lastmod", "", SITE) == changed


def test_a_page_that_is_hidden_in_one_language_is_listed_in_the_other(files: Files) -> None:
    make_node("Care", translations=BOTH, seo={"de": {"noindex": True}})

    assert files.urls() == {"/en/blog/care": {}}


def test_long_lists_come_in_parts_that_stay(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemaps, "IN_A_PART", 2)
    for number in range(5):
        make_node(f"Post {number}")
    parts = files.parts()
    second = files(parts[1])["ETag"]

    make_node("Post 5")
    make_node("Post 6")

    assert len(parts) == 3
    assert files.parts()[:3] == parts
    assert len(files.parts()) == 4
    assert list(files.urls()) == [f"/en/blog/post-{number}" for number in range(7)]
    assert files(parts[1], **{"if-none-match": second}, status=304)
    assert files.queries(parts[1]) == files.queries(files.parts()[3])


def test_addresses_are_those_of_the_frontend(files: Files, tenant: Tenant) -> None:
    set_site(
        tenant,
        origin="https://www.harbour.example/",
        paths={"product": "/shop/{slug}", "node": "/{kind}/{slug}-{locale}"},
    )
    make_product("Mug")
    make_node("Poem", kind="custom")

    found = [str(loc.text) for loc in files.xml("/sitemap.xml").iterfind(".//sm:loc", SITE)]

    assert all(url.startswith("https://www.harbour.example/sitemaps/") for url in found)
    texts = [files(url.removeprefix("https://www.harbour.example")).content.decode() for url in found]
    assert "<loc>https://www.harbour.example/shop/mug</loc>" in "".join(texts)
    assert "<loc>https://www.harbour.example/custom/poem-en</loc>" in "".join(texts)


@pytest.mark.parametrize(
    ("site", "pointer"),
    [
        ({"paths": {"product": "products/{slug}"}}, "/settings/site/paths/product"),
        ({"paths": {"product": "/products"}}, "/settings/site/paths/product"),
        ({"paths": {"product": "/{slug}/{0.__class__}"}}, "/settings/site/paths/product"),
        ({"paths": {"product": '/{slug}"><script>'}}, "/settings/site/paths/product"),
        ({"paths": {"produkt": "/{slug}"}}, "/settings/site/paths/produkt"),
        ({"origin": "https://www.example.com/shop"}, "/settings/site/origin"),
        ({"origin": "javascript:x"}, "/settings/site/origin"),
    ],
)
def test_an_address_that_is_none_is_refused(tenant: Tenant, site: Any, pointer: str) -> None:
    with pytest.raises(errors.ValidationFailed) as refused:
        set_site(tenant, **site)

    assert [problem.pointer for problem in refused.value.problems] == [pointer]


def test_robots_are_told_where_the_sitemap_is_or_to_stay_away(files: Files, tenant: Tenant) -> None:
    assert files("/robots.txt").content.decode() == (
        f"User-agent: *\nAllow: /\nSitemap: https://{tenant.slug}.test/sitemap.xml\n"
    )

    set_site(tenant, is_indexed=False)

    assert files("/robots.txt").content.decode() == "User-agent: *\nDisallow: /\n"


@pytest.mark.parametrize(
    "path",
    [
        "/sitemaps/orders/en/node_01h455vb4pex5vsknk084sn02q.xml",
        "/sitemaps/content/fr/node_01h455vb4pex5vsknk084sn02q.xml",
        "/sitemaps/content/en/prod_01h455vb4pex5vsknk084sn02q.xml",
        "/sitemaps/content/en/node_71h455vb4pex5vsknk084sn02q.xml",
        "/feeds/fr.rss",
        "/feeds/en.pdf",
        "/feeds/en/category/nothing.rss",
        "/feeds/en/author/ann.rss",
    ],
)
def test_what_is_not_there_is_not_found(files: Files, path: str) -> None:
    make_node("Care")

    assert files(path, status=404)["Content-Type"] == "application/problem+json"


def test_a_tenant_without_a_shop_lists_no_products(files: Files, tenant: Tenant) -> None:
    make_product("Mug")
    make_node("Care")
    for slug in ("inventory", "commerce"):
        tenants.choose_module(tenant=tenant, slug=slug, choice=tenants.ModuleChoice(enabled=False))

    assert list(files.urls()) == ["/en/blog/care"]


def test_feeds_have_the_newest_posts_of_a_language(files: Files, tenant: Tenant) -> None:
    set_site(tenant, feed_length=2, description="About enamel")
    category, tag = make_category("Workshop"), make_tag("fire")
    make_node("Old", at=1)
    care = make_node("Care", at=2, translations=BOTH, category_ids=[str(category.id)], author_name="Ada")
    make_node("New", at=3, tag_ids=[str(tag.id)], bodies=[{"locale": "en", "body": "So **new** & <b>hot</b>"}])
    make_node("Hidden", at=4, seo={"en": {"noindex": True}})
    make_node("A page", kind="page", at=5)

    rss, atom = files.xml("/feeds/en.rss"), files.xml("/feeds/en.atom")

    assert [item.findtext("title") for item in rss.iterfind("channel/item")] == ["New", "Care"]
    assert rss.findtext("channel/description") == "About enamel"
    assert "<strong>new</strong>" in str(rss.findtext("channel/item/description"))
    assert [entry.findtext("a:title", "", ATOM) for entry in atom.iterfind("a:entry", ATOM)] == ["New", "Care"]
    assert atom.findtext("a:entry[2]/a:id", "", ATOM) == f"urn:uuid:{care.id}"
    assert atom.findtext("a:entry[2]/a:author/a:name", "", ATOM) == "Ada"
    link = atom.find("a:entry[2]/a:link", ATOM)
    assert link is not None
    assert link.get("href") == f"https://{tenant.slug}.test/en/blog/care"
    assert [item.findtext("title") for item in files.xml("/feeds/de.rss").iterfind("channel/item")] == ["Pflege"]
    of_category, of_tag = files.xml("/feeds/en/category/workshop.rss"), files.xml("/feeds/en/tag/fire.rss")
    assert [item.findtext("title") for item in of_category.iterfind("channel/item")] == ["Care"]
    assert [item.findtext("title") for item in of_tag.iterfind("channel/item")] == ["New"]
    assert str(of_tag.findtext("channel/title")).endswith(": fire")


@pytest.mark.parametrize("text", ["a\x08b", "a\x0cb", "a\x1fb", "a\ufffeb", "a\uffffb"])
def test_what_xml_may_not_hold_is_left_out_of_feeds(files: Files, text: str) -> None:
    make_node("Care", bodies=[{"locale": "en", "format": "html", "body": f"<p>{text} &#1;{text}</p>"}])
    words = {"locale": "en", "title": "With a summary", "excerpt": text, "slug": "summary"}
    make_node("With a summary", translations=[words])

    for path in ("/feeds/en.rss", "/feeds/en.atom"):
        found = ElementTree.tostring(files.xml(path), encoding="unicode")
        assert "ab" in found
        assert "With a summary" in found


def test_files_are_kept_and_asked_for_again_cheaply(files: Files) -> None:
    node = make_node("Care")
    for path in ("/sitemap.xml", files.parts()[0], "/feeds/en.rss", "/robots.txt"):
        answer = files(path)
        assert "public" in answer["Cache-Control"]
        assert files(path, **{"if-none-match": answer["ETag"]}, status=304).content == b""
    feed = files("/feeds/en.atom")["ETag"]

    update(node, translations=[{"locale": "en", "title": "Care & joy"}])

    assert b"Care &amp; joy" in files("/feeds/en.atom", **{"if-none-match": feed}).content


def test_what_is_archived_is_nowhere_and_nobody_has_no_sitemap(files: Files) -> None:
    product = make_product("Mug")
    commerce.archive_product(product_id=product.id, now=NOW)

    assert files.urls() == {}
    assert Client(headers={"host": "nobody.test"}).get("/sitemap.xml").status_code == 404
