"""Jobs in the admin: how far they are and what failed, of the tenant of the host."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.jobs import models
from apps.kernel import ids
from apps.tenants import models as tenants
from tests import factories
from tests.accounts import calling
from tests.commerce import making
from tests.jobs.asking import make_job, new


@pytest.fixture
def tenant(db: None) -> tenants.Tenant:
    return factories.make_tenant(default_locale="en", currency="EUR")


def page(browser: Client, tenant: tenants.Tenant, path: str) -> str:
    answer: Any = browser.get(f"/admin/jobs/{path}", headers={"host": f"{tenant.slug}.test"})
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def test_progress_and_failures_are_seen_and_nothing_can_be_written(tenant: tenants.Tenant) -> None:
    job = make_job(calling.make_caller(tenant, "owner"), new("One"), new("x\x00y"), new("Three"))
    foreign = factories.make_tenant(default_locale="en")
    make_job(calling.make_caller(foreign, "owner"), *[new("x\x00y")] * 7)
    browser = Client()
    browser.force_login(factories.make_member(tenant, "owner", factories.make_user(is_staff=True)))
    with factories.at_work(tenant):
        models.Job.objects.update(done=2, started_at=making.NOW, worked_at=making.NOW.replace(second=4))

    assert "2 of 3" in page(browser, tenant, "job/")
    assert "of 7" not in page(browser, tenant, "job/")
    shown = page(browser, tenant, f"job/{job.id}/change/")
    assert "2 of 3" in shown
    assert 'name="_save"' not in shown
    assert "validation_failed" in page(browser, tenant, "operation/?status=422")
    assert page(browser, tenant, "operation/").count("validation_failed") == 1
    assert browser.get("/admin/jobs/job/add/", headers={"host": f"{tenant.slug}.test"}).status_code == 403


def test_what_is_left_is_told_from_the_rate_so_far() -> None:
    def made(done: int, seconds: int | None) -> models.Job:
        at = None if seconds is None else making.NOW.replace(second=seconds)
        return models.Job(tenant_id=ids.new_id(), total=10, done=done, started_at=at and making.NOW, worked_at=at)

    job, fresh, ended = made(4, 8), made(0, None), made(10, 5)
    ended.finished_at = ended.worked_at

    assert (job.per_second, job.seconds_left) == (0.5, 12)
    assert (fresh.per_second, fresh.seconds_left) == (None, None)
    assert (ended.per_second, ended.seconds_left) == (2.0, None)
