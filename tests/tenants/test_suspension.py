"""A suspended tenant: why and since when is kept, and nothing is told to the outside for it; for others it
is, with their rows in view."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from apps.consumers import effects, models, tasks
from apps.kernel import errors, isolation, validation
from apps.outbox.models import Log
from apps.tenants import services
from apps.tenants.models import Tenant
from tests import factories

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
OVERDUE = services.Suspension(reason="invoice 7 is open")


@dataclass
class Outside:
    """With whose rows in view an effect has told something."""

    told: list[str] = field(default_factory=list)

    def perform(self, task: effects.Task) -> str:
        self.told.append(isolation.shown())
        return "told"


@pytest.fixture
def outside(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """An effect that tells of every tenant that gets a domain."""
    told = Outside()
    monkeypatch.setattr(effects, "_effects", dict(effects._effects))
    effect = effects.Effect(
        "test.domains", ("tenants.domain.added",), lambda event: [effects.Planned("one", {})], told.perform, "tenant"
    )
    effects.ensure(effects.register(effect))
    yield told
    models.Checkpoint.objects.filter(consumer=effect.name).delete()
    models.Consumer.objects.filter(name=effect.name).delete()


def types(tenant: Tenant) -> list[str]:
    return list(Log.objects.filter(tenant_id=tenant.id).order_by("id").values_list("type", flat=True))


@pytest.mark.usefixtures("db", "over_all_tenants")
def test_why_and_since_when_is_kept_and_published() -> None:
    tenant = factories.make_tenant()

    services.suspend_tenant(tenant=tenant, suspension=OVERDUE, now=NOON)
    services.suspend_tenant(tenant=tenant, suspension=services.Suspension(reason="again"), now=NOON)
    tenant.refresh_from_db()
    assert (tenant.is_active, tenant.suspended_at, tenant.suspended_reason) == (False, NOON, "invoice 7 is open")

    services.resume_tenant(tenant=tenant)
    services.resume_tenant(tenant=tenant)
    tenant.refresh_from_db()
    assert (tenant.is_active, tenant.suspended_at, tenant.suspended_reason) == (True, None, "")

    assert types(tenant)[-2:] == ["tenants.tenant.suspended", "tenants.tenant.resumed"]
    assert Log.objects.filter(tenant_id=tenant.id).latest("id").data == {"reason": "invoice 7 is open"}


@pytest.mark.usefixtures("db")
def test_a_reason_has_to_be_given_and_a_tenant_can_not_do_it_to_itself() -> None:
    with pytest.raises(errors.ValidationFailed, match="reason"):
        validation.parse(services.Suspension, {"reason": ""})
    with pytest.raises(errors.ValidationFailed, match="is_active"):
        validation.parse(services.TenantChanges, {"is_active": False})


@pytest.mark.usefixtures("db")
def test_by_command() -> None:
    tenant, out = factories.make_tenant(), io.StringIO()

    call_command("tenant_suspend", tenant.slug, "--reason", "unpaid", stdout=out)
    call_command("tenant_resume", tenant.slug, stdout=out)

    said = out.getvalue().splitlines()
    assert said[0].startswith(f"{tenant.slug} is suspended since 20")
    assert said[1] == f"{tenant.slug} answers again."
    with pytest.raises(CommandError, match="There is no tenant"):
        call_command("tenant_suspend", "nobody", "--reason", "unpaid")


def test_what_is_to_be_told_waits_until_the_tenant_is_resumed(outside: Outside) -> None:
    tenant, neighbour = factories.make_tenant(), factories.make_tenant()
    services.suspend_tenant(tenant=tenant, suspension=OVERDUE, now=NOON)

    tasks.drain()
    assert outside.told == [str(neighbour.id)]

    services.resume_tenant(tenant=tenant)
    tasks.drain()
    assert outside.told == [str(neighbour.id), str(tenant.id)]
