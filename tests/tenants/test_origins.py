"""Pages elsewhere read the API of their own tenant, and of no other."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings

from apps.tenants import models, origins, resolution, services
from tests import factories

# Not the domain of any other run: what is known of a domain outlives the transaction of a test.
SHOP = "shop-of-origins.test"
PATH = "/api/v1/store/products"
PRODUCTION = {"ORIGIN_SCHEMES": ["https"], "ORIGIN_ANY_PORT": False, "PLATFORM_HOSTS": ["api.example"]}


@pytest.fixture
def tenant(db: None) -> models.Tenant:
    made = factories.make_tenant(domains=[SHOP, f"www.{SHOP}"])
    resolution.forget(made.id)
    return made


@pytest.fixture(autouse=True)
def as_in_production() -> Any:
    with override_settings(**PRODUCTION):
        yield


def ask(origin: str | None, *, host: str = SHOP, path: str = PATH, **headers: str) -> Any:
    told = {"host": host, **headers} | ({"origin": origin} if origin is not None else {})
    return Client().get(path, headers=told)


def preflight(origin: str, *, host: str = SHOP, path: str = PATH) -> Any:
    told = {"host": host, "origin": origin, "access-control-request-method": "POST"}
    return Client().options(path, headers=told | {"access-control-request-headers": "authorization,x-tenant"})


def allowed(answer: Any) -> str | None:
    assert "Access-Control-Allow-Credentials" not in answer
    return answer.headers.get("Access-Control-Allow-Origin")


def test_a_page_at_another_domain_of_the_tenant_may_read(tenant: models.Tenant) -> None:
    answer = ask(f"https://www.{SHOP}")

    assert (answer.status_code, allowed(answer)) == (200, f"https://www.{SHOP}")
    assert "x-correlation-id" in answer["Access-Control-Expose-Headers"]
    assert "origin" in answer["Vary"].lower()


@pytest.mark.parametrize(
    "origin",
    [
        f"https://other.{SHOP}",
        "https://evil.example",
        f"https://{SHOP}.evil.example",
        f"https://evil{SHOP}",
        f"https://evil.example/?https://{SHOP}",
        f"https://{SHOP}/",
        f"https://{SHOP}:8443",
        f"https://{SHOP}:443",
        f"https://me@{SHOP}",
        f"https://{SHOP.upper()}",
        f"http://{SHOP}",
        f"ftp://{SHOP}",
        SHOP,
        "null",
        "*",
        "",
        "https://",
        "https://[",
        f"https://{SHOP}:x",
        f"https://{SHOP} https://www.{SHOP}",
    ],
)
def test_nobody_else_may(tenant: models.Tenant, origin: str) -> None:
    factories.make_tenant(domains=[f"other.{SHOP}"])

    answer = ask(origin)

    assert (answer.status_code, allowed(answer)) == (200, None)
    assert allowed(preflight(origin)) is None


def test_answers_differ_by_origin_for_caches_too(tenant: models.Tenant) -> None:
    assert "origin" in ask(None)["Vary"].lower()
    assert "origin" in ask("https://evil.example")["Vary"].lower()


def test_a_preflight_is_answered_before_anybody_asks_who_it_is(tenant: models.Tenant) -> None:
    answer = preflight(f"https://www.{SHOP}", path="/api/v1/admin/products")

    assert (answer.status_code, allowed(answer)) == (200, f"https://www.{SHOP}")
    assert {"authorization", "x-tenant", "idempotency-key"} <= set(answer["Access-Control-Allow-Headers"].split(", "))
    assert answer["Access-Control-Max-Age"] == "3600"


def test_on_a_host_of_the_installation_the_page_is_held_against_the_tenant_it_names(tenant: models.Tenant) -> None:
    other = factories.make_tenant()

    assert allowed(preflight(f"https://{SHOP}", host="api.example")) == f"https://{SHOP}"
    assert allowed(ask(f"https://{SHOP}", host="api.example", **{"x-tenant": tenant.slug})) == f"https://{SHOP}"
    assert allowed(ask(f"https://{SHOP}", host="api.example", **{"x-tenant": other.slug})) is None
    assert allowed(ask(f"https://{SHOP}", host="api.example")) is None
    assert allowed(preflight("https://evil.example", host="api.example")) is None


def test_pages_are_never_allowed_where_cookies_count(tenant: models.Tenant) -> None:
    assert allowed(ask(f"https://www.{SHOP}", path="/admin/login/")) is None


def test_a_domain_that_is_gone_is_allowed_no_more(tenant: models.Tenant) -> None:
    assert origins.tenant_of(f"https://www.{SHOP}") is not None

    services.remove_domain(tenant=tenant, host=f"www.{SHOP}")
    resolution.forget(tenant.id, names=[f"host:www.{SHOP}"])

    assert origins.tenant_of(f"https://www.{SHOP}") is None


def test_a_known_origin_costs_no_query(committed_db: None, django_assert_num_queries: Any) -> None:
    factories.make_tenant(domains=[f"www.{SHOP}"])
    origins.tenant_of(f"https://www.{SHOP}")

    with django_assert_num_queries(0):
        assert origins.tenant_of(f"https://www.{SHOP}") is not None


@override_settings(ORIGIN_SCHEMES=["https", "http"], ORIGIN_ANY_PORT=True)
def test_front_ends_of_developers_are_at_any_port(tenant: models.Tenant) -> None:
    assert allowed(ask(f"http://{SHOP}:3000")) == f"http://{SHOP}:3000"
