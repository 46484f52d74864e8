"""A second factor: set up by its owner, asked for at every login, each code good once."""

from __future__ import annotations

import html
import io
import re
from datetime import datetime, timedelta
from typing import Any

import pyotp
import pytest
import redis
import segno
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import attempts, models, tokens
from apps.accounts.clients import Client as Peer
from apps.accounts.services import second_factors
from apps.tenants import services as tenants
from tests import factories
from tests.accounts.conftest import at_once

PEER = Peer("127.0.0.1")


class Enrolled:
    """Somebody with an authenticator app, confirmed a while ago."""

    def __init__(self, **fields: Any) -> None:
        self.user = factories.make_user(**fields)
        self.tokens = factories.make_tokens(self.user)
        earlier = timezone.now() - timedelta(minutes=10)
        self.enrolment = second_factors.enrol(user=self.user, now=earlier)
        self.recovery_codes = second_factors.confirm(
            user=self.user, session=self.tokens.session, code=self.code(earlier), client=PEER, now=earlier
        )

    def code(self, at: datetime | None = None) -> str:
        return pyotp.TOTP(self.enrolment.secret).at(at or timezone.now())

    def log_in(self, client: Client, code: str | None = None, password: str = factories.PASSWORD) -> Any:
        body = {"email": self.user.email, "password": password} | ({} if code is None else {"code": code})
        return client.post("/api/v1/auth/token", body, content_type="application/json")

    def end_wait(self) -> None:
        attempts.was_not_looked_at(attempts.Guess("staff", self.user.email, PEER))


@pytest.fixture
def ann(db: None) -> Enrolled:
    return Enrolled()


def post(client: Client, path: str, body: dict[str, Any], token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return client.post(f"/api/v1/auth/{path}", body, content_type="application/json", headers=headers)


@pytest.mark.usefixtures("db")
def test_one_sets_it_up_over_the_api(client: Client) -> None:
    user = factories.make_user()
    token = factories.make_tokens(user).access_token
    headers = {"Authorization": f"Bearer {token}"}

    enrolment = post(client, "totp", {}, token).json()
    totp = pyotp.parse_uri(enrolment["uri"])
    assert totp.secret == enrolment["secret"]
    assert client.get("/api/v1/auth/totp", headers=headers).json() == {"enabled": False, "recovery_codes_left": 0}
    confirmed = post(client, "totp/confirm", {"code": totp.now()}, token)

    assert len(confirmed.json()["recovery_codes"]) == 10
    assert client.get("/api/v1/auth/totp", headers=headers).json() == {"enabled": True, "recovery_codes_left": 10}
    assert post(client, "totp", {}, token).status_code == 409


def test_a_login_asks_for_the_code_and_says_so_only_to_who_knows_the_password(ann: Enrolled, client: Client) -> None:
    assert ann.log_in(client).json()["code"] == "code_required"
    assert ann.log_in(client, ann.code()).status_code == 200
    assert ann.log_in(client, password="wrong").json()["code"] == "wrong_credentials"


def test_a_code_is_good_once_and_for_a_short_time(ann: Enrolled, client: Client) -> None:
    code = ann.code()

    assert ann.log_in(client, code).status_code == 200
    assert ann.log_in(client, code).json()["code"] == "wrong_code"
    ann.end_wait()
    assert ann.log_in(client, ann.code(timezone.now() - timedelta(minutes=2))).json()["code"] == "wrong_code"


@pytest.mark.usefixtures("committed_db")
def test_of_two_uses_of_a_code_at_once_one_counts() -> None:
    ann = Enrolled()
    code, now = ann.code(), timezone.now()

    results = at_once(4, lambda _: second_factors.prove(user=ann.user, code=code, now=now))

    assert results.count(True) == 1
    assert sum(isinstance(result, second_factors.WrongCode) for result in results) == 3


def test_codes_are_guessed_as_slowly_as_passwords_and_the_password_alone_clears_no_count(
    ann: Enrolled, client: Client
) -> None:
    guess = attempts.Guess("staff", ann.user.email, PEER)
    wait, count, *_ = attempts._shared()._keys(guess.account_key, guess.address_key)
    with redis.Redis.from_url(settings.VALKEY_URL) as valkey:
        for guessed in (1, 2, 3):
            assert ann.log_in(client).json()["code"] == "code_required"
            assert ann.log_in(client, "000000").status_code == 401
            assert ann.log_in(client, "000000").status_code == 429
            assert int(valkey.get(count) or 0) == guessed
            valkey.delete(wait)  # as time does


def test_a_recovery_code_stands_in_once(ann: Enrolled, client: Client) -> None:
    code = ann.recovery_codes[3].upper()

    assert ann.log_in(client, code).status_code == 200
    assert ann.log_in(client, code).status_code == 401
    assert second_factors.state(user=ann.user)["recovery_codes_left"] == 9


def test_the_database_knows_neither_secret_nor_recovery_codes(ann: Enrolled) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT encode(sealed_secret, 'escape') FROM accounts_authenticator UNION ALL "
                       "SELECT accounts_recoverycode::text FROM accounts_recoverycode")  # fmt: skip
        stored = " ".join(row for (row,) in cursor.fetchall())

    assert ann.enrolment.secret not in stored
    assert not [code for code in ann.recovery_codes if code in stored]


def test_the_secret_survives_a_change_of_the_key(ann: Enrolled, client: Client, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another " * 10

    assert ann.log_in(client, ann.code()).status_code == 200
    with pytest.raises(tokens.CryptoError):
        settings.SECRET_KEY_FALLBACKS = []
        second_factors.prove(user=ann.user, code="123456", now=timezone.now())


def test_disabling_takes_password_and_code(ann: Enrolled, client: Client) -> None:
    def disable(password: str, code: str) -> Any:
        answer = post(client, "totp/disable", {"password": password, "code": code}, ann.tokens.access_token)
        ann.end_wait()
        return answer.status_code

    assert disable("wrong", ann.code()) == 403
    assert disable(factories.PASSWORD, "000000") == 401
    assert disable(factories.PASSWORD, ann.code()) == 204
    assert ann.log_in(client).status_code == 200
    assert not models.RecoveryCode.objects.exists()
    assert not models.Session.objects.filter(is_strong=True).exists()


def test_an_operator_lets_in_who_lost_everything(ann: Enrolled, client: Client) -> None:
    call_command("disable_second_factor", ann.user.email, stdout=io.StringIO())

    assert ann.log_in(client).status_code == 200
    assert (
        client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {ann.tokens.access_token}"}).status_code == 401
    )
    with pytest.raises(CommandError, match=r'no user "nobody@example\.test"'):
        call_command("disable_second_factor", "nobody@example.test")


def test_a_tenant_may_ask_its_members_for_it(ann: Enrolled, client: Client) -> None:
    tenant = factories.make_tenant()
    for user in (ann.user, weak := factories.make_user()):
        factories.make_member(tenant, "owner", user)

    def status(path: str, token: str) -> int:
        return client.get(path, headers={"X-Tenant": tenant.slug, "Authorization": f"Bearer {token}"}).status_code

    strong_token = ann.log_in(client, ann.code()).json()["access_token"]
    weak_token = factories.make_tokens(weak).access_token
    assert status("/api/v1/admin/tenant", weak_token) == 200
    with factories.at_work(tenant):
        tenants.update_tenant(tenant=tenant, changes=tenants.TenantChanges(settings={"require_totp": True}))

    assert status("/api/v1/admin/tenant", weak_token) == 403
    assert status("/api/v1/auth/totp", weak_token) == 200, "to set one up"
    assert status("/api/v1/admin/tenant", strong_token) == 200


@pytest.mark.usefixtures("db")
def test_the_admin_asks_for_it_too(client: Client) -> None:
    ann = Enrolled(is_staff=True, is_superuser=True)
    form = {"username": ann.user.email, "password": factories.PASSWORD, "next": "/admin/"}

    assert b'name="code"' in client.get("/admin/login/").content
    assert b"authenticator app" in client.post("/admin/login/", form).content
    assert client.post("/admin/login/", form | {"code": ann.code()}).status_code == 302


class AtTheAdmin:
    """Somebody of the staff of a tenant that asks its members for a second factor, at the admin on its host."""

    def __init__(self, user: models.User) -> None:
        self.user, self.tenant = user, factories.make_tenant()
        factories.make_member(self.tenant, "owner", user)
        self.demand(True)
        self.client = Client(headers={"host": f"{self.tenant.slug}.test"})

    def demand(self, is_demanded: bool) -> None:
        with factories.at_work(self.tenant):
            settings_of_tenant = {"require_totp": is_demanded}
            tenants.update_tenant(tenant=self.tenant, changes=tenants.TenantChanges(settings=settings_of_tenant))

    def log_in(self, code: str = "") -> Any:
        form = {"username": self.user.email, "password": factories.PASSWORD, "code": code, "next": "/admin/"}
        return self.client.post("/admin/login/", form, follow=True)

    def opens(self, path: str = "content/node/") -> bool:
        return bool(self.client.get(f"/admin/{path}").status_code == 200)

    def do(self, action: str, **fields: str) -> str:
        answer: Any = self.client.post("/admin/second-factor/", {"action": action, **fields}, follow=True)
        return str(answer.content.decode())


@pytest.mark.usefixtures("db")
def test_who_works_for_a_tenant_that_asks_for_it_is_led_to_set_one_up_in_the_admin() -> None:
    ann = AtTheAdmin(factories.make_user(is_staff=True))

    arrived = ann.log_in()
    assert arrived.redirect_chain[-1] == ("/admin/second-factor/", 302)
    assert "you have none yet" in arrived.content.decode()
    assert not ann.opens()
    page = html.unescape(ann.do("begin"))
    secret = re.search(r'<code id="secret">(\w+)</code>', page)
    link = re.search(r'<a href="(otpauth:[^"]+)"', page)
    assert secret and link and secret[1] in link[1]
    assert f'<img src="{segno.make_qr(link[1]).svg_data_uri(scale=5, light="white")}"' in page
    assert "wrong or old" in ann.do("confirm", code="000000")
    assert not ann.opens()
    attempts.was_not_looked_at(attempts.Guess("staff", ann.user.email, PEER))  # as time does
    codes = re.findall(r"<li><code>([\w-]+)</code>", ann.do("confirm", code=pyotp.TOTP(secret[1]).now()))

    assert len(codes) == 10
    assert ann.opens()
    assert "10 recovery codes are left" in ann.client.get("/admin/second-factor/").content.decode()
    assert second_factors.state(user=ann.user)["enabled"] is True


@pytest.mark.usefixtures("db")
def test_who_has_one_must_show_it_at_the_admin_of_such_a_tenant() -> None:
    enrolled = Enrolled(is_staff=True)
    ann = AtTheAdmin(enrolled.user)

    assert "authenticator app" in ann.log_in().content.decode()
    assert not ann.opens()
    assert ann.log_in(enrolled.code()).redirect_chain == [("/admin/", 302)]
    assert ann.opens()


@pytest.mark.usefixtures("db")
def test_a_login_from_before_has_to_be_made_anew() -> None:
    enrolled = Enrolled(is_staff=True)
    ann = AtTheAdmin(enrolled.user)
    ann.demand(False)
    ann.client.force_login(enrolled.user)
    assert ann.opens(), "nobody asks"

    ann.demand(True)

    assert not ann.opens()
    assert "has not shown yours" in ann.client.get("/admin/login/").content.decode()
    assert "Leave, and log in with a code" in ann.client.get("/admin/second-factor/").content.decode()
    ann.log_in(enrolled.code())
    assert ann.opens()


@pytest.mark.usefixtures("db")
def test_one_that_was_set_up_anew_has_to_be_shown_anew() -> None:
    enrolled = Enrolled(is_staff=True)
    ann = AtTheAdmin(enrolled.user)
    ann.log_in(enrolled.code())
    assert ann.opens()

    models.Authenticator.objects.filter(user=enrolled.user).update(confirmed_at=timezone.now())

    assert not ann.opens()


@pytest.mark.usefixtures("db")
def test_who_is_led_there_may_leave_and_who_does_not_work_here_is_not_let_in() -> None:
    ann = AtTheAdmin(factories.make_user(is_staff=True))
    ann.log_in()
    assert "you have none yet" in ann.client.get("/admin/second-factor/").content.decode()

    ann.do("leave")

    assert "_auth_user_id" not in ann.client.session
    for nobody in (factories.make_user(), factories.make_user(is_staff=True)):
        ann.client.force_login(nobody)
        assert ann.client.get("/admin/second-factor/")["Location"] == "/admin/login/"
        assert "Set one up" not in ann.do("begin")
        assert not models.Authenticator.objects.filter(user=nobody).exists()
