"""The management API: default deny, a permission on the tenant."""

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts import services
from apps.accounts.access import engine
from apps.kernel import errors
from tests import factories

pytestmark = pytest.mark.usefixtures("db")

TENANT = "/api/v1/admin/tenant"


def test_a_token_opens_the_tenant_of_its_user(client: Client) -> None:
    tenant = factories.make_tenant()

    answer = client.get(
        TENANT, headers={"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}
    )

    assert answer.status_code == 200
    assert answer.json()["slug"] == tenant.slug


@pytest.mark.parametrize(("method", "path"), [("GET", TENANT), ("POST", "/api/v1/auth/logout")])
def test_without_a_token_the_answer_says_where_to_get_one(client: Client, method: str, path: str) -> None:
    answer = client.generic(method, path, headers={"X-Tenant": factories.make_tenant().slug})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["detail"] == "Send Authorization: Bearer <token>; get one from POST /api/v1/auth/token."


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


def test_the_tenant_is_changed_through_the_api(client: Client) -> None:
    tenant = factories.make_tenant()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}", "If-Match": "*"}

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
