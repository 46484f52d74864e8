"""Nodes and their terms, written in the admin: translated side by side, moved in the tree, through services."""

from __future__ import annotations

import functools
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.access import roles
from apps.content import blocks, models
from apps.tenants import models as tenants
from apps.tenants import services as tenant_services
from tests import factories
from tests.content import making
from tests.filling import Page
from tests.media import making as media

LIST, NEW, TREE = "/admin/content/node/", "/admin/content/node/add/", "/admin/content/node/tree/"


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant(default_locale="en", locales=["de"])


@pytest.fixture
def page(tenant: tenants.Tenant) -> Page:
    """The admin of somebody who writes."""
    return Page.of(tenant, "editor")


def make(tenant: tenants.Tenant, title: str, **fields: object) -> models.Node:
    with factories.at_work(tenant):
        return making.make_node(title, **fields)


def address(node: models.Node) -> str:
    return f"{LIST}{node.id}/change/"


def texts(tenant: tenants.Tenant, node_id: uuid.UUID) -> dict[str, tuple[str, str]]:
    """By language the title and the body."""
    with factories.at_work(tenant):
        bodies = dict(models.Body.objects.filter(node_id=node_id).values_list("locale", "body"))
        titles = models.NodeTranslation.objects.filter(node_id=node_id).values_list("locale", "title")
        return {locale: (title, bodies.get(locale, "")) for locale, title in titles}


def children(tenant: tenants.Tenant, parent: models.Node | None) -> list[str]:
    with factories.at_work(tenant):
        rows = models.Node.objects.filter(parent=parent).order_by("position").prefetch_related("translations")
        return [str(row) for row in rows]


def test_a_page_is_written_published_and_translated(page: Page, tenant: tenants.Tenant) -> None:
    page.get(NEW, kind="page")
    assert page.values("kind") == ["page"]
    page.fill({"translations/en/title": "About us", "bodies/en/body": "# Who we are\n\nPeople."})
    page.press("_save")
    with factories.at_work(tenant):
        node = models.Node.objects.get()
    assert texts(tenant, node.id) == {"en": ("About us", "# Who we are\n\nPeople.")}
    assert "de <small>missing</small>" in page.text

    page.fill({"translations/de/title": "Über uns", "bodies/de/body": "<p>Wir</p>", "bodies/de/format": "html"})
    page.press("_act", "publish")

    assert "is saved and published" in page.told
    assert texts(tenant, node.id)["de"] == ("Über uns", "<p>Wir</p>")
    with factories.at_work(tenant):
        assert making.types_of(node.id) == [
            "node.created", "translation.updated", "body.updated", "node.published",
        ]  # fmt: skip
    page.fill({"translations/de/title": "", "translations/de/slug": "", "bodies/de/body": ""})
    page.press("_save")
    assert set(texts(tenant, node.id)) == {"en"}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"translations/en/title": ""}, "translations-en-title"),
        ({"translations/de/slug": "nur-ein-slug"}, "translations-de-title"),
        ({"bodies/en/format": "json", "bodies/en/body": "[{}]"}, "bodies-en-body"),
        ({"metadata": "{"}, "metadata"),
        ({"translations/en/slug": "taken"}, "translations-en-slug"),
    ],
)
def test_a_problem_stands_at_its_field(page: Page, tenant: tenants.Tenant, fields: dict[str, str], place: str) -> None:
    make(tenant, "Taken", translations=[{"locale": "en", "title": "Taken", "slug": "taken"}])
    node = make(tenant, "Mine")
    page.get(address(node))
    page.fill({"translations/en/excerpt": "Kept", **fields})  # type: ignore[dict-item] # texts are values too

    page.press("_save")

    assert list(page.problems) == [place]
    assert page.values("translations/en/excerpt") == ["Kept"]
    assert texts(tenant, node.id) == {"en": ("Mine", "")}


def test_a_stale_page_holds_both_versions(page: Page, tenant: tenants.Tenant) -> None:
    node = make(tenant, "First", bodies=[{"locale": "en", "body": "before"}])
    page.get(address(node))
    with factories.at_work(tenant):
        making.update(node, translations=[{"locale": "en", "title": "Theirs"}], author_name="Bob")
    page.fill({"translations/en/title": "Mine", "bodies/en/body": "mine"})

    page.press("_save")

    assert "Somebody else has saved this" in page.text
    assert (page.values("translations/en/title"), page.values("author_name")) == (["Mine"], ["Bob"])
    assert "Theirs" in page.text
    page.press("_save")
    assert texts(tenant, node.id) == {"en": ("Mine", "mine")}


def test_buttons_put_the_tree_in_order(page: Page, tenant: tenants.Tenant) -> None:
    first, second, third = (make(tenant, title) for title in ("First", "Second", "Third"))
    make(tenant, "A post between", kind="post")

    def move(way: str, node: models.Node, **more: str) -> None:
        page.post(TREE, move=f"{way}:{node.id}", **more)

    move("up", third)
    assert children(tenant, None)[:3] == ["First", "Third", "Second"]
    move("indent", third)
    assert children(tenant, first) == ["Third"]
    assert "Third" in page.text  # its branch is open now
    move("before", second, at=str(third.id))
    assert children(tenant, first) == ["Second", "Third"]
    move("down", second)
    move("outdent", third)
    assert (children(tenant, None)[:2], children(tenant, first)) == (["First", "Third"], ["Second"])
    move("within", first, at=str(second.id))
    assert "which is below it" in page.told
    assert children(tenant, first) == ["Second"]


def test_branches_open_one_by_one_at_the_same_cost(page: Page, tenant: tenants.Tenant) -> None:
    root = make(tenant, "Root")
    below = make(tenant, "Below", parent_id=root.id)

    def cost() -> int:
        with CaptureQueriesContext(connection) as made:
            page.get(TREE, open=f"{root.id},{below.id}")
        return len(made)

    assert "Below" not in page.get(TREE).text
    make(tenant, "Deep", parent_id=below.id)
    before = cost()
    assert "Deep" in page.text
    for number in range(4):
        make(tenant, f"More {number}", parent_id=below.id)
        make(tenant, f"Top {number}")
    assert cost() == before


def test_the_tree_moves_nothing_for_who_may_only_read(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        grants = [roles.GrantInput(permission="nodes:read")]
        roles.create_role(new=roles.NewRole(slug="reader", name="Reader", grants=grants), by=None)
    make(tenant, "First")
    second = make(tenant, "Second")
    reader = Page.of(tenant, "reader")

    assert "First" in reader.get(TREE).text
    assert "draggable" not in reader.text
    assert reader.post(TREE, move=f"up:{second.id}").status == 403
    assert children(tenant, None) == ["First", "Second"]


def test_who_may_write_one_language_changes_that_only(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        grants = [
            roles.GrantInput(permission=f"nodes:{action}", constraint={"locale": ["de"]})
            for action in ("read", "update")
        ]
        roles.create_role(new=roles.NewRole(slug="german", name="German", grants=grants), by=None)
    both = [{"locale": "en", "title": "Hello"}, {"locale": "de", "title": "Hallo"}]
    node = make(tenant, "Hello", translations=both)
    translator = Page.of(tenant, "german")

    translator.get(address(node))
    assert translator.values("translations/en/title") == [""]
    translator.fill({"translations/de/title": "Guten Tag"})
    translator.press("_save")
    assert texts(tenant, node.id) == {"en": ("Hello", ""), "de": ("Guten Tag", "")}
    translator.fill({"author_name": "Me"})
    translator.press("_save")
    assert "beyond its limits" in translator.text


@pytest.mark.parametrize(
    ("format", "source", "shown"),
    [
        ("markdown", "# Hi <script>x</script>", "<h1>Hi"),
        ("html", "<p>Hi</p><script>x</script>", "<p>Hi</p>"),
        ("plain", "<b>Hi</b>", "<pre>&lt;b&gt;Hi&lt;/b&gt;</pre>"),
        ("json", '[{"type":"a"}]', "&quot;type&quot;: &quot;a&quot;"),
        ("json", "[", "This is not JSON"),
    ],
)
def test_a_preview_is_rendered_as_the_storefront_does_and_is_safe(
    page: Page, format: str, source: str, shown: str
) -> None:
    page.post("/admin/preview/", format=format, body=source)

    assert shown in page.text
    assert "<script>" not in page.text
    assert page.get("/admin/preview/").status == 405


def test_blocks_are_previewed_by_what_they_say(page: Page, media_root: Path, tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        asset = media.make_asset(name="Kiln.png")
    body = [
        {"type": "hero", "title": "<b>Enamel</b>", "picture": {"asset_id": str(asset.id), "alt": "The kiln"}},
        {"type": "image", "picture": {"url": "https://elsewhere.example.com/a.png", "alt": "Elsewhere"}},
        {"type": "faq", "items": [{"question": "Dishwasher?", "answer": "Yes, **often**."}]},
        {"type": "html", "html": "<em>so</em><script>alert(1)</script>"},
        {"type": "video", "asset_id": "no id", "title": ["not", "text"]},
        {"type": "banner"},
    ]

    page.post("/admin/content/node/preview/", format="json", body=json.dumps(body))

    assert "&lt;b&gt;Enamel&lt;/b&gt;" in page.text
    assert f'<img src="/media/tenants/{tenant.id}/' in page.text
    assert "https://elsewhere" not in page.text  # no frame of the admin asks anybody else
    assert "<strong>often</strong>" in page.text
    assert "<em>so</em>" in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    "body",
    [
        [{"type": "hero", "": "x"}],
        [
            {"type": kind, name: value}
            for kind in blocks.TYPES
            for name in ("pictures", "items", "actions")
            for value in (5, True, "x", {})
        ],
        functools.reduce(lambda inner, _: [{"type": "faq", "items": inner}], range(300), []),
    ],
)
def test_a_preview_of_what_is_no_block_is_no_fault_of_ours(page: Page, body: list[Any]) -> None:
    page.post("/admin/content/node/preview/", format="json", body=json.dumps(body))

    assert page.status == 200


def test_a_preview_of_a_node_is_that_of_any_text_and_for_who_may_see_nodes(page: Page, tenant: tenants.Tenant) -> None:
    address = "/admin/content/node/preview/"
    page.post(address, format="markdown", body="# Hi")
    assert "<h1>Hi" in page.text
    page.post(address, format="json", body='{"no": "list"}')
    assert "&quot;no&quot;" in page.text
    assert page.get(address).status == 405

    with factories.at_work(tenant):
        grants = [roles.GrantInput(permission="products:read")]
        roles.create_role(new=roles.NewRole(slug="seller", name="Seller", grants=grants), by=None)
    seller = Page.of(tenant, "seller")
    seller.post(address, format="markdown", body="# Hi")
    assert seller.status == 403


def test_every_type_of_block_is_described(page: Page) -> None:
    found = json.loads(page.get("/admin/content/node/blocks/").text)

    assert [entry["name"] for entry in found["types"]] == list(blocks.TYPES)
    assert all(entry["help"] and entry["schema"]["properties"] for entry in found["types"])
    assert found["find"] == {
        "asset": "/admin/media/asset/find/",
        "prod": "/admin/commerce/product/find/",
        "coll": "/admin/commerce/collection/find/",
    }


def test_a_chooser_asks_what_its_rows_are_called(page: Page, tenant: tenants.Tenant) -> None:
    first, second = make(tenant, "First"), make(tenant, "Second")
    other = factories.make_tenant()
    hidden = make(other, "Of somebody else")

    page.get(f"{LIST}find/", id=[str(second.id), str(hidden.id), "no id"], q="First")

    assert [row["text"] for row in json.loads(page.text)["found"]] == ["Second"]
    assert first.id != second.id


def test_terms_are_made_and_changed(page: Page, tenant: tenants.Tenant) -> None:
    page.get("/admin/content/tag/add/")
    page.fill({"translations/en/name": "Red"})
    page.press("_save")
    page.fill({"translations/de/name": "Rot"})
    page.press("_save")
    with factories.at_work(tenant):
        tag = models.Tag.objects.prefetch_related("translations").get()
        assert {row.locale: row.name for row in tag.translations.all()} == {"en": "Red", "de": "Rot"}

    page.get("/admin/content/category/add/")
    page.fill({"translations/en/name": "News", "taxonomy": "Wrong Name"})
    page.press("_save")
    assert list(page.problems) == ["taxonomy"]
    page.fill({"taxonomy": "topics"})
    page.press("_save")
    node = make(tenant, "Tagged")
    with factories.at_work(tenant):
        category = models.Category.objects.get(taxonomy="topics")
    page.get(address(node))
    page.fill({"category_ids": [str(category.id)], "tag_ids": [str(tag.id)]})
    page.press("_save")
    assert "News" in page.text
    page.post(f"/admin/content/category/{category.id}/delete/", _sure="on")
    assert "“News” is deleted." in page.told


def test_a_switched_off_module_has_no_pages(page: Page, tenant: tenants.Tenant) -> None:
    choice = tenant_services.ModuleChoice(enabled=False)
    tenant_services.choose_module(tenant=tenant, slug="content", choice=choice)

    for path in (LIST, NEW, TREE, f"{LIST}find/"):
        assert page.get(path).status in (403, 404), path
