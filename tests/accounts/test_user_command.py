"""What concerns an account in the whole installation is changed by the command `user`, and told."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts.access import catalogue
from apps.tenants import models as tenants
from tests import factories
from tests.audit import writing

OPERATE = "consumers.operate_events"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("user", *arguments, stdout=out)
    return out.getvalue().strip()


def test_the_installations_admin_opens_once_they_are_staff_and_no_more_when_they_are_not(db: None) -> None:
    user = factories.make_user()
    client = Client(headers={"host": "testserver"})
    client.force_login(user)
    run(user.email, "--permit", OPERATE)
    assert client.get("/admin/").status_code == 302

    assert run(user.email, "--staff") == f"{user.email}: active, staff, {OPERATE}"
    assert client.get("/admin/").status_code == 200
    assert run(user.email, "--no-staff") == f"{user.email}: active, {OPERATE}"
    assert client.get("/admin/").status_code == 302


def test_a_member_enters_the_tenants_admin_until_they_are_switched_off(tenant: tenants.Tenant) -> None:
    owner = factories.make_member(tenant)
    client = Client(headers={"host": f"{tenant.slug}.test"})
    client.force_login(owner)
    assert client.get("/admin/").status_code == 200

    run(owner.email, "--no-active")

    assert client.get("/admin/").status_code == 302


@pytest.mark.usefixtures("db")
def test_each_change_is_told_once_and_no_change_is_not() -> None:
    user = factories.make_user()
    before = len(writing.entries_of(None))

    for _ in range(2):
        run(user.email, "--staff", "--permit", OPERATE, "--permit", catalogue.OPEN_BREAK_GLASS)
    shown = run(user.email, "--forbid", OPERATE, "--no-active")

    told = writing.entries_of(None)[before:]
    assert shown == f"{user.email}: switched off, staff, {catalogue.OPEN_BREAK_GLASS}"
    assert [entry.action for entry in told] == ["accounts.user.updated"] * 3 + [
        "accounts.user.disabled",
        "accounts.user.updated",
    ]
    assert {entry.object_id for entry in told} == {str(user.pk)}
    assert told[0].read_changes() == {"is_staff": [False, True]}


@pytest.mark.usefixtures("db")
def test_what_it_does_not_know_is_named_and_nothing_is_changed() -> None:
    user = factories.make_user()

    with pytest.raises(CommandError, match=r"no permission of the platform\. Did you mean .*operate_events"):
        run(user.email, "--staff", "--permit", "consumers.operate_event")
    with pytest.raises(CommandError, match="There is no user"):
        run("nobody@example.test")

    assert run(user.email) == f"{user.email}: active"
