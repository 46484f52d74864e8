"""The admin asks the same engine: a tenant's staff on its host, within what they hold; the platform on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client

from apps.accounts.access import backend, break_glass, catalogue, roles
from apps.accounts.access.site import LimitedAdmin
from apps.kernel import ids, isolation
from apps.media.admin import AssetAdmin
from apps.tenants import models as tenants
from tests import factories
from tests.accounts import calling
from tests.commerce import making as goods
from tests.content import making
from tests.media import making as media

PLATFORM_ONLY = {
    "accounts.User", "consumers.Consumer", "consumers.Parked", "consumers.Effect",
    "consumers.OperatorAction", "tenants.Purge",
}  # fmt: skip
# Each run needs the permission of what its format imports.
SEVERAL = {"imports.Run"}


@pytest.fixture
def things(tenant: tenants.Tenant) -> dict[str, Any]:
    with factories.at_work(tenant):
        return {
            "page": making.make_node("A page"),
            "post": making.make_node("A post", kind="post"),
            "product": goods.make_product(title="Red Shoes"),
        }


class Browser:
    """Somebody of the staff with these roles, logged in on the tenant's host."""

    def __init__(self, tenant: tenants.Tenant, *granted: str, **fields: Any) -> None:
        self.user = calling.make_caller(tenant, *granted, **{"is_staff": True} | fields).user
        self.client = Client(headers={"host": f"{tenant.slug}.test"})
        self.client.force_login(self.user)

    def status(self, path: str) -> int:
        return int(self.client.get(f"/admin/{path}").status_code)

    def text(self, path: str) -> str:
        answer: Any = self.client.get(f"/admin/{path}")
        assert answer.status_code == 200, path
        return str(answer.content.decode())


def test_staff_sees_the_screens_of_what_they_hold(tenant: tenants.Tenant, things: dict[str, Any]) -> None:
    editor, merchandiser = Browser(tenant, "editor"), Browser(tenant, "merchandiser")
    node, product = things["page"].id, things["product"].id

    assert "A page" in editor.text("content/node/")
    assert editor.status(f"content/node/{node}/change/") == 200
    assert editor.status(f"content/node/{node}/history/") == 200
    assert "Red Shoes" in merchandiser.text("commerce/product/")
    for path in (
        "commerce/product/", f"commerce/product/{product}/change/", f"commerce/product/{product}/delete/",
        "commerce/category/", "accounts/membership/", "accounts/user/",
        "consumers/consumer/", "tenants/tenant/",
    ):  # fmt: skip
        assert editor.status(path) == 403, path
    assert editor.status(f"commerce/product/{product}/history/") == 403  # as for a product that is not there
    assert editor.status(f"commerce/product/{ids.new_id()}/history/") == 403
    assert merchandiser.status("content/node/") == 403
    assert "/admin/commerce/" not in editor.text("")
    assert "/admin/content/" not in merchandiser.text("")


def test_deletion_actions_and_autocomplete_ask_too(tenant: tenants.Tenant, things: dict[str, Any]) -> None:
    grants = [roles.GrantInput(permission="nodes:read")]
    with factories.at_work(tenant):
        roles.create_role(new=roles.NewRole(slug="reader", name="Reader", grants=grants), by=None)
    reader = Browser(tenant, "reader")
    node = things["page"].id
    lookup = {"app_label": "commerce", "model_name": "variant", "field_name": "product"}

    assert reader.status(f"content/node/{node}/delete/") == 403
    assert "delete_chosen" not in reader.text("content/node/")
    for action in ("delete_selected", "delete_chosen"):
        posted = {"action": action, "_selected_action": [str(node)], "post": "yes", "_sure": "on"}
        reader.client.post("/admin/content/node/", posted, follow=True)
    assert reader.client.get("/admin/autocomplete/", lookup).status_code == 403
    with factories.at_work(tenant):
        assert type(things["page"]).objects.filter(id=node).exists()


def test_a_limited_grant_limits_the_screen(tenant: tenants.Tenant, things: dict[str, Any]) -> None:
    grants = [roles.GrantInput(permission="posts:read")]
    with factories.at_work(tenant):
        roles.create_role(new=roles.NewRole(slug="posts", name="Posts", grants=grants), by=None)
    reader = Browser(tenant, "posts")

    shown = reader.text("content/node/")

    assert "A post" in shown
    assert "A page" not in shown
    assert reader.status(f"content/node/{things['page'].id}/change/") == 302  # as for a node that is not there
    assert reader.status(f"content/node/{ids.new_id()}/change/") == 302
    assert reader.status(f"content/node/{things['post'].id}/change/") == 200


def test_another_tenants_host_and_the_platforms_are_closed_to_tenant_staff(
    tenant: tenants.Tenant, things: dict[str, Any]
) -> None:
    owner, other = Browser(tenant, "owner"), factories.make_tenant()

    for host in (f"{other.slug}.test", "testserver"):
        answer = owner.client.get("/admin/content/node/", headers={"host": host})
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/admin/login/"), host


def test_a_member_enters_the_tenants_admin_and_nobody_without_a_role(tenant: tenants.Tenant) -> None:
    member = Browser(tenant, "owner", is_staff=False)

    assert member.status("content/node/") == 200
    assert member.client.get("/admin/", headers={"host": "testserver"}).status_code == 302
    assert Browser(tenant).status("content/node/") == 302


def test_own_files_only_are_seen_where_a_role_says_so(tenant: tenants.Tenant, media_root: Path) -> None:
    with factories.at_work(tenant):
        asset = media.make_asset(name="Payroll.png", alt="secret words", folder="hr-secret")
        for slug, actions in {
            "looker": ("list", "read"),
            "keeper": ("list", "read", "create", "update", "delete"),
        }.items():
            grants = [roles.GrantInput(permission=f"media:{each}", constraint={"own": True}) for each in actions]
            roles.create_role(new=roles.NewRole(slug=slug, name=slug, grants=grants), by=None)
    for slug in ("looker", "keeper"):
        browser = Browser(tenant, slug)
        assert "Payroll" not in browser.text("media/asset/")
        assert "Payroll" not in browser.text("media/asset/find/?q=pay")
        assert "Payroll" not in browser.text(f"media/asset/find/?id={asset.id}")
        for page in ("change", "history", "delete"):
            path = f"media/asset/{asset.id}/{page}/"
            assert browser.status(path) in {302, 403}, path  # as for one that is not there
    assert "hr-secret" not in Browser(tenant, "keeper").text("media/asset/upload/")


def test_one_language_only_is_read_where_a_role_says_so(tenant: tenants.Tenant) -> None:
    both = [{"locale": "en", "title": "About us"}, {"locale": "de", "title": "Geheimname"}]
    bodies = [{"locale": "en", "body": "Open words"}, {"locale": "de", "body": "Verborgenes"}]
    with factories.at_work(tenant):
        node = making.make_node(translations=both, bodies=bodies)
        renamed = {"locale": "de", "title": "Geheimname", "slug": "anders"}
        making.update(node, translations=[renamed])
        grants = [
            roles.GrantInput(permission=f"nodes:{each}", constraint={"locale": ["en"]}) for each in ("list", "read")
        ]
        roles.create_role(new=roles.NewRole(slug="english", name="English", grants=grants), by=None)
    reader = Browser(tenant, "english")

    page = reader.text(f"content/node/{node.id}/change/")

    assert "Open words" in page
    for told in (page, reader.text("content/node/"), reader.text("content/redirect/")):
        assert not [word for word in ("eheimname", "Verborgenes", "anders") if word in told]
    assert "About us" not in reader.text("content/node/?q=Geheim")
    assert "About us" in reader.text("content/node/?q=about+us")
    assert "About us" in Browser(tenant, "owner").text("content/node/?q=Geheim")


def test_screens_of_what_can_be_limited_show_what_is_within_the_limits() -> None:
    screens = [
        screen for screen in admin.site._registry.values() if getattr(screen, "resource", "") in catalogue.CONSTRAINTS
    ]

    assert {type(screen).__name__ for screen in screens if not isinstance(screen, LimitedAdmin)} == set()
    assert len(screens) > 4


def test_who_is_refused_gets_a_page_with_a_way_back_and_programs_a_problem(
    tenant: tenants.Tenant, things: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = Browser(tenant, "editor").client
    people = {"Accept": "text/html,application/xhtml+xml"}

    def answer(path: str, headers: dict[str, str]) -> tuple[int, str, str]:
        found = editor.get(path, headers=headers)
        return found.status_code, found["Content-Type"].partition(";")[0], found.content.decode()

    for path, status in (("/admin/commerce/product/", 403), ("/admin/nothing/here/", 404)):
        told = answer(path, people)
        assert told[:2] == (status, "text/html")
        assert 'href="/admin/"' in told[2]
        assert answer(path, {})[:2] == (status, "application/problem+json")
    assert answer("/api/v1/nothing", people)[:2] == (404, "application/problem+json")

    editor.raise_request_exception = False
    monkeypatch.setattr(AssetAdmin, "get_queryset", lambda *args, **named: 1 / 0)
    assert answer("/admin/media/asset/", people)[:2] == (500, "text/html")
    assert answer("/admin/media/asset/", {})[:2] == (500, "application/problem+json")


def test_rows_are_looked_at_on_the_installations_host_and_changed_on_their_own(
    tenant: tenants.Tenant, things: dict[str, Any]
) -> None:
    chief = Client(headers={"host": "testserver"})
    chief.force_login(factories.make_user(is_staff=True, is_superuser=True))
    for screen, row in (("commerce/product", things["product"]), ("content/node", things["page"])):
        page = f"/admin/{screen}/{row.id}/change/"
        shown = chief.get(page).content.decode()
        assert f'<a href="http://{tenant.slug}.test{page}">{tenant.slug}.test</a>' in shown
        assert "_save" not in shown
        assert chief.post(page, {"status": "archived"}).status_code == 403
        assert chief.get(f"/admin/{screen}/add/").status_code == 403


def test_members_roles_and_the_tenant_are_those_of_the_host(tenant: tenants.Tenant) -> None:
    other = factories.make_tenant()
    calling.make_caller(other, "owner", email="theirs@example.test")
    owner = Browser(tenant, "owner", email="ours@example.test")

    members = owner.text("accounts/membership/")

    assert "ours@example.test" in members
    assert "theirs@example.test" not in members
    assert other.slug not in owner.text("tenants/tenant/")
    assert owner.status(f"tenants/tenant/{other.pk}/change/") == 302
    assert owner.status("accounts/breakglass/") == 200
    assert owner.status("accounts/role/") == 200


@pytest.mark.parametrize("is_on_the_tenants_host", [True, False])
def test_the_superuser_opens_every_screen_and_a_row_of_each_on_every_host(
    tenant: tenants.Tenant, things: dict[str, Any], is_on_the_tenants_host: bool
) -> None:
    calling.make_caller(tenant, "owner")
    client = Client(headers={"host": f"{tenant.slug}.test"} if is_on_the_tenants_host else {})
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))

    answers, opened = {}, set()
    for model in admin.site._registry:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        answers[path] = client.get(path).status_code
        with isolation.all_tenants(reason="test"):
            row = model._base_manager.order_by("-pk").first()
        if row is not None:
            opened.add(model._meta.label)
            answers[f"{path}{quote(row.pk)}/change/"] = client.get(f"{path}{quote(row.pk)}/change/").status_code

    assert {path: status for path, status in answers.items() if status != 200} == {}
    assert opened > {"accounts.Membership", "content.Node", "commerce.Product", "tenants.Tenant", "audit.Entry"}


def test_break_glass_opens_the_screens_of_that_tenant(tenant: tenants.Tenant, things: dict[str, Any]) -> None:
    from django.utils import timezone

    staff = Browser(tenant)
    staff.user.user_permissions.add(calling.platform_permission(catalogue.OPEN_BREAK_GLASS))
    assert staff.status("content/node/") == 403

    with factories.at_work(tenant):
        opening = break_glass.Opening(reason="Orders fail since noon")
        break_glass.open_access(user=staff.user, opening=opening, now=timezone.now())

    assert "A page" in staff.text("content/node/")


def test_permissions_and_groups_of_django_give_nothing(tenant: tenants.Tenant, things: dict[str, Any]) -> None:
    browser = Browser(tenant, "merchandiser")
    browser.user.user_permissions.add(calling.platform_permission("content.view_node"))

    assert browser.status("content/node/") == 403


def test_every_screen_names_its_resource_or_is_the_platforms() -> None:
    unnamed = {
        model._meta.label for model, screen in admin.site._registry.items() if not getattr(screen, "resource", None)
    }

    assert unnamed == PLATFORM_ONLY | SEVERAL
    assert set(backend.resources().values()) <= set(catalogue.RESOURCES)
    assert backend.permission_behind("content.change_body") == "nodes:update"
    assert backend.permission_behind("accounts.view_user") is None
