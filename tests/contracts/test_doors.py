"""A value meets the same rule, and the same code, at every door: the API, forms of the admin, commands, services."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pytest
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts import models as accounts
from apps.accounts import realms
from apps.accounts.services import passwords
from apps.consumers import models as consumers
from apps.consumers import operations
from apps.kernel import errors
from apps.tenants import models as tenants
from apps.tenants import services as tenant_services
from tests import factories

KELVIN = "\u212a"
LOOK_ALIKE = f"{KELVIN}ate@example.com"


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant()


def code_at(client: Client, path: str, body: dict[str, Any], **headers: str) -> list[tuple[str, str]]:
    """Where and as what the API refuses a body."""
    answer: Any = client.post(
        f"/api/v1/{path}", orjson.dumps(body), "application/json", headers=factories.write_headers("POST") | headers
    )
    assert answer.status_code == 422, answer.content
    return [(entry["pointer"], entry["code"]) for entry in answer.json()["errors"]]


@pytest.mark.usefixtures("db")
def test_an_address_that_only_looks_like_one_comes_in_at_no_door(client: Client, tenant: tenants.Tenant) -> None:
    of_owner = {"Authorization": f"Bearer {factories.make_token(tenant)}", "X-Tenant": tenant.slug}
    invalid = [("/email", "invalid_email")]

    assert code_at(client, "auth/token", {"email": LOOK_ALIKE, "password": "x"}) == invalid
    assert code_at(client, "admin/invitations", {"email": LOOK_ALIKE, "role": "editor"}, **of_owner) == invalid
    at_the_admin = client.post("/admin/login/", {"username": LOOK_ALIKE.replace(KELVIN, "И"), "password": "x"})
    assert b"this is not an e-mail address such as ann@example.com" in at_the_admin.content
    with pytest.raises(errors.ValidationFailed, match="not an e-mail address"):
        accounts.User.objects.create_user(LOOK_ALIKE)
    assert not accounts.User.objects.filter(email__contains="ate@").exists()


@pytest.mark.usefixtures("db")
def test_one_mailbox_is_one_account_at_every_door(client: Client) -> None:
    user = factories.make_user(email="ann@пример.рф")

    assert user.email == "ann@xn--e1afmkfd.xn--p1ai"
    assert passwords.find_by_password(realm=realms.STAFF, email=" ANN@Пример.РФ ", password=factories.PASSWORD) == user
    assert accounts.User.objects.get_by_natural_key("Ann@пример.рф") == user
    answer = client.post(
        "/api/v1/auth/token", {"email": "ANN@ПРИМЕР.РФ", "password": factories.PASSWORD}, "application/json"
    )
    assert answer.status_code == 200
    output = io.StringIO()
    call_command("user", "ann@пример.рф", stdout=output)
    assert output.getvalue().startswith(user.email)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("password", "code"), [("qzx7 wvb9", "password_too_short"), ("q7 " * 42 + "xyz", "password_too_long")]
)
def test_a_password_has_the_same_bounds_at_the_api_and_for_the_commands_of_django(
    client: Client, password: str, code: str
) -> None:
    token = factories.make_tokens(factories.make_user()).access_token
    change = {"current_password": factories.PASSWORD, "new_password": password}

    assert code_at(client, "auth/password", change, Authorization=f"Bearer {token}") == [("/new_password", code)]
    with pytest.raises(ValidationError) as failure:
        password_validation.validate_password(password)
    assert [entry.code for entry in failure.value.error_list] == [code]
    inside = password + "x" if code == "password_too_short" else password[:-1]
    password_validation.validate_password(inside)


@pytest.mark.usefixtures("db")
def test_a_password_from_before_the_bound_still_opens_the_door(client: Client) -> None:
    long = "x y" * 300
    user = factories.make_user(password=long)

    answer = client.post("/api/v1/auth/token", {"email": user.email, "password": long}, "application/json")

    assert answer.status_code == 200


@pytest.mark.usefixtures("db")
def test_a_host_is_refused_alike_when_a_tenant_is_made_and_when_it_gets_one_more(tenant: tenants.Tenant) -> None:
    with pytest.raises(CommandError, match=r'^--domain: "https://shop.test": this is not a host name'):
        call_command("create_tenant", "shop", domain=["https://shop.test"])
    with pytest.raises(errors.ValidationFailed) as refused:
        tenant_services.add_domain(tenant=tenant, host="https://shop.test")

    assert refused.value.problems[0].code == "invalid_host"
    assert tenant_services.check_host(" Shop.TEST. ") == "shop.test"


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize(("reason", "code"), [("x" * 501, "string_too_long"), ("a\x00b", "nul_character")])
def test_a_reason_has_the_same_bounds_in_the_admin_and_on_the_command_line(reason: str, code: str) -> None:
    operator = factories.make_user(is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(operator)
    form = {"consumer": "content", "lever": "pause", "reason": reason}

    shown: Any = browser.post("/admin/consumers/consumer/operate/", form, follow=True)
    with pytest.raises(CommandError, match="reason: "):
        call_command("events_consumer", "pause", "content", reason=reason)
    with pytest.raises(errors.ValidationFailed) as refused:
        operations.retry_effects(keys=[], reason=reason)

    assert b"Reason: " in shown.content
    assert refused.value.problems[0].code == code
    assert consumers.Consumer.objects.get(name="content").status == "active"
    assert not consumers.OperatorAction.objects.exists()


@pytest.mark.usefixtures("db")
def test_a_code_is_held_against_its_rule_in_the_admin_too() -> None:
    user = factories.make_user(is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(user)

    shown = browser.post("/admin/second-factor/", {"action": "confirm", "code": "7" * 256})

    assert b"this has at most 255 characters" in shown.content
    assert b"7777" not in shown.content
