"""The management API: default deny, a permission on the tenant, a token that is never stored."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from apps.accounts import models, services
from apps.accounts.access import engine
from apps.kernel import errors
from tests import factories

pytestmark = pytest.mark.usefixtures("db")

LOGIN = "/api/v1/auth/token"
TENANT = "/api/v1/admin/tenant"


@pytest.fixture(autouse=True)
def no_attempts_yet() -> None:
    cache.clear()


def log_in(client: Client, email: str, password: str = factories.PASSWORD) -> Any:
    return client.post(LOGIN, {"email": email, "password": password}, content_type="application/json")


def test_login_gives_a_token_that_opens_the_tenant(client: Client) -> None:
    tenant, user = factories.make_tenant(), factories.make_user(email="Ann@Example.Test")
    services.grant_role(user=user, tenant=tenant, role="owner")

    token = log_in(client, "ANN@example.test").json()["token"]
    answer = client.get(TENANT, headers={"X-Tenant": tenant.slug, "Authorization": f"Bearer {token}"})

    assert answer.status_code == 200
    assert answer.json()["slug"] == tenant.slug
    assert not models.AccessToken.objects.filter(digest__contains=token).exists()


@pytest.mark.parametrize("password", ["wrong", ""])
def test_wrong_credentials_are_401_whoever_it_is(client: Client, password: str) -> None:
    user = factories.make_user()

    known, unknown = log_in(client, user.email, password), log_in(client, "nobody@example.test", password)

    assert known.status_code == unknown.status_code == 401
    assert known.json()["code"] == unknown.json()["code"] == "wrong_credentials"
    assert known.json()["detail"] == unknown.json()["detail"]


def test_an_inactive_user_cannot_log_in(client: Client) -> None:
    user = factories.make_user(is_active=False)

    assert log_in(client, user.email).status_code == 401


def test_without_or_with_a_false_or_expired_token_there_is_nothing(client: Client) -> None:
    tenant = factories.make_tenant()
    token = factories.make_token(tenant)
    models.AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    for header in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {token}"}):
        answer = client.get(TENANT, headers={"X-Tenant": tenant.slug, **header})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), [("GET", TENANT), ("POST", "/api/v1/auth/logout")])
def test_without_a_token_the_answer_says_where_to_get_one(client: Client, method: str, path: str) -> None:
    answer = client.generic(method, path, headers={"X-Tenant": factories.make_tenant().slug})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["detail"] == "Send Authorization: Bearer <token>; get one from POST /api/v1/auth/token."


def test_logout_revokes_the_token(client: Client) -> None:
    tenant = factories.make_tenant()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}

    assert client.post("/api/v1/auth/logout", headers=headers).status_code == 204
    assert client.get(TENANT, headers=headers).status_code == 401


def test_a_role_in_one_tenant_opens_no_other(client: Client) -> None:
    ours, theirs = factories.make_tenant(), factories.make_tenant()
    token = factories.make_token(ours)

    assert client.get(TENANT, headers={"X-Tenant": theirs.slug, "Authorization": f"Bearer {token}"}).status_code == 403


def test_a_role_opens_its_part_only(client: Client) -> None:
    tenant = factories.make_tenant()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant, role='editor')}"}

    assert client.get("/api/v1/admin/nodes", headers=headers).status_code == 200
    assert client.get("/api/v1/admin/products", headers=headers).status_code == 403
    assert client.get(TENANT, headers=headers).status_code == 403


def test_changing_the_role_changes_the_permissions() -> None:
    tenant, user = factories.make_tenant(), factories.make_user()

    services.grant_role(user=user, tenant=tenant, role="editor")
    services.grant_role(user=user, tenant=tenant, role="merchandiser")

    with factories.at_work(tenant):
        held = engine.rights_of(user, tenant.id, now=timezone.now())
    assert held.roles == ("merchandiser",)
    assert held.allows("products:update")
    assert not held.allows("nodes:read")
    with pytest.raises(errors.ValidationFailed, match='"boss" is not one of admin'):
        services.grant_role(user=user, tenant=tenant, role="boss")


def test_the_eleventh_login_in_a_minute_waits(client: Client) -> None:
    answers = [log_in(client, "nobody@example.test") for _ in range(11)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert answers[-1]["Retry-After"]


def test_the_tenant_is_changed_through_the_api(client: Client) -> None:
    tenant = factories.make_tenant()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}

    changed = client.patch(TENANT, {"name": "New"}, content_type="application/json", headers=headers)
    added = client.post(f"{TENANT}/locales", {"locale": "fr"}, content_type="application/json", headers=headers)
    removed = client.delete(f"{TENANT}/locales/fr", headers=headers)
    refused = client.patch(TENANT, {"nmae": "New"}, content_type="application/json", headers=headers)

    assert changed.json()["name"] == "New"
    assert added.status_code == 201
    assert "fr" in added.json()["locales"]
    assert removed.status_code == 204
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/nmae"
    assert 'Did you mean "name"?' in refused.json()["detail"]


def test_a_view_that_names_no_permission_is_closed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.tenants.api import TenantView

    tenant = factories.make_tenant()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}
    monkeypatch.delattr(TenantView, "permissions")

    assert client.get(TENANT, headers=headers).status_code == 403
