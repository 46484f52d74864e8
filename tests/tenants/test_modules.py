"""Modules: chosen per tenant, held together by what they depend on, and not there when switched off."""

import io
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.kernel import errors
from apps.outbox.models import Log
from apps.tenants import models, modules, queries, services
from tests import factories

pytestmark = pytest.mark.usefixtures("db")

CHOOSABLE = ("commerce", "content", "inventory", "search")
# What serves the installation and belongs to no tenant.
PLATFORM = (
    "apps.kernel.problems",
    "apps.kernel.csp_reports",
    "apps.events",
    "apps.consumers",
    "rustok",
    "django",
    "drf_spectacular",
    "guardian",
    "whitenoise",
)
# Values for the places in addresses; what stands there does not matter to whether there is an address.
PLACES = {"int": "1", "slug": "page", "uuid": str(uuid.UUID(int=7)), "str": "x", "path": "1"}


def choose(tenant: models.Tenant, slug: str, **choice: Any) -> models.TenantModule | None:
    return services.choose_module(tenant=tenant, slug=slug, choice=services.ModuleChoice(**choice))


def module_events(tenant: models.Tenant) -> list[tuple[str, str]]:
    with factories.at_work(tenant):
        rows = list(Log.objects.filter(type__startswith="tenants.module.").order_by("id"))
    return [(row.type.rpartition(".")[2], row.data["module"]) for row in rows]


def addresses(resolver: URLResolver | None = None, prefix: str = "/") -> Iterator[tuple[str, Any]]:
    """Every address of the URLconf with its view, places filled in."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = prefix + filled(str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from addresses(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


def filled(pattern: str) -> str:
    plain = pattern.removeprefix("^").removesuffix("$")
    if plain.startswith("(?P<app_label>"):
        return "commerce/"
    return re.sub(r"<(?:(\w+):)?\w+>", lambda place: PLACES[place[1] or "str"], plain)


def test_a_new_tenant_has_the_default_set() -> None:
    assert {"accounts", *CHOOSABLE, "tenants"} <= set(queries.scope_of(factories.make_tenant()).modules)


def test_the_scope_costs_one_query_with_modules_and_locales(django_assert_num_queries: Any) -> None:
    tenant = factories.make_tenant()
    choose(tenant, "search", enabled=False)

    with django_assert_num_queries(1):
        at_work = queries.scope_of(tenant)

    assert "search" not in at_work.modules
    assert at_work.locales == ("de", "en")


def test_what_another_module_needs_stays_on_and_both_are_named() -> None:
    tenant = factories.make_tenant()

    with pytest.raises(services.ModuleNeeded, match='"commerce" is needed by "inventory"') as refused:
        choose(tenant, "commerce", enabled=False)
    assert refused.value.status == 409

    choose(tenant, "inventory", enabled=False)
    choose(tenant, "commerce", enabled=False)
    with pytest.raises(services.ModuleNeeded, match='"inventory" needs "commerce"'):
        choose(tenant, "inventory", enabled=True)
    choose(tenant, "commerce", enabled=True)
    choose(tenant, "inventory", enabled=True)

    assert module_events(tenant) == [
        ("disabled", "inventory"),
        ("disabled", "commerce"),
        ("enabled", "commerce"),
        ("enabled", "inventory"),
    ]


def test_a_core_module_can_not_be_switched_off() -> None:
    with pytest.raises(services.ModuleNeeded, match="part of every tenant"):
        choose(factories.make_tenant(), "tenants", enabled=False)


def test_a_choice_that_changes_nothing_records_nothing() -> None:
    tenant = factories.make_tenant()

    assert choose(tenant, "content", enabled=True) is None
    assert choose(tenant, "content") is None
    assert module_events(tenant) == []
    assert not models.TenantModule.objects.filter(tenant=tenant).exists()


def test_settings_change_without_switching() -> None:
    tenant = factories.make_tenant()

    choose(tenant, "search", settings={"weight": 2})

    assert module_events(tenant) == [("configured", "search")]
    assert "search" in queries.scope_of(tenant).modules


def test_an_unknown_module_is_told_with_the_nearest() -> None:
    with pytest.raises(modules.UnknownModule, match=r'no module "comerce"\. Did you mean "commerce"'):
        choose(factories.make_tenant(), "comerce", enabled=True)


def test_a_slug_is_registered_once() -> None:
    taken = modules.get("content")

    modules.register(taken)
    with pytest.raises(ValueError, match="already registered"):
        modules.register(modules.Module("content", "Other", "", "1", ()))


def test_every_address_belongs_to_a_module_or_serves_the_installation() -> None:
    orphans = [path for path, view in addresses() if not modules.owners_of(view) and not serves_everybody(view)]

    assert orphans == []
    assert all(modules.owners_of(view) for path, view in addresses() if path.startswith("/api/v1/"))


def serves_everybody(view: Any) -> bool:
    screen = getattr(view, "model_admin", None)
    package = screen.model.__module__ if screen else getattr(view, "__module__", "")
    return package.startswith(PLATFORM)


def test_a_view_nobody_declared_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("apps.readmodels.api.ProductsView.modules")

    assert [path for path, view in addresses() if path.endswith("/store/products") and not modules.owners_of(view)]


@pytest.mark.parametrize("slug", CHOOSABLE)
def test_every_address_of_a_module_that_is_off_is_404(client: Client, slug: str) -> None:
    tenant = factories.make_tenant()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    for other in modules.dependants_of(slug):
        choose(tenant, other.slug, enabled=False)
    owned = [path for path, view in addresses() if modules.owners_of(view) == (slug,)]
    before = {path: client.get(path, headers={"host": f"{tenant.slug}.test"}).status_code for path in owned}

    choose(tenant, slug, enabled=False)

    after = {path: client.get(path, headers={"host": f"{tenant.slug}.test"}) for path in owned}
    assert owned
    assert {path: answer.status_code for path, answer in after.items()} == dict.fromkeys(owned, 404)
    assert all(answer.json()["code"] == "not_found" for answer in after.values())
    assert set(before.values()) != {404}


def test_a_module_that_is_off_is_404_before_anybody_is_asked_who_they_are(client: Client) -> None:
    tenant = factories.make_tenant()
    host = {"host": f"{tenant.slug}.test"}
    assert client.post("/api/v1/admin/nodes", headers=host).status_code == 401

    choose(tenant, "content", enabled=False)

    assert client.post("/api/v1/admin/nodes", headers=host).status_code == 404


def test_terms_are_there_while_one_of_their_modules_is(client: Client) -> None:
    tenant = factories.make_tenant()
    host = {"host": f"{tenant.slug}.test"}
    choose(tenant, "content", enabled=False)

    assert client.get("/api/v1/store/categories", headers=host).status_code == 200
    assert client.get("/api/v1/store/categories?type=tag", headers=host).json()["code"] == "module_off"

    choose(tenant, "inventory", enabled=False)
    choose(tenant, "commerce", enabled=False)
    assert client.get("/api/v1/store/categories", headers=host).status_code == 404


def test_search_does_not_look_where_a_module_is_off(client: Client) -> None:
    tenant = factories.make_tenant()
    host = {"host": f"{tenant.slug}.test"}
    choose(tenant, "content", enabled=False)

    assert client.get("/api/v1/store/search?q=x", headers=host).status_code == 200
    assert client.get("/api/v1/store/search?q=x&type=content", headers=host).json()["code"] == "module_off"


def test_screens_of_a_module_that_is_off_are_hidden(client: Client) -> None:
    tenant = factories.make_tenant()
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    index = {"path": "/admin/", "headers": {"host": f"{tenant.slug}.test"}}
    assert b"/admin/content/node/" in client.get(**index).content

    choose(tenant, "content", enabled=False)

    assert b"/admin/content/node/" not in client.get(**index).content
    assert b"/admin/commerce/product/" in client.get(**index).content


def test_the_neighbour_keeps_its_modules(client: Client) -> None:
    tenant, neighbour = factories.make_tenant(), factories.make_tenant()

    choose(tenant, "content", enabled=False)

    assert "content" in queries.scope_of(neighbour).modules
    assert client.get("/api/v1/store/content/page", headers={"host": f"{neighbour.slug}.test"}).status_code == 200


@pytest.mark.parametrize(
    ("slug", "command"),
    [("commerce", "import_shopify"), ("inventory", "import_shopify"), ("content", "import_wordpress")],
)
def test_the_commands_of_a_module_that_is_off_refuse(slug: str, command: str, tmp_path: Any) -> None:
    tenant = factories.make_tenant()
    for other in modules.dependants_of(slug):
        choose(tenant, other.slug, enabled=False)
    choose(tenant, slug, enabled=False)

    with pytest.raises(
        CommandError, match=f'module "{slug}" is switched off.*tenant_modules {tenant.slug} enable {slug}'
    ):
        call_command(command, str(tmp_path / "none.csv"), tenant=tenant.slug)


def test_modules_are_seen_and_chosen_through_the_api(client: Client) -> None:
    tenant = factories.make_tenant()
    headers = {"host": f"{tenant.slug}.test", "Authorization": f"Bearer {factories.make_token(tenant)}"}
    json = {"content_type": "application/json", "headers": headers}

    shown = {row["slug"]: row for row in client.get("/api/v1/admin/modules", headers=headers).json()["data"]}
    refused = client.patch("/api/v1/admin/modules/commerce", {"enabled": False}, **json)
    changed = client.patch("/api/v1/admin/modules/search", {"enabled": False, "settings": {"a": 1}}, **json)
    unknown = client.patch("/api/v1/admin/modules/serch", {"enabled": False}, **json)

    assert shown["inventory"]["depends_on"] == ["commerce"]
    assert (refused.status_code, refused.json()["modules"]) == (409, ["inventory"])
    assert (changed.json()["enabled"], changed.json()["settings"]) == (False, {"a": 1})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_module")


def test_modules_are_seen_and_chosen_by_command() -> None:
    tenant, out = factories.make_tenant(), io.StringIO()

    call_command("tenant_modules", tenant.slug, "disable", "search", stdout=out)
    call_command("tenant_modules", tenant.slug, "disable", "search", stdout=out)
    call_command("tenant_modules", tenant.slug, "list", stdout=out)

    said = out.getvalue().splitlines()
    assert said[:2] == [f"search is off for {tenant.slug}.", f"search is off for {tenant.slug}, as it was."]
    assert any(re.match(r"search +off ", line) for line in said)
    assert any(re.match(r"tenants +core ", line) for line in said)
    with pytest.raises(CommandError, match="Did you mean"):
        call_command("tenant_modules", tenant.slug, "enable", "serch")
    with pytest.raises(CommandError, match="takes the slug of a module"):
        call_command("tenant_modules", tenant.slug, "enable")


def test_outside_a_tenant_nothing_is_off() -> None:
    assert not modules.are_off(["commerce"])
    assert issubclass(modules.ModuleOff, errors.NotFound)
