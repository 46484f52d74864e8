"""Customers: accounts of one shop, confirmed by mail, and nothing to anybody else."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from apps.accounts import models, tasks, tokens
from apps.accounts.realms import STORE
from apps.accounts.services import customers, mailed, sessions
from apps.kernel import ids
from apps.outbox.models import Log
from apps.tenants.models import Tenant
from tests import factories
from tests.accounts.conftest import at_once

pytestmark = pytest.mark.usefixtures("db")
ACCOUNT = "/api/v1/store/account"
EMAIL = "cara@example.test"
PASSWORD = "a phrase of my own"


class Shopper:
    """Requests to the account of a shop."""

    def __init__(self, tenant: Tenant, token: str = "") -> None:
        self.tenant = tenant
        self.token = token
        self._client = Client()

    def request(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        token = self.token if token is None else token
        headers = {"X-Tenant": self.tenant.slug} | ({"Authorization": f"Bearer {token}"} if token else {})
        send = getattr(self._client, method.lower())
        return send(f"{ACCOUNT}/{path}", body, content_type="application/json", headers=headers)

    def register(self, email: str = EMAIL, password: str = PASSWORD) -> Any:
        return self.request("POST", "register", {"email": email, "password": password, "name": "Cara"})

    def become_customer(self) -> dict[str, Any]:
        """Registered, confirmed and logged in: the answer of the login."""
        assert self.register().status_code == 202
        tasks.send_mails()
        assert self.request("POST", "verify", {"token": token_of(mail.outbox[-1])}).status_code == 201
        answer = self.log_in()
        assert answer.status_code == 200
        self.token = answer.json()["access_token"]
        return dict(answer.json())

    def log_in(self, email: str = EMAIL, password: str = PASSWORD) -> Any:
        return self.request("POST", "login", {"email": email, "password": password})


@pytest.fixture
def shopper() -> Shopper:
    return Shopper(factories.make_tenant())


def token_of(message: Any) -> str:
    found = re.search(r"Token: (rts_\S+)", message.body)
    assert found
    return found[1]


def test_who_registers_is_a_customer_once_the_address_is_confirmed(shopper: Shopper) -> None:
    assert shopper.register().status_code == 202
    assert shopper.log_in().status_code == 401
    tasks.send_mails()
    assert shopper.tenant.name in mail.outbox[0].body

    confirmed = shopper.request("POST", "verify", {"token": token_of(mail.outbox[0])})

    assert confirmed.status_code == 201
    assert confirmed.json()["email"] == EMAIL
    assert shopper.request("POST", "verify", {"token": token_of(mail.outbox[0])}).status_code == 422
    with factories.at_work(shopper.tenant):
        assert models.CustomerMailedToken.objects.get().password == "", "kept in one place only"


def test_a_customer_logs_in_refreshes_and_looks_after_the_account(shopper: Shopper) -> None:
    issued = shopper.become_customer()
    assert issued["customer"]["name"] == "Cara"
    assert shopper.request("GET", "me").json()["email"] == EMAIL

    refreshed = shopper.request("POST", "refresh", {"refresh_token": issued["refresh_token"]})
    assert refreshed.status_code == 200
    assert shopper.request("PATCH", "me", {"name": "Cara C."}).json()["name"] == "Cara C."
    (session,) = shopper.request("GET", "sessions").json()["data"]
    assert session["current"] is True

    change = {"current_password": PASSWORD, "new_password": "another phrase of mine"}
    changed = shopper.request("POST", "password", change)
    assert shopper.request("GET", "me").status_code == 401
    shopper.token = changed.json()["access_token"]
    assert shopper.request("POST", "logout").status_code == 204
    assert shopper.request("GET", "me").status_code == 401
    assert shopper.log_in(password="another phrase of mine").status_code == 200


def test_registering_tells_nobody_who_is_a_customer(shopper: Shopper, django_assert_num_queries: Any) -> None:
    shopper.become_customer()
    shopper.register("warm.up@example.test")
    answers = []

    for email in (EMAIL, "new@example.test"):
        with django_assert_num_queries(3):  # the host by both its readings, and the one row
            answers.append(shopper.register(email, "some other phrase"))
    shopper.register(EMAIL, "some other phrase")
    mailed.send_due(table=models.CustomerMailedToken, now=timezone.now() + mailed.SPACING)

    assert answers[0].status_code == answers[1].status_code == 202
    assert answers[0].content == answers[1].content
    assert sorted((message.to[0], message.subject) for message in mail.outbox[1:]) == [
        (EMAIL, "Reset your password"),
        ("new@example.test", "Confirm your e-mail address"),
        ("warm.up@example.test", "Confirm your e-mail address"),
    ]
    with factories.at_work(shopper.tenant):
        assert models.Customer.objects.get(email=EMAIL).check_password(PASSWORD)


def test_a_forgotten_password_is_reset_and_every_session_ends(shopper: Shopper) -> None:
    shopper.become_customer()

    assert shopper.request("POST", "reset", {"email": EMAIL}).status_code == 202
    tasks.send_mails()
    new = {"token": token_of(mail.outbox[-1]), "password": "another phrase of mine"}
    assert shopper.request("POST", "reset/confirm", new).status_code == 204

    assert shopper.request("GET", "me").status_code == 401
    assert shopper.log_in(password="another phrase of mine").status_code == 200


def test_the_same_address_in_two_shops_is_two_customers(shopper: Shopper) -> None:
    other = Shopper(factories.make_tenant())
    issued = shopper.become_customer()
    foreign = other.become_customer()

    assert issued["customer"]["id"] != foreign["customer"]["id"]
    assert other.request("GET", "me", token=issued["access_token"]).status_code == 401
    assert other.request("POST", "refresh", {"refresh_token": issued["refresh_token"]}).status_code == 401
    with factories.at_work(shopper.tenant):
        session = models.CustomerSession.objects.get()
    assert other.request("DELETE", f"sessions/{ids.encode('sess', session.id)}").status_code == 404
    assert shopper.request("GET", "me").status_code == 200


def test_mailed_tokens_are_good_in_their_shop_only(shopper: Shopper) -> None:
    other = Shopper(factories.make_tenant())
    shopper.register()
    tasks.send_mails()
    token = token_of(mail.outbox[0])

    assert other.request("POST", "verify", {"token": token}).status_code == 422
    assert shopper.request("POST", "verify", {"token": token}).status_code == 201


def test_staff_and_customers_are_nothing_to_each_other(shopper: Shopper) -> None:
    issued = shopper.become_customer()
    staff = factories.make_token(shopper.tenant)
    headers = {"X-Tenant": shopper.tenant.slug, "Authorization": f"Bearer {issued['access_token']}"}

    assert shopper.request("GET", "me", token=staff).status_code == 401
    for path in ("/api/v1/auth/me", "/api/v1/admin/tenant", "/api/v1/admin/nodes"):
        assert Client().get(path, headers=headers).status_code == 401
    refresh = {"refresh_token": issued["refresh_token"]}
    assert Client().post("/api/v1/auth/refresh", refresh, content_type="application/json").status_code == 401
    with pytest.raises(tokens.TokenRefused):
        tokens.read(issued["access_token"], audience="staff")


def test_without_a_token_the_answer_says_where_to_get_one(shopper: Shopper) -> None:
    answer = shopper.request("GET", "me")

    assert answer.status_code == 401
    assert "POST /api/v1/store/account/login" in answer.json()["detail"]


def test_a_customer_who_is_switched_off_is_out_at_once(shopper: Shopper) -> None:
    shopper.become_customer()

    with factories.at_work(shopper.tenant):
        customer = customers.set_active(customer=models.Customer.objects.get(), is_active=False)
        assert shopper.request("GET", "me").status_code == 401
        assert shopper.log_in().status_code == 401
        customers.set_active(customer=customer, is_active=True)

    assert shopper.request("GET", "me").status_code == 401


def test_guesses_in_one_shop_keep_nobody_out_of_another(shopper: Shopper) -> None:
    other = Shopper(factories.make_tenant())
    other.become_customer()

    assert [shopper.log_in(password="x").status_code for _ in range(2)] == [401, 429]
    assert other.log_in().status_code == 200


def test_events_tell_of_customers_and_nothing_personal(shopper: Shopper) -> None:
    issued = shopper.become_customer()
    shopper.request("PATCH", "me", {"name": "Cara C."})
    shopper.request("PATCH", "me", {"name": "Cara C."})

    customer_id = ids.decode("cust", issued["customer"]["id"])
    with factories.at_work(shopper.tenant):
        events = list(Log.objects.filter(aggregate_id=customer_id).order_by("version"))

    assert [event.type for event in events] == ["accounts.customer.registered", "accounts.customer.updated"]
    assert all(event.data.keys() == {"is_active", "registered_at"} for event in events)


def test_old_sessions_and_tokens_are_forgotten(shopper: Shopper) -> None:
    shopper.become_customer()
    after = timezone.now() + timedelta(days=400)

    with factories.at_work(shopper.tenant):
        assert sessions.forget_ended(realm=STORE, before=after) == 2
        assert mailed.forget_old(table=models.CustomerMailedToken, before=after) == 1


@pytest.mark.usefixtures("committed_db")
def test_of_two_confirmations_at_once_one_makes_the_customer() -> None:
    shopper = Shopper(factories.make_tenant())
    shopper.register()
    tasks.send_mails()
    token = token_of(mail.outbox[0])

    def confirm(_: int) -> Any:
        with factories.at_work(shopper.tenant):
            return customers.confirm_registration(token=token, now=timezone.now())

    results = at_once(3, confirm)

    assert sum(isinstance(result, models.Customer) for result in results) == 1
    assert sum(isinstance(result, mailed.TokenUnusable) for result in results) == 2
