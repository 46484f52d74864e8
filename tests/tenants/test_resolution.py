"""The tenant comes from the host or X-Tenant, never from thin air."""

import uuid

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps.tenants import models, scope, services
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
    assert "X-Tenant" in answer.json()["detail"]


def test_a_server_client_names_the_tenant_by_slug_or_id(client: Client) -> None:
    tenant = factories.make_tenant()

    assert status_and_code(client, host="internal", **{"X-Tenant": tenant.slug})[0] == 200
    assert status_and_code(client, host="internal", **{"X-Tenant": str(tenant.id)})[0] == 200
    assert status_and_code(client, host="internal", **{"X-Tenant": "nobody"}) == (404, "tenant_not_found")


DOMAIN, SUB_DOMAIN, INTERNAL, FOREIGN = "shop.example.com", "acme.shops.test", "internal", "nobody.example.com"
FOUND, NOT_FOUND, INACTIVE, MALFORMED = (
    (200, None),
    (404, "tenant_not_found"),
    (403, "tenant_inactive"),
    (400, "malformed_tenant_name"),
)


@pytest.fixture
def acme(db: None, settings: Settings) -> models.Tenant:
    """At a domain of its own, and as a sub-domain; `internal` is a host of the installation."""
    settings.PLATFORM_HOSTS = ["internal", "www.shops.test"]
    settings.BASE_DOMAINS = ["shops.test"]
    return factories.make_tenant(slug="acme", domains=[DOMAIN])


@pytest.fixture
def others(acme: models.Tenant) -> None:
    factories.make_tenant(slug="other", domains=["other.example.com"])
    asleep = factories.make_tenant(slug="asleep", domains=["asleep.example.com"])
    services.suspend_tenant(tenant=asleep, suspension=services.Suspension(reason="asleep"), now=timezone.now())


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("host", "header", "expected"),
    [
        (DOMAIN, None, FOUND),
        (DOMAIN, "acme", FOUND),
        (DOMAIN, "other", NOT_FOUND),
        (DOMAIN, "asleep", NOT_FOUND),
        (DOMAIN, "nobody", NOT_FOUND),
        (DOMAIN, "No Slug", MALFORMED),
        (DOMAIN, "", MALFORMED),
        (SUB_DOMAIN, None, FOUND),
        (SUB_DOMAIN, "acme", FOUND),
        (SUB_DOMAIN, "other", NOT_FOUND),
        (SUB_DOMAIN, "nobody", NOT_FOUND),
        ("ACME.Shops.Test.:8080", None, FOUND),
        ("a.acme.shops.test", None, NOT_FOUND),  # more than one label
        ("nobody.shops.test", None, NOT_FOUND),
        ("nobody.shops.test", "acme", NOT_FOUND),
        ("shops.test", None, NOT_FOUND),
        ("www.shops.test", None, NOT_FOUND),  # a host of the installation
        ("www.shops.test", "acme", FOUND),
        ("asleep.example.com", None, INACTIVE),
        ("asleep.example.com", "asleep", INACTIVE),
        ("asleep.example.com", "acme", NOT_FOUND),
        ("asleep.shops.test", None, INACTIVE),
        (INTERNAL, None, NOT_FOUND),
        (INTERNAL, "acme", FOUND),
        (INTERNAL, "asleep", INACTIVE),
        (INTERNAL, "nobody", NOT_FOUND),
        (INTERNAL, "acme,other", MALFORMED),
        (INTERNAL, "a" * 65, MALFORMED),
        (FOREIGN, None, NOT_FOUND),
        (FOREIGN, "acme", NOT_FOUND),  # the host is neither a tenant's nor the installation's
    ],
)
def test_whatever_names_a_tenant_must_name_the_same_one(
    client: Client, host: str, header: str | None, expected: tuple[int, str | None]
) -> None:
    headers = {} if header is None else {"X-Tenant": header}

    assert status_and_code(client, host=host, **headers) == expected


def test_a_tenant_is_named_by_its_id_too(client: Client, acme: models.Tenant) -> None:
    assert status_and_code(client, host=DOMAIN, **{"X-Tenant": str(acme.id)}) == FOUND
    assert status_and_code(client, host=DOMAIN, **{"X-Tenant": str(uuid.uuid4())}) == NOT_FOUND


@pytest.mark.usefixtures("others")
def test_a_mismatch_does_not_tell_that_the_other_tenant_exists(client: Client) -> None:
    def body(header: str) -> dict[str, object]:
        answer = client.get(PRODUCTS, headers={"host": DOMAIN, "X-Tenant": header})
        return {name: value for name, value in answer.json().items() if name != "request_id"}

    assert body("other") == body("asleep") == body("nobody")


@pytest.mark.usefixtures("others")
def test_a_domain_and_a_sub_domain_that_disagree_lead_nowhere(client: Client, acme: models.Tenant) -> None:
    with factories.at_work(acme):
        models.Domain.objects.create(host="other.shops.test", tenant=acme)  # as no service would

    assert status_and_code(client, host="other.shops.test") == NOT_FOUND


def test_the_sub_domain_of_another_slug_is_no_domain_to_have(acme: models.Tenant) -> None:
    with pytest.raises(services.DomainTaken, match="below a base domain"):
        services.add_domain(tenant=acme, host="other.shops.test")

    services.add_domain(tenant=acme, host="acme.shops.test")


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("peer", "forwarded", "host", "expected"),
    [
        ("10.0.0.1", DOMAIN, INTERNAL, FOUND),
        ("10.0.0.1", DOMAIN, "web", FOUND),  # how the proxy calls us matters to nobody
        ("10.0.0.1", DOMAIN, DOMAIN, FOUND),
        ("10.0.0.1", FOREIGN, DOMAIN, NOT_FOUND),
        ("10.0.0.1", INTERNAL, DOMAIN, NOT_FOUND),
        ("10.0.0.1", "other.example.com", DOMAIN, NOT_FOUND),  # played off against each other
        ("10.0.0.1", f"{FOREIGN}, {DOMAIN}", INTERNAL, FOUND),
        ("10.0.0.1", "no host", DOMAIN, (400, "malformed_host")),
        ("203.0.113.7", "other.example.com", DOMAIN, FOUND),  # the header of a stranger is not looked at
        ("203.0.113.7", DOMAIN, INTERNAL, NOT_FOUND),
        ("203.0.113.7", "no host", DOMAIN, FOUND),
    ],
)
def test_a_forwarded_host_counts_from_trusted_proxies_only(
    client: Client, settings: Settings, peer: str, forwarded: str, host: str, expected: tuple[int, str | None]
) -> None:
    settings.TRUSTED_PROXIES = ("10.0.0.0/8",)
    for headers in ({"X-Forwarded-Host": forwarded}, {"Forwarded": f'host="{forwarded.rpartition(", ")[2]}"'}):
        answer = client.get(PRODUCTS, headers={"host": host} | headers, REMOTE_ADDR=peer)

        assert (answer.status_code, answer.json().get("code")) == expected


@pytest.mark.parametrize("path", [PRODUCTS, "/admin/", "/api/docs", "/api/v1/auth/token"])
@pytest.mark.parametrize("host", ["not a host", "a..b", "shop.example.com:x", "a,b"])
def test_a_malformed_host_is_a_problem_document_everywhere(client: Client, path: str, host: str) -> None:
    answer = client.get(path, headers={"host": host})

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == "malformed_host"
    assert "shop.example.com" in answer.json()["detail"]


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("path", ["/api/docs", "/api/schema", "/events/catalogue"])
def test_pages_of_the_installation_are_served_on_its_hosts_and_on_those_of_tenants(client: Client, path: str) -> None:
    assert client.get(path, headers={"host": INTERNAL}).status_code == 200
    assert client.get(path, headers={"host": DOMAIN}).status_code == 200

    refused = client.get(path, headers={"host": FOREIGN})
    assert (refused.status_code, refused.json()["code"]) == (400, "host_not_served")


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("host", "header", "status"),
    [
        (INTERNAL, None, 302),
        (DOMAIN, None, 302),
        (INTERNAL, "acme", 302),
        (INTERNAL, "nobody", 404),
        (FOREIGN, None, 404),
        ("asleep.example.com", None, 403),
    ],
)
def test_the_admin_needs_no_tenant_but_a_right_one(client: Client, host: str, header: str | None, status: int) -> None:
    headers = {"host": host} | ({} if header is None else {"X-Tenant": header})

    assert client.get("/admin/", headers=headers).status_code == status


def test_who_proved_to_belong_to_a_tenant_works_in_no_other(acme: models.Tenant) -> None:
    with factories.at_work(acme):
        scope.require_agreement(acme.id)
        with pytest.raises(scope.TenantNotFound) as refused:
            scope.require_agreement(uuid.uuid4())
    with pytest.raises(scope.TenantNotFound):
        scope.require_agreement(acme.id)

    assert refused.value.detail == scope.TenantNotFound().detail  # the same words as for an unknown one


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


def test_nobody_answers_in_the_language_that_was_asked_for(client: Client, db: None) -> None:
    told = {
        language: client.get(
            "/api/v1/store/products", headers={"host": "nobody.example", "accept-language": language}
        ).json()["detail"]
        for language in ("en", "de", "ru")
    }

    assert told["en"].startswith("No tenant answers here")
    assert len(set(told.values())) == 3
