"""Rate limits of a tenant's plan: given by an operator, in force at once, on record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client

from apps.kernel.limits import deciding, policies, shared
from apps.outbox.models import Log
from apps.tenants import queries, services
from tests import factories
from tests.kernel.limiting import ENOUGH_SECONDS


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared, "DEADLINE_SECONDS", ENOUGH_SECONDS)
    deciding.forget_process()
    yield
    deciding.forget_process()


@pytest.mark.usefixtures("committed_db")
def test_a_plan_is_in_force_at_once_and_on_record(settings: LazySettings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.LIMITS = policies.Limits(anonymous=1)
    tenant = factories.make_tenant()

    def ask() -> int:
        return Client().get("/api/v1/store/products", headers={"X-Tenant": tenant.slug}).status_code

    assert [ask() for _ in range(2)] == [200, 429]

    call_command("tenant_limits", tenant.slug, "anonymous=3", "write=0")

    shown = capsys.readouterr().out
    assert "anonymous           3 by its plan" in shown
    assert "write        no bound by its plan" in shown
    assert [ask() for _ in range(3)] == [200, 200, 429]
    with factories.at_work(tenant):
        [event] = Log.objects.filter(type="tenants.limits.changed")
    assert (event.data, event.actor) == ({"limits": {"anonymous": 3, "write": 0}}, "command:tenant_limits")

    call_command("tenant_limits", tenant.slug, "--reset")
    assert queries.scope_of(tenant).limits == {}


@pytest.mark.usefixtures("db")
def test_a_plan_that_is_the_same_changes_nothing() -> None:
    tenant = factories.make_tenant()
    for _ in range(2):
        services.set_limits(tenant=tenant, plan=policies.Plan(write=5))

    with factories.at_work(tenant):
        assert Log.objects.filter(type="tenants.limits.changed").count() == 1


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["wirte=3"], r'"wirte" is no limit; Did you mean "write"\?'),
        (["auth=3"], '"auth" is no limit'),
        (["write=9999999999"], "write"),
        (["write=3", "--reset"], "--reset takes no limits"),
    ],
)
def test_a_plan_that_is_not_understood_is_refused(arguments: list[str], problem: str) -> None:
    tenant = factories.make_tenant()

    with pytest.raises(CommandError, match=problem):
        call_command("tenant_limits", tenant.slug, *arguments)

    assert queries.scope_of(tenant).limits == {}
