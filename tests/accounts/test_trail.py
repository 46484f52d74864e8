"""What accounts leave in the audit log: staff in the installation's chain, what is of a tenant in the tenant's."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts import attempts, clients, models, realms, services
from apps.accounts import tokens as secrets
from apps.accounts.models import Purpose
from apps.accounts.services import customers, invitations, keys, logins, mailed, passwords, resets, second_factors
from apps.audit import models as audit
from apps.kernel import isolation
from apps.tenants import models as tenants
from tests import factories
from tests.audit import writing

PEER = clients.Client("192.0.2.1")


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant()


def told_since(count: int, tenant: tenants.Tenant | None = None) -> list[tuple[str, str]]:
    """Action and object of the entries after the first `count`."""
    entries = writing.entries_of(tenant.id if tenant else None)[count:]
    return [(entry.action.removeprefix("accounts."), entry.object_id) for entry in entries]


def told(tenant: tenants.Tenant | None = None) -> int:
    return len(writing.entries_of(tenant.id if tenant else None))


def personal_of(tenant: tenants.Tenant | None = None) -> str:
    with isolation.all_tenants(reason="test"):
        rows = audit.Personal.objects.filter(tenant_id=tenant.id if tenant else None)
        return "".join(row.changes for row in rows)


def make_customer(email: str = "ann@shop.test") -> models.Customer:
    now = timezone.now()
    customer = models.Customer(email=email, name="Ann", created_at=now, email_verified_at=now)
    customer.set_password(factories.PASSWORD)
    customer.save()
    return customer


def token_of(table: type[Any], purpose: Purpose) -> str:
    mailed.send_due(table=table, now=timezone.now())
    text = str(mail.outbox[-1].body)
    return text.partition("Token: ")[2].splitlines()[0]


def test_what_somebody_does_with_their_own_account_is_told(db: None) -> None:
    user, now = factories.make_user(name="Ann"), timezone.now()
    opened, before = factories.make_tokens(user), told()

    change = passwords.PasswordChange(current_password=factories.PASSWORD, new_password="another battery staple")
    services.change_password(
        realm=realms.STAFF, account=user, session=opened.session, change=change, client=PEER, now=now
    )
    services.change_own(user=user, changes=services.OwnChanges(name="Ann Other"))
    services.change_own(user=user, changes=services.OwnChanges(name="Ann Other"))
    services.revoke_all(realm=realms.STAFF, account=user)
    resets.ask_for_reset(realm=realms.STAFF, email=user.email, now=now)
    new = resets.NewPassword(
        token=token_of(models.MailedToken, Purpose.PASSWORD_RESET), password="a third battery staple"
    )
    resets.reset_password(realm=realms.STAFF, new=new, now=timezone.now())

    actions = ["password.changed", "user.updated", "session.all_revoked", "password.reset"]
    assert told_since(before) == [(action, str(user.pk)) for action in actions]
    assert "Ann Other" in personal_of()
    assert "Ann Other" not in "".join(entry.changes for entry in writing.entries_of(None))


def test_a_second_factor_is_told_when_it_comes_and_when_it_goes(db: None) -> None:
    import pyotp

    user, now, before = factories.make_user(), timezone.now(), told()
    session = factories.make_tokens(user).session
    secret = second_factors.enrol(user=user, now=now).secret
    second_factors.confirm(user=user, session=session, code=pyotp.TOTP(secret).at(now), client=PEER, now=now)
    second_factors.remove(user=user)

    assert told_since(before) == [("second_factor.enrolled", str(user.pk)), ("second_factor.disabled", str(user.pk))]
    assert secret not in "".join(entry.changes for entry in writing.entries_of(None))


def test_a_refresh_token_that_comes_back_is_told_although_it_is_refused(db: None) -> None:
    user, now = factories.make_user(), timezone.now()
    opened, before = factories.make_tokens(user), told()
    services.refresh(realm=realms.STAFF, token=opened.refresh_token, now=now)

    with pytest.raises(secrets.TokenRefused):
        later = now + services.sessions.GRACE * 2
        services.refresh(realm=realms.STAFF, token=opened.refresh_token, now=later)

    assert told_since(before) == [("session.revoked", str(user.pk))]
    assert writing.entries_of(None)[-1].read_changes()["because"] == [None, "refresh token used twice"]


def test_switching_a_user_off_and_on_is_told(db: None) -> None:
    user, before = factories.make_user(), told()

    services.disable_user(user=user)
    services.enable_user(user=user)

    assert told_since(before) == [("user.disabled", str(user.pk)), ("user.enabled", str(user.pk))]


def test_api_keys_are_told_to_the_tenant_without_the_key(tenant: tenants.Tenant) -> None:
    owner, now = factories.make_member(tenant), timezone.now()
    before = told(tenant)

    with factories.at_work(tenant):
        made = keys.create_key(new=keys.NewApiKey(name="ERP", scopes=["nodes:list"]), by=owner, now=now)
        other = keys.rotate_key(key_id=made.row.id, rotation=keys.Rotation(), by=owner, now=now)
        keys.revoke_key(key_id=other.row.id, now=now)

    old, new = str(made.row.id), str(other.row.id)
    steps = [("created", old), ("created", new), ("rotated", old), ("revoked", new)]
    assert told_since(before, tenant) == [(f"api_key.{verb}", key_id) for verb, key_id in steps]
    stored = "".join(entry.changes for entry in writing.entries_of(tenant.id))
    assert "nodes:list" in stored
    assert made.key not in stored


def test_what_is_done_with_a_key_is_done_by_its_right(tenant: tenants.Tenant) -> None:
    owner = factories.make_member(tenant)
    with factories.at_work(tenant):
        made = keys.create_key(new=keys.NewApiKey(name="Audit", scopes=["audit:list"]), by=owner, now=timezone.now())

    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {made.key}"}
    assert Client().get("/api/v1/admin/audit", headers=headers).status_code == 200

    entry = writing.entries_of(tenant.id)[-1]
    assert (entry.action, entry.actor, entry.authority) == (
        "audit.log.read", f"key:{made.row.id}", f"key:{made.row.id}",
    )  # fmt: skip


def test_invitations_are_told_to_the_tenant_and_the_new_account_to_the_installation(tenant: tenants.Tenant) -> None:
    owner, now = factories.make_member(tenant), timezone.now()
    before, platform = told(tenant), told()
    with factories.at_work(tenant):
        withdrawn = invitations.invite(
            new=invitations.NewInvitation(email="wrong@new.test", role="editor"), by=owner, now=now
        )
        invitations.withdraw(invitation_id=withdrawn.id)
        made = invitations.invite(new=invitations.NewInvitation(email="ann@new.test", role="editor"), by=owner, now=now)
    token = token_of(models.Invitation, Purpose.INVITATION)
    acceptance = invitations.Acceptance(token=token, name="Ann", password="another battery staple")
    invitations.accept(acceptance=acceptance, now=timezone.now())

    user = models.User.objects.get(email="ann@new.test")
    assert told_since(before, tenant) == [
        ("invitation.made", str(withdrawn.id)),
        ("invitation.withdrawn", str(withdrawn.id)),
        ("invitation.made", str(made.id)),
        ("invitation.accepted", str(made.id)),
        ("member.added", str(user.pk)),
    ]
    assert told_since(platform) == [("user.created", str(user.pk))]
    assert "ann@new.test" in personal_of(tenant)
    assert "ann@new.test" not in "".join(entry.changes for entry in writing.entries_of(tenant.id))


def test_customers_are_told_to_their_tenant(tenant: tenants.Tenant) -> None:
    before, platform = told(tenant), told()
    with factories.at_work(tenant):
        new = customers.Registration(email="bea@shop.test", password=factories.PASSWORD, name="Bea")
        customers.register(registration=new, now=timezone.now())
        token = token_of(models.CustomerMailedToken, Purpose.REGISTRATION)
        customer = customers.confirm_registration(token=token, now=timezone.now())
        credentials = logins.Credentials(email="bea@shop.test", password=factories.PASSWORD)
        customers.log_in(credentials=credentials, client=PEER, now=timezone.now())
        with pytest.raises(passwords.WrongCredentials):
            wrong = logins.Credentials(email="bea@shop.test", password="wrong")
            customers.log_in(credentials=wrong, client=PEER, now=timezone.now())
        customers.change_own(customer=customer, changes=services.OwnChanges(name="Beatrice"))
        customers.set_active(customer=customer, is_active=False)

    actions = ["customer.registered", "login.succeeded", "login.failed", "customer.updated", "customer.disabled"]
    assert told_since(before, tenant) == [(action, str(customer.pk)) for action in actions]
    assert told_since(platform) == []
    assert "Beatrice" in personal_of(tenant)
    assert "Bea" not in "".join(entry.changes for entry in writing.entries_of(tenant.id))


def test_a_change_that_fails_leaves_no_entry(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    user, before = factories.make_user(), told()
    monkeypatch.setattr(services.people.trail, "tell", lambda *_, **__: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        services.disable_user(user=user)

    assert models.User.objects.get(pk=user.pk).is_active
    assert told() == before


def test_a_refused_login_asks_and_writes_as_much_for_nobody_as_for_somebody(db: None) -> None:
    user = factories.make_user()
    counts = []
    for email in (user.email, f"{uuid.uuid4()}@nowhere.test"):
        with CaptureQueriesContext(connection) as asked, pytest.raises(passwords.WrongCredentials):
            credentials = logins.StaffCredentials(email=email, password="wrong")
            logins.log_in(credentials=credentials, client=PEER, now=timezone.now())
        counts.append(len(asked))

    assert counts[0] == counts[1]


def test_a_lockout_is_two_entries_however_often_somebody_knocks(db: None) -> None:
    user, before = factories.make_user(), told()
    right, wrong = factories.PASSWORD, "wrong"

    def log_in(password: str) -> None:
        # The trail is what is looked at, not the refusal.
        with contextlib.suppress(passwords.WrongCredentials, attempts.TooManyAttempts):
            credentials = logins.StaffCredentials(email=user.email, password=password)
            logins.log_in(credentials=credentials, client=PEER, now=timezone.now())

    for password in (wrong, *[right] * 30):
        log_in(password)
    end_waits()
    log_in(right)

    actions = ["login.failed", "login.locked_out", "login.lockout_ended", "login.succeeded"]
    assert told_since(before) == [(action, str(user.pk)) for action in actions]
    assert writing.entries_of(None)[-2].read_changes() == {"refused": [None, 30]}


def test_a_logout_of_the_admin_is_told_of_who_left(db: None) -> None:
    user, client = factories.make_user(is_staff=True, is_superuser=True), Client()
    client.force_login(user)
    before = told()

    client.post("/admin/logout/")
    client.post("/admin/logout/")

    assert told_since(before) == [("logout", str(user.pk))]
    assert writing.entries_of(None)[-1].actor == f"user:{user.pk}"


def end_waits() -> None:
    """As time does."""
    with redis.Redis.from_url(settings.VALKEY_URL) as valkey:
        for key in valkey.scan_iter("rustok:attempts:*:wait"):
            valkey.delete(key)


def test_customers_are_listed_read_and_switched_off_by_those_who_may(tenant: tenants.Tenant) -> None:
    with factories.at_work(tenant):
        first, second = make_customer("a@shop.test"), make_customer("b@shop.test")
    headers = {"X-Tenant": tenant.slug, "Authorization": f"Bearer {factories.make_token(tenant)}"}
    stranger = headers | {"Authorization": f"Bearer {factories.make_token(tenant, 'editor')}"}
    path, client = "/api/v1/admin/customers", Client()

    page = client.get(f"{path}?limit=1", headers=headers).json()
    assert [entry["email"] for entry in page["data"]] == [second.email]
    one = f"{path}/{page['data'][0]['id']}"
    off = client.patch(one, {"is_active": False}, content_type="application/json", headers=headers)
    assert off.json()["is_active"] is False
    assert client.get(one, headers=headers).json() == off.json()
    assert client.get(path, headers=stranger).status_code == 403

    elsewhere = factories.make_tenant()
    foreign = {"X-Tenant": elsewhere.slug, "Authorization": f"Bearer {factories.make_token(elsewhere)}"}
    assert client.get(one, headers=foreign).status_code == 404
    assert client.get(path, headers=foreign).json()["data"] == []
    with factories.at_work(tenant):
        assert models.Customer.objects.get(pk=first.pk).is_active
