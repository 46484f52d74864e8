"""Tokens by mail: usable as they come, once, for a while, and silent about who has an account."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import models, services, tasks, tokens
from apps.accounts.access import members
from apps.accounts.models import Purpose
from apps.accounts.realms import STAFF
from apps.accounts.services import invitations, mailed, resets
from apps.kernel import ids
from apps.tenants.models import Tenant
from tests import factories
from tests.accounts.conftest import at_once

NEW = "a wholly different phrase"


def post(client: Client, path: str, body: dict[str, Any], token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.post(f"/api/v1/auth/{path}", body, content_type="application/json", headers=headers)


def token_of(message: Any) -> str:
    found = re.search(r"Token: (rts_\S+)", message.body)
    assert found
    return found[1]


def mailed_token(user: models.User) -> str:
    resets.ask_for_reset(realm=STAFF, email=user.email, now=timezone.now())
    tasks.send_mails()
    return token_of(mail.outbox[-1])


@pytest.mark.usefixtures("db")
def test_the_mailed_token_sets_another_password_and_ends_every_session(client: Client) -> None:
    user = factories.make_user()
    before = factories.make_tokens(user)

    assert post(client, "reset", {"email": user.email.upper()}).status_code == 202
    assert tasks.send_mails() == 1
    assert mail.outbox[0].to == [user.email]
    answer = post(client, "reset/confirm", {"token": token_of(mail.outbox[0]), "password": NEW})

    assert answer.status_code == 204
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert user.email_verified_at is not None
    with pytest.raises(tokens.TokenRefused):
        services.refresh(realm=STAFF, token=before.refresh_token, now=timezone.now())


@pytest.mark.usefixtures("db")
def test_asking_answers_and_does_the_same_whoever_has_the_address(
    client: Client, django_assert_num_queries: Any
) -> None:
    addresses = [factories.make_user().email, factories.make_user(is_active=False).email, "nobody@example.test"]
    answers = []
    post(client, "reset", {"email": "warm.up@example.test"})

    for address in addresses:
        with django_assert_num_queries(2):  # which tenant the host is, and the one row
            answers.append(post(client, "reset", {"email": address}))

    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert not mail.outbox, "nothing is sent within the request"
    tasks.send_mails()
    assert [message.to for message in mail.outbox] == [[addresses[0]]]
    assert models.MailedToken.objects.count() == 1, "no trace of the others"


@pytest.mark.usefixtures("db")
def test_a_token_lasts_15_minutes_and_a_newer_one_replaces_it() -> None:
    user = factories.make_user()
    first = mailed_token(user)
    late = timezone.now() + timedelta(minutes=16)

    with pytest.raises(mailed.TokenUnusable):
        resets.reset_password(realm=STAFF, new=resets.NewPassword(token=first, password=NEW), now=late)
    resets.ask_for_reset(realm=STAFF, email=user.email, now=timezone.now())
    mailed.send_due(table=models.MailedToken, now=timezone.now() + mailed.SPACING)
    second = token_of(mail.outbox[-1])
    with pytest.raises(mailed.TokenUnusable):
        resets.reset_password(realm=STAFF, new=resets.NewPassword(token=first, password=NEW), now=timezone.now())
    resets.reset_password(realm=STAFF, new=resets.NewPassword(token=second, password=NEW), now=timezone.now())


@pytest.mark.usefixtures("db")
def test_a_mailbox_is_not_flooded() -> None:
    user = factories.make_user()

    for _ in range(5):
        resets.ask_for_reset(realm=STAFF, email=user.email, now=timezone.now())
    tasks.send_mails()

    assert len(mail.outbox) == 1


@pytest.mark.usefixtures("committed_db")
def test_of_two_confirmations_at_once_one_uses_the_token() -> None:
    user = factories.make_user()
    token = mailed_token(user)
    phrases = [f"phrase number {number} of mine" for number in range(4)]

    def confirm(number: int) -> None:
        new = resets.NewPassword(token=token, password=phrases[number])
        resets.reset_password(realm=STAFF, new=new, now=timezone.now())

    results = at_once(4, confirm)

    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, mailed.TokenUnusable) for result in results) == 3
    user.refresh_from_db()
    assert user.check_password(phrases[results.index(None)])


@pytest.mark.usefixtures("db")
def test_a_refused_password_leaves_the_token_usable(client: Client) -> None:
    token = mailed_token(factories.make_user())

    assert post(client, "reset/confirm", {"token": token, "password": "password"}).status_code == 422
    assert post(client, "reset/confirm", {"token": token, "password": NEW}).status_code == 204
    assert post(client, "reset/confirm", {"token": token, "password": NEW}).json()["code"] == "token_unusable"


@pytest.mark.usefixtures("db")
def test_a_token_is_good_for_its_purpose_and_address_only() -> None:
    user = factories.make_user()
    token = mailed_token(user)

    with pytest.raises(mailed.TokenUnusable):
        resets.verify_email(realm=STAFF, token=token, now=timezone.now())
    models.User.objects.filter(pk=user.pk).update(email="moved@example.test")
    with pytest.raises(mailed.TokenUnusable):
        resets.reset_password(realm=STAFF, new=resets.NewPassword(token=token, password=NEW), now=timezone.now())


@pytest.mark.usefixtures("db")
def test_the_database_does_not_know_the_token() -> None:
    token = mailed_token(factories.make_user())

    with connection.cursor() as cursor:
        cursor.execute("SELECT accounts_mailedtoken::text FROM accounts_mailedtoken")
        stored = cursor.fetchone()[0]

    assert tokens.digest(token) in stored
    assert token.removeprefix("rts_") not in stored


@pytest.mark.usefixtures("db")
def test_a_mail_that_fails_is_sent_by_the_next_run_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    user = factories.make_user()
    send = EmailBackend.send_messages

    def fail(*arguments: Any) -> int:
        raise OSError("no mail server")

    monkeypatch.setattr(EmailBackend, "send_messages", fail)
    resets.ask_for_reset(realm=STAFF, email=user.email, now=timezone.now())
    assert tasks.send_mails() == 0
    monkeypatch.setattr(EmailBackend, "send_messages", send)

    assert tasks.send_mails() == 1
    resets.ask_for_reset(realm=STAFF, email=user.email, now=timezone.now() - timedelta(hours=2))
    assert mailed.send_due(table=models.MailedToken, now=timezone.now() + mailed.SPACING) == 0


@pytest.mark.usefixtures("db")
def test_an_address_is_confirmed_with_the_mailed_token(client: Client) -> None:
    user = factories.make_user()
    access = factories.make_tokens(user).access_token

    assert post(client, "verify/request", {}, access).status_code == 202
    tasks.send_mails()
    assert post(client, "verify", {"token": token_of(mail.outbox[0])}).status_code == 204

    headers = {"Authorization": f"Bearer {access}"}
    assert client.get("/api/v1/auth/me", headers=headers).json()["email_verified"] is True


@pytest.mark.usefixtures("db")
def test_the_mail_carries_a_link_where_there_is_a_page_for_it(settings: Any) -> None:
    settings.ACCOUNT_URL = "https://admin.example.test/account"
    token = mailed_token(factories.make_user())

    assert f"https://admin.example.test/account#password_reset={token}" in mail.outbox[0].body


def role_in(tenant: Tenant, user: models.User) -> str:
    with factories.at_work(tenant):
        [role] = members.roles_of(models.Membership.objects.get(user=user, tenant=tenant))
        return role


def invited(client: Client, tenant: Any, email: str) -> str:
    """The token mailed to somebody the owner of the tenant invited."""
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}
    body = {"email": email, "role": "editor"}
    answer = client.post("/api/v1/admin/invitations", body, content_type="application/json", headers=headers)
    assert answer.status_code == 201
    tasks.send_mails()
    assert mail.outbox[-1].to == [email]
    return token_of(mail.outbox[-1])


@pytest.mark.usefixtures("db")
def test_who_has_no_account_makes_one_by_accepting(client: Client) -> None:
    tenant = factories.make_tenant()
    token = invited(client, tenant, "new@example.test")

    without = post(client, "invitations/accept", {"token": token})
    accepted = post(client, "invitations/accept", {"token": token, "name": "New", "password": NEW})
    again = post(client, "invitations/accept", {"token": token, "name": "New", "password": NEW})

    assert without.json()["errors"][0]["pointer"] == "/password"
    assert accepted.json() == {"tenant": tenant.slug, "role": "editor"}
    assert again.status_code == 422
    user = models.User.objects.get(email="new@example.test")
    assert user.check_password(NEW)
    assert role_in(tenant, user) == "editor"


@pytest.mark.usefixtures("db")
def test_who_has_an_account_joins_with_it_and_keeps_the_password(client: Client) -> None:
    tenant, user = factories.make_tenant(), factories.make_user()
    token = invited(client, tenant, user.email)

    assert post(client, "invitations/accept", {"token": token, "password": NEW}).status_code == 200

    user = models.User.objects.get(pk=user.pk)
    assert user.check_password(factories.PASSWORD)
    assert role_in(tenant, user) == "editor"


@pytest.mark.usefixtures("db")
def test_a_second_invitation_corrects_the_first_at_once(client: Client) -> None:
    tenant = factories.make_tenant()
    first = invited(client, tenant, "new@example.test")
    second = invited(client, tenant, "new@example.test")

    assert post(client, "invitations/accept", {"token": first, "password": NEW}).status_code == 422
    assert post(client, "invitations/accept", {"token": second, "password": NEW}).status_code == 200


@pytest.mark.usefixtures("db")
def test_nobody_invites_into_a_role_beyond_their_own_even_later() -> None:
    tenant, now = factories.make_tenant(), timezone.now()
    owner, editor = factories.make_member(tenant), factories.make_member(tenant, "editor")
    new = invitations.NewInvitation(email="new@example.test", role="owner")

    with factories.at_work(tenant):
        with pytest.raises(invitations.RoleNotHeld):
            invitations.invite(new=new, by=editor, now=now)
        invitations.invite(new=new, by=owner, now=now)
    tasks.send_mails()
    factories.make_member(tenant)
    factories.make_member(tenant, "editor", owner)

    acceptance = invitations.Acceptance(token=token_of(mail.outbox[0]), password=NEW)
    with pytest.raises(mailed.TokenUnusable):
        invitations.accept(acceptance=acceptance, now=now)
    assert not models.User.objects.filter(email="new@example.test").exists()


@pytest.mark.usefixtures("committed_db")
def test_of_two_acceptances_at_once_one_makes_the_account(client: Client) -> None:
    token = invited(client, factories.make_tenant(), "new@example.test")
    acceptance = invitations.Acceptance(token=token, password=NEW)

    results = at_once(2, lambda _: invitations.accept(acceptance=acceptance, now=timezone.now()))

    assert sum(isinstance(result, invitations.Joined) for result in results) == 1
    assert models.User.objects.filter(email="new@example.test").count() == 1


@pytest.mark.usefixtures("db")
def test_an_invitation_lasts_72_hours_and_can_be_withdrawn(client: Client) -> None:
    tenant = factories.make_tenant()
    token = invited(client, tenant, "new@example.test")
    acceptance = invitations.Acceptance(token=token, password=NEW)

    with pytest.raises(mailed.TokenUnusable):
        invitations.accept(acceptance=acceptance, now=timezone.now() + timedelta(hours=73))
    with factories.at_work(tenant):
        row = models.Invitation.objects.get()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}
    path = f"/api/v1/admin/invitations/{ids.encode('inv', row.id)}"
    assert client.get("/api/v1/admin/invitations", headers=headers).json()["data"][0]["email"] == "new@example.test"
    assert client.delete(path, headers=headers).status_code == 204
    assert client.delete(path, headers=headers).status_code == 404
    with pytest.raises(mailed.TokenUnusable):
        invitations.accept(acceptance=acceptance, now=timezone.now())


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(("field", "value"), [("email", "no address"), ("role", "boss")])
def test_a_wrong_invitation_is_refused_by_field(client: Client, field: str, value: str) -> None:
    tenant = factories.make_tenant()
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}
    body = {"email": "new@example.test", "role": "editor"} | {field: value}

    answer = client.post("/api/v1/admin/invitations", body, content_type="application/json", headers=headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{field}"


@pytest.mark.usefixtures("db")
def test_what_is_old_is_forgotten() -> None:
    mailed.ask(table=models.MailedToken, purpose=Purpose.PASSWORD_RESET, email="a@example.test",
               now=timezone.now() - timedelta(days=91))  # fmt: skip

    assert tasks.forget() == 1
