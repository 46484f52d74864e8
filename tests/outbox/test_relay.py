"""The relay: position order, no loss when the bus or the relay dies, no second owner."""

import uuid

import pytest
from django.db import connection

from apps.content import events as content_events
from apps.events import bus
from apps.events.bus import memory
from apps.outbox import relay, sequencer
from apps.outbox.append import append, unit_of_work

pytestmark = pytest.mark.usefixtures("committed_db")


def record_events(count: int) -> None:
    for _ in range(count):
        with unit_of_work():
            append(
                content_events.TagCreated(translations=[]),
                tenant_id=uuid.UUID(int=1),
                aggregate_type=content_events.TAG,
                aggregate_id=uuid.uuid4(),
            )
    sequencer.assign_positions()


def positions(transport: bus.Bus) -> list[int]:
    return [entry.position for entry in transport.read(0, limit=10_000)]


class FailingBus(memory.MemoryBus):
    """Takes messages and then, while `broken`, fails: the answer was lost on the way back."""

    broken = True

    def publish(self, batch: bus.Batch, *, after: int = 0, shard: int = 0) -> None:
        super().publish(batch, after=after, shard=shard)
        if self.broken:
            raise bus.BusUnavailable("connection reset")


def test_every_position_is_published_once_in_order() -> None:
    transport = bus.connect("memory")
    record_events(5)

    assert relay.publish_pending(transport) == 5
    assert relay.publish_pending(transport) == 0

    assert positions(transport) == [1, 2, 3, 4, 5]
    assert relay.position() == 5


def test_the_message_is_a_cloudevent() -> None:
    transport = bus.connect("memory")
    record_events(1)

    relay.publish_pending(transport)

    fields = transport.read(0)[0].fields
    assert fields["specversion"] == "1.0"
    assert fields["type"] == "com.rustok.content.tag.created"
    assert fields["source"] == "/rustok/content"
    assert fields["position"] == "1"
    assert fields["data"] == '{"translations": []}'


def test_a_crash_after_publishing_repeats_and_loses_nothing() -> None:
    transport = FailingBus()
    record_events(3)

    with pytest.raises(bus.BusUnavailable):
        relay.publish_pending(transport)
    assert relay.position() == 0
    transport.broken = False
    assert relay.publish_pending(transport) == 3

    assert positions(transport) == [1, 2, 3]


def test_a_second_relay_waits_for_the_lease_and_takes_over_when_it_ends() -> None:
    record_events(1)
    assert relay._claim("first") is not None

    assert relay.publish_pending(bus.connect("memory")) == 0
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_sinkcursor SET lease_until = now() - interval '1 second'")
    assert relay.publish_pending(bus.connect("memory")) == 1


def test_an_owner_that_lost_its_lease_cannot_move_the_cursor() -> None:
    record_events(1)
    claim = relay._claim("stalled")
    assert claim is not None
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_sinkcursor SET lease_until = now() - interval '1 second'")
    relay.publish_pending(bus.connect("memory"))

    assert not relay._move(claim[0], 1, claim[1])


def test_a_wiped_bus_heals_by_itself_for_what_comes_next() -> None:
    transport = bus.default()
    record_events(2)
    relay.publish_pending(transport)
    transport.wipe()

    record_events(2)
    relay.publish_pending(transport)

    assert positions(transport) == [3, 4]
