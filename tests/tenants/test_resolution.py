"""The tenant comes from the host or X-Tenant, never from thin air."""

import pytest
from django.test import Client
from django.utils import timezone

from apps.tenants import services
from tests import factories

pytestmark = pytest.mark.usefixtures("db")

PRODUCTS = "/api/v1/store/products"


def status_and_code(client: Client, **headers: str) -> tuple[int, str | None]:
    answer = client.get(PRODUCTS, headers=headers)
    return answer.status_code, answer.json().get("code")


def test_the_host_leads_to_the_tenant(client: Client) -> None:
    factories.make_tenant(domains=["shop.example.com"])

    assert status_and_code(client, host="shop.example.com")[0] == 200
    assert status_and_code(client, host="SHOP.example.com:5150")[0] == 200


def test_an_unknown_host_is_404_and_never_a_default_tenant(client: Client) -> None:
    factories.make_tenant()

    answer = client.get(PRODUCTS, headers={"host": "nobody.example.com"})

    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "tenant_not_found"
    assert "nobody.example.com" in answer.json()["detail"]


def test_a_server_client_names_the_tenant_by_slug_or_id(client: Client) -> None:
    tenant = factories.make_tenant()

    assert status_and_code(client, host="internal", **{"X-Tenant": tenant.slug})[0] == 200
    assert status_and_code(client, host="internal", **{"X-Tenant": str(tenant.id)})[0] == 200
    assert status_and_code(client, host="internal", **{"X-Tenant": "nobody"}) == (404, "tenant_not_found")


def test_host_and_header_must_agree(client: Client) -> None:
    factories.make_tenant(domains=["shop.example.com"])
    other = factories.make_tenant()

    assert status_and_code(client, host="shop.example.com", **{"X-Tenant": other.slug}) == (400, "tenant_mismatch")


@pytest.mark.parametrize("path", [PRODUCTS, "/api/v1/admin/tenant", "/api/v1/auth/token", "/admin/", "/nowhere"])
def test_a_suspended_tenant_is_403_on_every_path_until_it_is_resumed(client: Client, path: str) -> None:
    tenant = factories.make_tenant(domains=["shop.example.com"])
    services.suspend_tenant(
        tenant=tenant, suspension=services.Suspension(reason="invoice 7 is open"), now=timezone.now()
    )

    answer = client.get(path, headers={"host": "shop.example.com"})
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_inactive")
    assert "invoice" not in answer.content.decode()

    services.resume_tenant(tenant=tenant)
    assert client.get(path, headers={"host": "shop.example.com"}).status_code != 403


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/api/schema", "/api/docs"])
def test_health_metrics_and_docs_need_no_tenant(client: Client, path: str) -> None:
    assert client.get(path, headers={"host": "nobody.example.com"}).status_code == 200


def test_every_answer_carries_a_correlation_id(client: Client) -> None:
    given = "0192e4a0-7b1c-7def-8000-000000000001"

    assert client.get("/health/live", headers={"X-Correlation-Id": given})["X-Correlation-Id"] == given
    assert len(client.get("/health/live", headers={"X-Correlation-Id": "nonsense"})["X-Correlation-Id"]) == 36
