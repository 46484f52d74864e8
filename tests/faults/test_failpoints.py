"""kill -9 at every failpoint: a second run ends where a run that was not killed ends."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.db import connection

from apps.consumers import generations, models, projections, rebuild, tasks
from apps.events import bus
from apps.kernel import failpoints
from apps.outbox import models as outbox
from apps.outbox import relay, sequencer
from apps.tenants import models as tenants
from rustok import environment
from tests import factories
from tests.commerce import making
from tests.faults import invariants, mailbox, work

pytestmark = pytest.mark.usefixtures("committed_db", "at_work")

PRODUCTS = projections.get("products")
DRAINING = ("sequencer.", "relay.", "runner.", "effects.", "sending.")
WHEN_DRAINING = [name for name in failpoints.POINTS if name.startswith(DRAINING)]
WHEN_REBUILDING = [name for name in failpoints.POINTS if name.startswith("rebuild.")]


@pytest.fixture
def tenant(committed_db: None) -> tenants.Tenant:
    """What its own events lead to is done, so that a kill hits what a test does."""
    made = factories.make_tenant(default_locale="en", currency="EUR", settings={"notice_email": "stock@acme.test"})
    tasks.drain()
    return made


@pytest.fixture
def at_work(tenant: tenants.Tenant) -> Iterator[None]:
    with factories.at_work(tenant):
        yield


@pytest.fixture(autouse=True)
def data_dir() -> Iterator[Path]:
    path = environment.current().data_dir
    mail.outbox.clear()
    yield path
    mailbox.place(path).unlink(missing_ok=True)


def shoe(left: int = 6) -> uuid.UUID:
    """A variant with a threshold of 3: five sold, it runs low."""
    variant = making.make_variant(sku=f"SHOE-{uuid.uuid4().hex[:6]}")
    making.count(variant.id, left, low_stock_threshold=3)
    return variant.id


def let_time_pass() -> None:
    """The lease of a killed relay and the claims of a killed sender end."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_sinkcursor SET lease_until = now() - interval '1 second'")
        cursor.execute("UPDATE consumers_effect SET next_at = now() - interval '1 second' WHERE state = 'pending'")


def assert_every_promise_holds() -> None:
    assert invariants.broken() == []
    assert invariants.rows_without_events() == []
    assert invariants.on_the_bus(bus.default()) == []
    assert relay.position() == sequencer.head() > 0


@pytest.mark.parametrize(("failpoint", "sold"), [("append.before_commit", False), ("append.after_commit", True)])
def test_a_writer_killed_around_its_commit_leaves_all_or_nothing(
    tenant: tenants.Tenant, failpoint: str, sold: bool
) -> None:
    variant_id = shoe()
    tasks.drain()
    before = outbox.Log.objects.count()

    died = work.start("sell", str(variant_id), tenant.slug, failpoint=failpoint)
    tasks.drain()

    assert died == -signal.SIGKILL
    assert making.adjust(variant_id, 0).stocked == (1 if sold else 6)
    assert (outbox.Log.objects.count() > before) is sold
    assert len(mail.outbox) == int(sold)
    assert_every_promise_holds()


@pytest.mark.parametrize("failpoint", WHEN_DRAINING)
def test_who_moves_events_is_killed_and_the_next_one_ends_the_work(data_dir: Path, failpoint: str) -> None:
    watcher = invariants.Watcher()
    making.adjust(shoe(), -5)

    died = work.start("drain", failpoint=failpoint)
    seen = watcher.look()
    let_time_pass()
    tasks.drain()

    assert died == -signal.SIGKILL
    assert seen + watcher.look() + watcher.complaints() == []
    assert_every_promise_holds()
    told = mailbox.delivered(data_dir) + [message.extra_headers["Message-ID"] for message in mail.outbox]
    # At least once to the outside, and a receiver knows the second by its id.
    assert len(told) == (2 if failpoint == "sending.after_perform_before_record" else 1)
    assert len(set(told)) == 1
    assert models.Effect.objects.get(consumer="low_stock_notice").state == "done"


@pytest.mark.parametrize("failpoint", WHEN_REBUILDING)
def test_a_rebuild_is_killed_and_resumed_and_tells_nobody(data_dir: Path, failpoint: str) -> None:
    for _ in range(6):
        shoe()
    making.adjust(shoe(), -5)
    tasks.drain()
    live, effects = generations.live_number(PRODUCTS), list(models.Effect.objects.values())
    mail.outbox.clear()

    died = work.start("rebuild", failpoint=failpoint)
    broken_between = invariants.broken()
    shoe()
    tasks.drain()
    newest = models.Generation.objects.filter(projection="products").latest("number")
    if newest.state != "live":
        rebuild.rebuild(PRODUCTS, resume=True)

    assert died == -signal.SIGKILL
    assert broken_between == []
    assert generations.live_number(PRODUCTS) == newest.number > live
    assert (newest.state == "live") is (failpoint == "rebuild.after_swap")
    assert_every_promise_holds()
    assert list(models.Effect.objects.values()) == effects
    assert mailbox.delivered(data_dir) + mail.outbox == []


def test_a_failpoint_that_is_not_set_does_nothing(settings: Any) -> None:
    settings.FAILPOINT = "relay.after_publish_before_move"

    failpoints.reach("append.before_commit")
