"""Operators see lag, parked events and generations in the admin, and pull the levers there, with a reason."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from apps.consumers import generations, models, projections, tasks
from tests import factories
from tests.consumers import test_parking, test_projections

pytestmark = pytest.mark.usefixtures("committed_db")

tenant_id = test_projections.tenant_id
poisoned = test_parking.poisoned
STATUS = "/admin/consumers/consumer/"


def browser_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def operator() -> Client:
    user = factories.make_user(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="operate_events"))
    return browser_of(user)


def page(client: Client, path: str) -> str:
    answer: Any = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def post(client: Client, path: str, **data: Any) -> str:
    answer: Any = client.post(path, data, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def pull(client: Client, lever: str, *, consumer: str = "content", reason: str = "because of a test") -> str:
    return post(client, f"{STATUS}operate/", consumer=consumer, lever=lever, reason=reason)


def test_the_status_page_shows_consumers_generations_and_levers(operator: Client, tenant_id: uuid.UUID) -> None:
    test_projections.record(tenant_id, uuid.uuid4(), test_projections.created(), test_projections.published())
    tasks.drain()

    shown = page(operator, STATUS)

    assert all(name in shown for name in ("content", "product", "low_stock_notice"))
    assert "0 events, 0.0 s" in shown
    assert 'value="rebuild from the log"' in shown
    assert 'value="swap"' not in shown


def test_only_operators_see_and_pull(tenant_id: uuid.UUID) -> None:
    member_of_staff = browser_of(factories.make_user(is_staff=True))

    lever = {"consumer": "content", "lever": "pause", "reason": "mischief"}
    answers = [
        member_of_staff.get(STATUS),
        member_of_staff.get("/admin/consumers/parked/"),
        member_of_staff.post(f"{STATUS}operate/", lever),
    ]
    assert all(answer.status_code == 302 and answer["Location"].startswith("/admin/login/") for answer in answers)
    assert models.Consumer.objects.get(name="content").status == "active"


def test_a_rebuild_from_start_to_swap_and_back(operator: Client, tenant_id: uuid.UUID) -> None:
    test_projections.record(tenant_id, uuid.uuid4(), test_projections.created(), test_projections.published())
    tasks.drain()
    content = projections.get("content")
    former = generations.live_number(content)
    following = models.Generation.objects.filter(projection="content").latest("number").number + 1

    assert f"Workers build generation {following}" in pull(operator, "rebuild from the log")
    assert "workers are at it" in page(operator, STATUS)
    assert "waits" in pull(operator, "pause the rebuild")
    assert f"Workers build generation {following}" in pull(operator, "rebuild from the log")
    tasks.build_generations()
    assert f"see generation {following}" in pull(operator, "swap")
    assert generations.live_number(content) == following
    assert f"see generation {former} again" in pull(operator, "roll back")
    assert generations.live_number(content) == former

    done = models.OperatorAction.objects.order_by("id")
    assert [action.action for action in done] == [
        "start rebuild", "pause rebuild", "start rebuild", "swap", "roll back",
    ]  # fmt: skip
    assert {action.reason for action in done} == {"because of a test"}
    assert all(action.actor.startswith("user:") for action in done)


@pytest.mark.parametrize(
    ("lever", "reason", "complaint"),
    [
        ("pause", " ", "Give a reason to pause"),
        ("explode", "why not", "There is no lever"),
        ("swap", "in a hurry", "no generation that is ready"),
        ("roll back", "regret", "no earlier generation is kept"),
        ("pause the rebuild", "peak", "is not being rebuilt"),
        ("retry what is parked", "try", "Nothing is parked for content"),
    ],
)
def test_what_is_refused_is_told(
    operator: Client, tenant_id: uuid.UUID, lever: str, reason: str, complaint: str
) -> None:
    assert complaint in pull(operator, lever, reason=reason)
    assert not models.OperatorAction.objects.exists()


def test_an_unknown_consumer_is_told(operator: Client, tenant_id: uuid.UUID) -> None:
    assert "There is no consumer &quot;nobody&quot;" in pull(operator, "pause", consumer="nobody")
    assert "nobody" in pull(operator, "swap", consumer="nobody")


def test_a_parked_event_is_seen_read_and_retried_when_it_is_mended(
    operator: Client, tenant_id: uuid.UUID, poisoned: pytest.MonkeyPatch
) -> None:
    node_id = test_parking.poison(tenant_id)
    assert "?consumer=content&amp;state=blocked" in page(operator, STATUS)
    listed = page(operator, "/admin/consumers/parked/")
    assert str(node_id) in listed
    assert "cannot read this title" in listed
    first = models.Parked.objects.order_by("position").first()
    assert first is not None
    shown = page(operator, f"/admin/consumers/parked/{first.pk}/change/")
    assert "&quot;title&quot;: &quot;Poison&quot;" in shown

    poisoned.undo()
    told = post(operator, "/admin/consumers/parked/", action="retry", _selected_action=[first.pk], reason="mended")

    assert "2 events released, 0 still parked" in told
    assert test_projections.titles(tenant_id) == ["Later"]
    assert models.OperatorAction.objects.get().reason == "mended"


def test_a_skip_needs_a_reason(operator: Client, tenant_id: uuid.UUID, poisoned: Any) -> None:
    test_parking.poison(tenant_id)
    first = models.Parked.objects.order_by("position").first()
    assert first is not None
    chosen = {"action": "skip", "_selected_action": [first.pk]}

    assert "Give a reason" in post(operator, "/admin/consumers/parked/", reason="", **chosen)
    assert "1 events released" in post(operator, "/admin/consumers/parked/", reason="nonsense title", **chosen)
    assert test_projections.titles(tenant_id) == ["Later"]
    assert models.Parked.objects.get().state == "skipped"
