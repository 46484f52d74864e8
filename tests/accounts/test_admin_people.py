"""People come into a tenant, get their roles and leave, all of it in the admin and as the API would have it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.utils import timezone

from apps.accounts import models
from apps.accounts.services import mailed, people
from apps.tenants import models as tenants
from tests import factories
from tests.filling import Page

MEMBERS, INVITATIONS = "/admin/accounts/membership/", "/admin/accounts/invitation/"
PASSWORD = "tea with lemon peel"


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant()


@pytest.fixture
def owner(tenant: tenants.Tenant) -> Page:
    return Page.of(tenant, "owner")


def member(tenant: tenants.Tenant, role: str) -> models.Membership:
    user = factories.make_member(tenant, role)
    with factories.at_work(tenant):
        return models.Membership.objects.get(user=user)


def roles_of(tenant: tenants.Tenant, membership: models.Membership) -> set[str | None]:
    with factories.at_work(tenant):
        return set(membership.roles.values_list("system_role", flat=True))


def invited(owner: Page, email: str, role: str = "editor") -> str:
    """The token of the mail."""
    owner.get(f"{INVITATIONS}add/")
    owner.fill({"email": email, "role": role})
    owner.press("_save")
    assert "is saved" in owner.told
    mailed.send_due(table=models.Invitation, now=timezone.now())
    return re.findall(r"Token: (\S+)", str(mail.outbox[-1].body))[0]


def joined(owner: Page, **given: str) -> Any:
    return Client(headers={"host": owner.host}).post("/admin/join/", given)


def test_somebody_is_invited_and_comes_to_the_admin(tenant: tenants.Tenant, owner: Page) -> None:
    assert "Invite somebody" in owner.get(MEMBERS).text
    token = invited(owner, "ann@example.test")
    assert f"http://{owner.host}{settings.OWN_PORT}/admin/join/#invitation={token}" in mail.outbox[-1].body
    assert "ann@example.test" in owner.get(INVITATIONS).text

    weak = joined(owner, token=token, name="Ann", password="tea")
    assert weak.status_code == 200
    assert "at least 10 characters" in weak.content.decode()
    answer = joined(owner, token=token, name="Ann", password=PASSWORD)

    assert answer["Location"] == "/admin/login/"
    browser = Client(headers={"host": owner.host})
    entered = browser.post("/admin/login/", {"username": "ann@example.test", "password": PASSWORD, "next": "/admin/"})
    assert entered["Location"] == "/admin/"
    assert browser.get("/admin/content/node/").status_code == 200
    assert "unknown, used or expired" in joined(owner, token=token, password=PASSWORD).content.decode()
    assert "editor" in owner.get(f"{MEMBERS}?q=ann").text


def test_who_is_invited_as_a_customer_stays_outside_and_operators_need_to_be_staff(tenant: tenants.Tenant) -> None:
    for user in (
        factories.make_member(tenant, "customer", factories.make_user(is_staff=False)),
        factories.make_user(is_superuser=True, is_staff=False),
    ):
        browser = Client(headers={"host": f"{tenant.slug}.test"})
        browser.force_login(user)
        assert browser.get("/admin/").status_code == 302, user
    operator = factories.make_member(tenant, "editor", factories.make_user(is_staff=True))
    people.set_platform_permission(user=operator, permission="consumers.operate_events", is_held=True)
    browser = Client(headers={"host": f"{tenant.slug}.test"})
    browser.force_login(operator)
    assert browser.get("/admin/consumers/consumer/").status_code == 200
    people.set_staff(user=operator, is_staff=False)
    assert browser.get("/admin/consumers/consumer/").status_code == 403
    assert browser.get("/admin/content/node/").status_code == 200


def test_an_invitation_says_what_is_wrong_and_is_withdrawn(tenant: tenants.Tenant, owner: Page) -> None:
    owner.get(f"{INVITATIONS}add/")
    owner.fill({"email": "no address", "role": "editor"})
    owner.press("_save")
    assert list(owner.problems) == ["email"]

    token = invited(owner, "ann@example.test")
    with factories.at_work(tenant):
        row = models.Invitation.objects.get()
    assert row.digest not in owner.get(f"{INVITATIONS}{row.pk}/change/").text
    owner.post(f"{INVITATIONS}{row.pk}/delete/", _sure="on")
    assert "is deleted" in owner.told
    assert "unknown, used or expired" in joined(owner, token=token, password=PASSWORD).content.decode()


def test_a_member_gets_other_roles_and_leaves(tenant: tenants.Tenant, owner: Page) -> None:
    ann = member(tenant, "editor")
    page = f"{MEMBERS}{ann.pk}/change/"
    owner.get(page)
    assert owner.values("roles") == ["editor"]

    owner.fill({"roles": ["editor", "merchandiser"]})
    owner.press("_save")

    assert roles_of(tenant, ann) == {"editor", "merchandiser"}
    assert "member roles changed" in owner.get(f"{MEMBERS}{ann.pk}/history/").text
    owner.post(f"{MEMBERS}{ann.pk}/delete/", _sure="on")
    assert "is deleted" in owner.told
    with factories.at_work(tenant):
        assert not models.Membership.objects.filter(pk=ann.pk).exists()


def test_nobody_gives_roles_to_themselves_or_what_they_do_not_hold_and_an_owner_stays(tenant: tenants.Tenant) -> None:
    owner, ann = Page.of(tenant, "owner"), member(tenant, "editor")
    with factories.at_work(tenant):
        own = models.Membership.objects.get(user=owner.user)
    owner.get(f"{MEMBERS}{own.pk}/change/")
    owner.fill({"roles": ["owner", "admin"]})
    owner.press("_save")
    assert "Nobody gives roles to themselves" in owner.text
    owner.post(f"{MEMBERS}{own.pk}/delete/", _sure="on")
    assert "last active owner" in owner.told

    lesser = Page.of(tenant, "admin")
    lesser.get(f"{MEMBERS}{ann.pk}/change/")
    lesser.fill({"roles": ["owner"]})
    lesser.press("_save")
    assert "which you do not hold yourself" in lesser.text
    assert roles_of(tenant, ann) == {"editor"}
    assert Page.of(tenant, "editor").get(f"{MEMBERS}{ann.pk}/change/").status == 403
