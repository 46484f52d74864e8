"""The sweep can fail: with managers off the policies hold, with policies off the managers do, with both off it finds
what is not hidden any more."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import models

from apps.audit.models import EntryManager
from apps.kernel import isolation
from apps.kernel.database import cursors
from apps.tenants.models import TenantManager
from tests.sweep import inputs, probes, probing


@pytest.fixture
def telling(sweep: probing.Sweep) -> list[probing.Probe]:
    """Probes that look for rows of the other tenant, or would delete them, or send its idempotency key.

    Without the search: it asks the database which tenant is at work, and fails where that names none.
    """
    wanted = [each for each in inputs.operations() if each.method in {"GET", "DELETE"}]
    operations = [each for each in wanted if each.name != "store_search"]
    makers = (probes.of_inputs, probes.of_keys)
    return [probe for operation in operations for make in makers for probe in make(sweep, operation)]


@pytest.fixture
def managers_off(sweep: probing.Sweep, telling: list[probing.Probe], monkeypatch: pytest.MonkeyPatch) -> None:
    """Managers show whatever the database does."""
    for manager in (TenantManager, EntryManager):
        monkeypatch.setattr(manager, "get_queryset", models.Manager.get_queryset)


@pytest.fixture
def policies_off(sweep: probing.Sweep, telling: list[probing.Probe], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the work may see, the database is told that it is all."""
    monkeypatch.setattr(cursors, "isolation", SimpleNamespace(shown=lambda: isolation.ALL))


@pytest.mark.usefixtures("managers_off")
def test_without_managers_the_policies_hold(sweep: probing.Sweep, telling: list[probing.Probe]) -> None:
    sweep.run(telling)

    assert sweep.problems == []


@pytest.mark.usefixtures("policies_off")
def test_without_policies_the_managers_hold(sweep: probing.Sweep, telling: list[probing.Probe]) -> None:
    sweep.run(telling)

    assert sweep.problems == []


@pytest.mark.usefixtures("managers_off", "policies_off")
def test_without_both_the_sweep_finds_what_shows(sweep: probing.Sweep, telling: list[probing.Probe]) -> None:
    sweep.run(telling)

    leaking = {problem.partition(":")[0] for problem in sweep.problems}
    kinds = {kind for kind in ("is answered", "changes rows in") if any(kind in each for each in sweep.problems)}
    assert len(telling) > 80
    assert len(leaking) > 30
    assert kinds == {"is answered", "changes rows in"}
    assert any("Idempotency-Key is answered 422" in problem for problem in sweep.problems)
