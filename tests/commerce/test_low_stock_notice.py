"""The tenant is told once per event when something runs low; a replay tells nobody."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.db import connection

from apps.accounts import services as account_services
from apps.commerce import consumers, events
from apps.consumers import effects, models, projections, rebuild, replay, sending, tasks
from apps.events import registry
from apps.outbox import sequencer
from apps.tenants import models as tenants
from apps.tenants import services as tenant_services
from tests import factories
from tests.commerce.making import adjust, count, make_variant

pytestmark = pytest.mark.usefixtures("committed_db", "at_work")

NOTICE = consumers.LOW_STOCK_NOTICE
NOTICES = models.Effect.objects.filter(consumer=NOTICE.name)


@pytest.fixture
def tenant(committed_db: None) -> tenants.Tenant:
    return factories.make_tenant(
        name="Acme", default_locale="en", currency="EUR", settings={"notice_email": "stock@acme.test"}
    )


@pytest.fixture(autouse=True)
def _quiet_start(committed_db: None) -> Iterator[None]:
    mail.outbox.clear()
    yield


def run_low(*, left: int = 1, sku: str = "SHOE-42") -> uuid.UUID:
    """A variant of which five are sold, down to `left` with a threshold of 3."""
    variant = make_variant(sku=sku)
    count(variant.id, left + 5, low_stock_threshold=3)
    adjust(variant.id, -5)
    return variant.id


def rewind() -> None:
    models.Checkpoint.objects.filter(consumer=NOTICE.name).update(position=0)


def test_low_stock_is_mailed_to_the_tenant_with_its_names() -> None:
    run_low()

    tasks.drain()

    [message] = mail.outbox
    assert message.to == ["stock@acme.test"]
    assert message.subject == "Low stock: Red Shoes"
    assert "1 left, your threshold is 3" in message.body
    assert "SHOE-42" in message.body
    effect = NOTICES.get()
    assert (effect.state, effect.response) == ("done", "sent to stock@acme.test")


def test_delivered_again_it_is_sent_once() -> None:
    run_low()
    tasks.drain()

    rewind()
    tasks.drain()

    assert len(mail.outbox) == 1
    assert NOTICES.count() == 1


def test_every_replay_is_silent() -> None:
    run_low()
    tasks.drain()
    NOTICES.all().delete()  # so that nothing but the writer's gate stands in the way
    mail.outbox.clear()

    done = replay.replay(NOTICE, first=1, last=sequencer.head())
    for projection in projections.all_projections():
        rebuild.rebuild(projection)
        replay.replay(projection, first=1, last=sequencer.head())
    tasks.drain()

    assert (done.events, done.suppressed) == (1, 1)
    assert mail.outbox == []
    assert NOTICES.count() == 0


def test_nothing_at_or_below_the_floor_is_planned() -> None:
    run_low()
    sequencer.assign_positions()
    models.Consumer.objects.filter(name=NOTICE.name).update(effect_floor=sequencer.head())
    tasks.drain()
    assert mail.outbox == []

    run_low(sku="SHOE-43")
    tasks.drain()

    assert len(mail.outbox) == 1


def test_a_writer_without_the_floor_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above has teeth: without the gate in the statement the old event is told."""
    monkeypatch.setattr(effects, "WRITE", effects.WRITE.replace("WHERE e.position > c.effect_floor", ""))

    with pytest.raises(AssertionError):
        test_nothing_at_or_below_the_floor_is_planned()


def test_a_new_effect_starts_at_the_head() -> None:
    run_low()
    tasks.drain()
    mail.outbox.clear()
    newcomer = effects.Effect("newcomer", NOTICE.types, NOTICE.plan, NOTICE.perform, "tenant")

    effects.ensure(newcomer)

    stored = models.Consumer.objects.get(name="newcomer")
    assert stored.effect_floor == sequencer.head() > 0
    assert models.Checkpoint.objects.get(consumer="newcomer").position == stored.effect_floor
    models.Checkpoint.objects.filter(consumer="newcomer").delete()
    stored.delete()


def fail_to_send(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def perform(task: effects.Task) -> str:
        raise error

    broken = effects.Effect(NOTICE.name, NOTICE.types, NOTICE.plan, perform, "tenant")
    monkeypatch.setitem(effects._effects, NOTICE.name, broken)


def make_due() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE consumers_effect SET next_at = clock_timestamp()")


def test_a_mail_that_fails_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    run_low()
    with monkeypatch.context() as patched:
        fail_to_send(patched, ConnectionRefusedError("no mail server"))
        tasks.drain()
    waiting = NOTICES.get()
    assert (waiting.state, waiting.attempts) == ("pending", 1)
    assert "no mail server" in waiting.response

    make_due()
    tasks.drain()

    assert len(mail.outbox) == 1
    assert NOTICES.get().state == "done"


def test_it_gives_up_after_ten_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    run_low()
    fail_to_send(monkeypatch, ConnectionRefusedError("no mail server"))
    tasks.drain()

    for _ in range(12):
        make_due()
        sending.send_pending()

    effect = NOTICES.get()
    assert (effect.state, effect.attempts) == ("failed", 10)


def test_a_sender_that_died_gives_its_task_back() -> None:
    run_low()
    sequencer.assign_positions()
    tasks.advance()
    sending._claim([NOTICE.name])  # and dies
    sending.send_pending()
    assert mail.outbox == []

    make_due()
    sending.send_pending()

    [message] = mail.outbox
    assert NOTICES.get().attempts == 2
    assert message.extra_headers["Message-ID"].endswith("@rustok.invalid>")


def test_without_the_setting_those_who_look_after_stock_are_told(tenant: tenants.Tenant) -> None:
    tenant_services.update_tenant(tenant=tenant, changes=tenant_services.TenantChanges(settings={}))
    owner, editor = factories.make_user(), factories.make_user()
    account_services.grant_role(user=owner, tenant=tenant, role="owner")
    account_services.grant_role(user=editor, tenant=tenant, role="editor")
    run_low()

    tasks.drain()

    assert [message.to for message in mail.outbox] == [[owner.email]]


def test_without_any_address_it_fails_with_what_to_do(tenant: tenants.Tenant) -> None:
    tenant_services.update_tenant(tenant=tenant, changes=tenant_services.TenantChanges(settings={"notice_email": "no"}))
    run_low()

    tasks.drain()

    effect = NOTICES.get()
    assert effect.state == "failed"
    assert 'set "notice_email"' in effect.response


def test_version_one_is_upcast_and_mailed_with_what_it_knows() -> None:
    data: dict[str, Any] = {
        "variant_id": str(uuid.uuid4()), "location_id": str(uuid.uuid4()), "remaining": 0, "threshold": 2,
    }  # fmt: skip

    upcast = registry.upcast("commerce.inventory.low", 1, data)

    assert upcast["product_title"] == ""
    assert events.InventoryLow.model_validate(upcast).remaining == 0
