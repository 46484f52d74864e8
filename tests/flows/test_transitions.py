"""Every way from one state to another: those there are leave one event, all others are refused and leave none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.commerce import models as commerce
from apps.commerce import services as shop_services
from apps.kernel import ids
from apps.outbox.models import Log
from tests import factories
from tests.accounts import calling
from tests.commerce import making as shop
from tests.content import making as site

# By action: the status it leads to, and the event it leaves.
PUBLIC = {
    "publish": ("published", "published"),
    "unpublish": ("draft", "unpublished"),
    "archive": ("archived", "archived"),
}
ACTIONS = {status: action for action, (status, _) in PUBLIC.items()}
RESERVED = {"commit": "committed", "release": "released"}


@pytest.fixture
def owner(db: None) -> calling.Caller:
    return calling.make_caller(factories.make_tenant(default_locale="en", currency="EUR"), "owner")


def made(owner: calling.Caller, kind: str, status: str = "draft") -> str:
    """The address of a node or product in this status."""
    with factories.at_work(owner.tenant):
        if kind == "content.node":
            address = f"nodes/{ids.encode('node', site.make_node().id)}"
        else:
            address = f"products/{ids.encode('prod', shop.make_product().product.id)}"
    if status != "draft":
        act(owner, address, ACTIONS[status])
    return address


def reserved(owner: calling.Caller, status: str) -> str:
    """The address of a reservation in this status."""
    with factories.at_work(owner.tenant):
        reservation = shop.reserve(shop.make_variant(quantity=5).id, 2)
        ends: Mapping[str, Callable[[], object]] = {
            "active": lambda: None,
            "released": lambda: shop_services.release(reservation_id=reservation.id),
            "committed": lambda: shop_services.commit_reservation(reservation_id=reservation.id, now=shop.NOW),
            "expired": lambda: shop_services.expire_reservations(now=timezone.now() + timedelta(days=9_999)),
        }
        ends[status]()
    return f"reservations/{ids.encode('res', reservation.id)}"


def events_of(owner: calling.Caller) -> list[str]:
    with factories.at_work(owner.tenant):
        return list(Log.objects.order_by("id").values_list("type", flat=True))


def act(owner: calling.Caller, address: str, action: str) -> tuple[Any, list[str]]:
    """The answer, and the events that came of it."""
    before = len(events_of(owner))
    answer = owner.call("DELETE", address) if action == "delete" else owner.call("POST", f"{address}/{action}")
    return answer, events_of(owner)[before:]


@pytest.mark.parametrize("action", PUBLIC)
@pytest.mark.parametrize("status", ACTIONS)
@pytest.mark.parametrize("kind", ["content.node", "commerce.product"])
def test_from_every_status_into_every_other_is_one_event(
    owner: calling.Caller, kind: str, status: str, action: str
) -> None:
    answer, events = act(owner, made(owner, kind, status), action)

    wanted, event = PUBLIC[action]
    assert (answer.status_code, answer.json()["status"]) == (200, wanted)
    assert events == ([] if wanted == status else [f"{kind}.{event}"])


@pytest.mark.parametrize("status", ACTIONS)
def test_a_product_that_is_published_is_not_deleted(owner: calling.Caller, status: str) -> None:
    answer, events = act(owner, made(owner, "commerce.product", status), "delete")

    if status == "published":
        assert (answer.status_code, answer.json()["code"], events) == (409, "cannot_delete_published", [])
    else:
        assert (answer.status_code, events) == (204, ["commerce.product.deleted"])


@pytest.mark.parametrize("action", RESERVED)
@pytest.mark.parametrize("status", commerce.Reservation.Status.values)
def test_a_reservation_ends_once(owner: calling.Caller, status: str, action: str) -> None:
    answer, events = act(owner, reserved(owner, status), action)

    if status == "active":
        assert (answer.status_code, answer.json()["status"], len(events)) == (200, RESERVED[action], 1)
    else:
        assert (answer.status_code, answer.json()["code"], events) == (409, "reservation_ended", [])
