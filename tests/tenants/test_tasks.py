"""A task works for the tenant it was sent for, and leaves nothing of it to the next one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, chord, current_app, group
from celery.app.trace import build_tracer
from django.utils import timezone

from apps.commerce.models import Product
from apps.kernel import isolation
from apps.tenants import models, scope, services, tasks
from tests import factories

seen: list[tuple[str, list[str]]] = []


@tasks.tenant_task("tests.look")
def look(*before: Any) -> None:
    seen.append((scope.current().slug, list(Product.objects.values_list("vendor", flat=True))))


@tasks.tenant_task("tests.fail")
def fail() -> None:
    raise ValueError("as it happens")


@tasks.tenant_task("tests.again")
def look_again() -> None:
    look.run()
    if len(seen) < 3:
        raise look_again.retry(countdown=0, max_retries=5)


@pytest.fixture
def two(db: None) -> Iterator[list[models.Tenant]]:
    """Two tenants with one product each, whose vendor is the tenant's slug."""
    seen.clear()
    made = [factories.make_tenant(), factories.make_tenant()]
    for tenant in made:
        with factories.at_work(tenant):
            Product.objects.create(vendor=tenant.slug)
    yield made
    assert scope.find() is None
    assert isolation.shown() == ""


@pytest.fixture
def in_place() -> Iterator[None]:
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


def work_off(task: Any, **headers: Any) -> Any:
    """What a worker does with a message: outside of every scope."""
    tracer = build_tracer(task.name, task, app=task.app)
    return tracer("an-id", (), {}, {"id": "an-id", "is_eager": False, "called_directly": False, **headers})


def sees_its_own(tenant: models.Tenant) -> tuple[str, list[str]]:
    return tenant.slug, [tenant.slug]


def test_a_message_carries_the_tenant_and_the_worker_restores_it(two: list[models.Tenant]) -> None:
    for tenant in (two[0], two[1], two[0]):
        work_off(look, **{tasks.HEADER: str(tenant.id)})
        assert scope.find() is None

    assert seen == [sees_its_own(two[0]), sees_its_own(two[1]), sees_its_own(two[0])]


def test_a_message_without_a_tenant_is_refused_also_right_after_one_with(two: list[models.Tenant]) -> None:
    work_off(look, **{tasks.HEADER: str(two[0].id)})
    answer = work_off(look)

    assert isinstance(answer.retval, scope.NoTenantScope) or "NoTenantScope" in repr(answer)
    assert seen == [sees_its_own(two[0])]


def test_a_task_that_fails_leaves_nothing_to_the_next(two: list[models.Tenant]) -> None:
    work_off(fail, **{tasks.HEADER: str(two[0].id)})

    assert scope.find() is None
    assert isolation.shown() == ""
    work_off(look)
    assert seen == []


def test_sending_without_a_tenant_is_refused(two: list[models.Tenant], in_place: None) -> None:
    for send in (look.delay, look.apply, group(look.si(), look.si()).apply_async):
        with pytest.raises(scope.NoTenantScope):
            send()
    with isolation.all_tenants(reason="test"), pytest.raises(scope.NoTenantScope):
        look.delay()


@pytest.mark.parametrize(
    ("make", "times"),
    [
        (look.si, 1),
        (lambda: chain(look.si(), look.si(), look.si()), 3),
        (lambda: group(look.si(), look.si()), 2),
        (lambda: chord([look.si(), look.si()], look.si()), 3),
        (look_again.si, 3),
    ],
    ids=["one", "chain", "group", "chord", "retry"],
)
def test_all_that_a_canvas_leads_to_works_for_the_tenant(
    two: list[models.Tenant], in_place: None, make: Any, times: int
) -> None:
    with factories.at_work(two[1]):
        canvas = make()
        canvas.apply_async()

    assert seen == [sees_its_own(two[1])] * times


def test_the_next_of_a_chain_is_sent_by_a_worker_for_the_same_tenant(
    two: list[models.Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(current_app._get_current_object(), "send_task", lambda *args, **o: sent.append(o["headers"]))

    work_off(look, **{tasks.HEADER: str(two[0].id)}, chain=[dict(look.si())])

    assert [headers[tasks.HEADER] for headers in sent] == [str(two[0].id)]


def test_a_suspended_tenant_is_not_worked_for(two: list[models.Tenant]) -> None:
    suspension = services.Suspension(reason="test")
    with factories.at_work(two[0]):
        services.suspend_tenant(tenant=two[0], suspension=suspension, now=timezone.now())

    work_off(look, **{tasks.HEADER: str(two[0].id)})

    assert seen == []
