"""Emergency access: reasoned, read-only, one tenant, over by itself, seen by the tenant and by those who watch."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone
from structlog.testing import capture_logs

from apps.accounts import models
from apps.accounts.access import break_glass, catalogue, engine
from apps.accounts.permissions import TenantPermission
from apps.kernel import context, errors
from apps.outbox.models import Log
from apps.tenants import models as tenants
from tests import factories
from tests.accounts import calling


@pytest.fixture
def staff(tenant: tenants.Tenant) -> calling.Caller:
    caller = calling.make_caller(tenant, is_staff=True, email="staff@platform.example")
    caller.user.user_permissions.add(calling.platform_permission(catalogue.OPEN_BREAK_GLASS))
    return caller


def open_for(caller: calling.Caller, now: datetime | None = None, **fields: Any) -> models.BreakGlass:
    opening = break_glass.Opening(**{"reason": "Orders fail since noon", "ticket": "OPS-12"} | fields)
    with factories.at_work(caller.tenant):
        return break_glass.open_access(user=caller.user, opening=opening, now=now or timezone.now())


def test_without_it_staff_sees_nothing_and_with_it_reads_one_tenant_only(staff: calling.Caller) -> None:
    other = calling.Caller(factories.make_tenant(), staff.user)
    assert staff.call("GET", "nodes").status_code == 403

    open_for(staff)

    assert staff.call("GET", "nodes").status_code == 200
    assert staff.call("GET", "members").status_code == 200
    assert staff.call("PATCH", "tenant", {"name": "x"}).status_code == 403
    assert staff.call("POST", "roles", {}).status_code == 403
    assert other.call("GET", "nodes").status_code == 403
    assert staff.call("GET", "me/permissions").json()["break_glass"].startswith("glass_")


def test_with_write_access_data_can_be_repaired_but_nobody_gets_rights(staff: calling.Caller) -> None:
    open_for(staff, write=True)

    assert staff.call("PATCH", "tenant", {"name": "Repaired"}).status_code == 200
    assert staff.call("POST", "tags", {"translations": [{"locale": "en", "name": "red"}]}).status_code == 201
    assert staff.call("POST", "roles", {}).status_code == 403
    assert staff.call("PATCH", f"members/{staff.user.pk}", {"roles": ["owner"]}).status_code == 403


def test_it_ends_by_itself_when_the_time_is_over(staff: calling.Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    began = timezone.now()
    open_for(staff, minutes=10)

    def status_after(minutes: float) -> int:
        monkeypatch.setattr(timezone, "now", lambda: began + timedelta(minutes=minutes))
        return int(staff.call("GET", "nodes").status_code)

    assert [status_after(9.9), status_after(10.1), status_after(61)] == [200, 403, 403]


def test_it_is_closed_before_its_time(staff: calling.Caller) -> None:
    access = open_for(staff)

    with factories.at_work(staff.tenant):
        break_glass.close(break_glass_id=access.id, now=timezone.now())
        break_glass.close(break_glass_id=access.id, now=timezone.now())

    assert staff.call("GET", "nodes").status_code == 403
    with factories.at_work(staff.tenant):
        assert Log.objects.filter(type="accounts.break_glass.closed").count() == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"minutes": 61}, "minutes"), ({"minutes": 0}, "minutes"), ({"reason": "because"}, "reason")],
)
def test_longer_than_an_hour_or_without_a_reason_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        break_glass.Opening(**{"reason": "Orders fail since noon"} | fields)


def test_the_database_holds_the_hour_too(staff: calling.Caller) -> None:
    now = timezone.now()
    with factories.at_work(staff.tenant), pytest.raises(IntegrityError), transaction.atomic():
        models.BreakGlass.objects.create(
            user=staff.user, reason="long", opened_at=now, expires_at=now + timedelta(minutes=61), approved_at=now
        )


def test_only_the_platforms_staff_breaks_the_glass(tenant: tenants.Tenant) -> None:
    for fields in ({}, {"is_staff": True}):
        with pytest.raises(break_glass.NotPlatformStaff):
            open_for(calling.make_caller(tenant, "owner", **fields))
    assert open_for(calling.make_caller(tenant, is_superuser=True)).approved_at


def test_where_a_second_person_must_approve_nothing_opens_before(staff: calling.Caller, settings: Any) -> None:
    settings.BREAK_GLASS_NEEDS_APPROVAL = True
    access = open_for(staff)
    assert staff.call("GET", "nodes").status_code == 403

    def approve(by: models.User) -> None:
        with factories.at_work(staff.tenant):
            break_glass.approve(break_glass_id=access.id, by=by, now=timezone.now())

    with pytest.raises(break_glass.CannotApprove, match="their own"):
        approve(staff.user)
    with pytest.raises(break_glass.NotPlatformStaff):
        approve(calling.make_caller(staff.tenant, "owner").user)
    approve(factories.make_user(is_superuser=True))

    assert staff.call("GET", "nodes").status_code == 200
    with pytest.raises(break_glass.CannotApprove, match="waits for no approval"):
        approve(factories.make_user(is_superuser=True))


def test_opening_is_an_event_a_metric_and_a_warning(staff: calling.Caller) -> None:
    counted = break_glass.OPENED.labels(mode="read")
    before = counted._value.get()

    with capture_logs() as logs:
        open_for(staff)

    assert counted._value.get() == before + 1
    assert [(line["event"], line["log_level"]) for line in logs] == [("break_glass.opened", "warning")]
    with factories.at_work(staff.tenant):
        event = Log.objects.get(type="accounts.break_glass.opened")
    assert (event.data["reason"], event.data["is_read_only"]) == ("Orders fail since noon", True)


def test_every_request_under_it_carries_its_id(staff: calling.Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    import structlog

    access, seen = open_for(staff), []
    check = TenantPermission.has_permission

    def look(self: Any, request: Any, view: Any) -> bool:
        is_allowed = check(self, request, view)
        seen.append((context.current().authority, structlog.contextvars.get_contextvars().get("break_glass")))
        return is_allowed

    monkeypatch.setattr(TenantPermission, "has_permission", look)
    staff.call("GET", "nodes")
    calling.make_caller(staff.tenant, "editor").call("GET", "nodes")

    assert seen[0] == (f"break_glass:{access.id}", str(access.id))
    assert seen[1][0].startswith("token:") and seen[1][1] is None
    assert engine.acting() is None


def test_the_tenant_sees_who_came_why_and_until_when(staff: calling.Caller) -> None:
    open_for(staff)
    owner = calling.make_caller(staff.tenant, "owner")

    [shown] = owner.call("GET", "break-glass").json()["data"]

    assert (shown["user"], shown["reason"], shown["ticket"]) == (
        "staff@platform.example", "Orders fail since noon", "OPS-12",
    )  # fmt: skip
    assert (shown["state"], shown["is_read_only"]) == ("open", True)
    assert calling.make_caller(staff.tenant, "editor").call("GET", "break-glass").status_code == 403
    foreign = calling.make_caller(factories.make_tenant(), "owner")
    assert foreign.call("GET", "break-glass").json()["data"] == []


def test_a_member_keeps_to_their_roles_under_it(tenant: tenants.Tenant) -> None:
    """Who belongs to the tenant has rights of their own there; breaking the glass adds none."""
    member = calling.make_caller(tenant, "merchandiser", is_superuser=False, is_staff=True)
    member.user.user_permissions.add(calling.platform_permission(catalogue.OPEN_BREAK_GLASS))

    open_for(member)

    assert member.call("GET", "nodes").status_code == 403


def test_the_commands_open_list_approve_and_close(staff: calling.Caller, settings: Any) -> None:
    settings.BREAK_GLASS_NEEDS_APPROVAL = True
    slug, chief = staff.tenant.slug, factories.make_user(is_superuser=True)

    def run(action: str, *arguments: str, **options: Any) -> str:
        out = io.StringIO()
        call_command("break_glass", action, slug, *arguments, **options, stdout=out)
        return out.getvalue()

    assert run("list") == "Nobody of the platform's staff ever came this way.\n"
    access = run("open", staff.user.email, reason="Orders fail since noon", minutes=5).split()[0]
    assert f"{access} waiting" in run("list")
    assert f"{access} open" in run("approve", access, chief.email)
    assert run("close", access) == "Closed.\n"
    assert f"{access} closed, staff@platform.example read-only" in run("list")
    with pytest.raises(CommandError, match="minutes"):
        run("open", staff.user.email, reason="Orders fail since noon", minutes=90)


def test_an_unknown_access_is_named(staff: calling.Caller) -> None:
    with factories.at_work(staff.tenant), pytest.raises(errors.NotFound, match="There is no access glass_"):
        break_glass.close(break_glass_id=staff.user.pk, now=timezone.now())
