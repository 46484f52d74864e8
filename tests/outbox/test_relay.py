"""The relay: position order, no loss when the bus or the relay dies, no second owner."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from prometheus_client import REGISTRY

from apps.events import bus
from apps.events.bus import memory
from apps.kernel import isolation
from apps.outbox import cursors, pages, readers, relay, sequencer, tasks
from tests.outbox.recording import record_events

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def transport() -> bus.Bus:
    return bus.connect("memory")


def positions(transport: bus.Bus) -> list[int]:
    return [entry.position for entry in transport.read(0, limit=10_000)]


def end_leases() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_sinkcursor SET lease_until = now() - interval '1 second'")


class FailingBus(memory.MemoryBus):
    """Takes messages and then, while `broken`, fails: the answer was lost on the way back."""

    broken = True

    def publish(self, batch: bus.Batch, *, after: int = 0, shard: int = 0) -> None:
        super().publish(batch, after=after, shard=shard)
        if self.broken:
            raise bus.BusUnavailable("connection reset")


def test_every_position_is_published_once_in_order(transport: bus.Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "EVENTS", 3)
    record_events(10)

    assert relay.publish_pending(transport) == 10
    assert relay.publish_pending(transport) == 0

    assert positions(transport) == list(range(1, 11))
    assert relay.position() == 10


def test_a_page_is_never_read_by_somebody_who_sees_only_a_part_of_it() -> None:
    with isolation.to_nobody():
        with pytest.raises(isolation.NotOverAllTenants):
            pages.read(pages.Lanes(0, 255), 0)
        with pytest.raises(isolation.NotOverAllTenants):
            pages.read_positions([1])


def test_it_is_counted_what_was_published_and_what_is_left() -> None:
    transport = FailingBus()
    record_events(4)
    before = REGISTRY.get_sample_value("rustok_relay_published_total") or 0

    with pytest.raises(bus.BusUnavailable):
        relay.publish_pending(transport)
    assert REGISTRY.get_sample_value("rustok_relay_lag_events") == 4
    transport.broken = False
    relay.publish_pending(transport)

    assert REGISTRY.get_sample_value("rustok_relay_published_total") == before + 4
    assert REGISTRY.get_sample_value("rustok_relay_lag_events") == 0


def test_pages_are_bounded_by_size_too(transport: bus.Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "BYTES", 1)
    record_events(3)

    page = pages.read(pages.Lanes(0, 255), 0)

    assert (page.batch.count, page.until, page.has_more) == (1, 1, True)
    assert relay.publish_pending(transport) == 3


def test_a_crash_after_publishing_repeats_and_loses_nothing() -> None:
    transport = FailingBus()
    record_events(3)

    with pytest.raises(bus.BusUnavailable):
        relay.publish_pending(transport)
    assert relay.position() == 0
    transport.broken = False
    assert relay.publish_pending(transport) == 3

    assert positions(transport) == [1, 2, 3]


def test_a_second_relay_waits_for_the_lease_and_takes_over_when_it_ends(transport: bus.Bus) -> None:
    cursors.divide(cursors.BUS, 1)
    record_events(1)
    assert cursors.claim(cursors.BUS, 0) is not None

    assert relay.publish_pending(transport) == 0
    end_leases()
    assert relay.publish_pending(transport) == 1


def test_an_owner_that_lost_its_lease_cannot_move_the_cursor(transport: bus.Bus) -> None:
    cursors.divide(cursors.BUS, 1)
    record_events(1)
    stalled = cursors.claim(cursors.BUS, 0)
    assert stalled is not None
    end_leases()
    relay.publish_pending(transport)
    record_events(1)

    assert not cursors.move(stalled, before=1, to=2)
    assert not cursors.move(stalled, before=0, to=1)
    assert relay.position() == 1


def test_a_cursor_moves_only_from_where_its_owner_believes_it_to_be() -> None:
    cursors.divide(cursors.BUS, 1)
    claimed = cursors.claim(cursors.BUS, 0)
    assert claimed is not None

    assert not cursors.move(claimed, before=4, to=5)
    assert cursors.move(claimed, before=0, to=5)
    assert cursors.position(cursors.BUS) == 5


def test_a_page_never_spans_two_epochs() -> None:
    record_events(2)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO outbox_tick (prev, epoch, timeline, snap, last_position, n, id_floor, lsn) "
            "SELECT tick_id, 2, timeline, pg_current_snapshot(), last_position, 0, id_floor, lsn "
            "FROM outbox_tick ORDER BY tick_id DESC LIMIT 1"
        )
    record_events(2)
    pages._ended_epochs.cache_clear()

    page = pages.read(pages.Lanes(0, 255), 0)

    assert [message.fields["epoch"] for message in page.batch.messages()] == ["1", "1"]
    assert [message.fields["epoch"] for message in pages.read(pages.Lanes(0, 255), 2).batch.messages()] == ["2", "2"]
    assert [message.fields["epoch"] for message in pages.read_positions([4, 2, 3])] == ["1", "2", "2"]
    pages._ended_epochs.cache_clear()


# --- shards ---------------------------------------------------------------------------------------------------


def test_shards_share_the_lanes_and_an_idle_one_still_advances() -> None:
    transport = bus.connect("memory", shards=4)
    record_events(6, aggregate_id=uuid.uuid4())  # one lane: three shards have nothing to do

    assert relay.publish_pending(transport) == 6

    shards = cursors.all_of(cursors.BUS)
    assert [(shard.lane_low, shard.lane_high) for shard in shards] == [(0, 63), (64, 127), (128, 191), (192, 255)]
    assert [shard.position for shard in shards] == [6, 6, 6, 6]
    assert positions(transport) == [1, 2, 3, 4, 5, 6]


def test_a_shard_that_is_leased_is_passed_by() -> None:
    transport = bus.connect("memory", shards=2)
    record_events(20)
    relay.publish_pending(transport)
    record_events(20)
    assert cursors.claim(cursors.BUS, 0) is not None

    published = relay.publish_pending(transport)

    assert 0 < published < 20
    assert relay.position() == 20
    end_leases()
    assert relay.publish_pending(transport) == 20 - published
    assert positions(transport) == list(range(1, 41))


def test_dividing_anew_starts_at_the_slowest_and_loses_nothing_a_reader_needs() -> None:
    readers.declare("other-process", at=3)
    few = bus.connect("memory", shards=2)
    record_events(10)
    relay.publish_pending(few)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_sinkcursor SET position = 5 WHERE shard = 1")

    many = bus.connect("memory", shards=3)
    assert relay.publish_pending(many) > 0

    assert set(positions(many)) == set(range(4, 11))
    assert [shard.position for shard in cursors.all_of(cursors.BUS)] == [10, 10, 10]


def test_nobody_divides_under_a_running_relay() -> None:
    record_events(2)
    relay.publish_pending(bus.connect("memory"))
    assert cursors.claim(cursors.BUS, 0) is not None

    assert relay.publish_pending(bus.connect("memory", shards=2)) == 0

    assert len(cursors.all_of(cursors.BUS)) == 1


# --- a bus that loses things ----------------------------------------------------------------------------------


def test_a_wiped_bus_heals_by_itself_for_what_comes_next() -> None:
    transport = bus.default()
    record_events(2)
    relay.publish_pending(transport)
    transport.wipe()

    record_events(2)
    relay.publish_pending(transport)

    assert positions(transport) == [3, 4]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("name", ["memory", "valkey", "nats"])
def test_a_wiped_bus_gets_again_what_declared_readers_need(name: str, shards: int, nats_url: str) -> None:
    urls = {"valkey_url": settings.VALKEY_URL, "nats_url": nats_url}
    transport = bus.connect(name, shards=shards, stream=f"test:{uuid.uuid4().hex}", **urls)
    readers.declare("slow", at=2)
    readers.declare("quick", at=5)
    record_events(6)
    relay.publish_pending(transport)

    transport.wipe()
    relay.publish_pending(transport)  # nothing new: it notices all the same

    assert positions(transport) == [3, 4, 5, 6]
    assert relay.position() == 6
    transport.wipe()
    transport.close()


def test_a_bus_wiped_in_the_middle_of_a_run_leaves_no_hole_for_its_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wiped(memory.MemoryBus):
        """Loses everything just before the third batch."""

        batches = 0

        def publish(self, batch: bus.Batch, *, after: int = 0, shard: int = 0) -> None:
            self.batches += 1
            if self.batches == 3:
                self.wipe()
            super().publish(batch, after=after, shard=shard)

    monkeypatch.setattr(pages, "EVENTS", 2)
    readers.declare("other-process", at=1)
    record_events(8)
    transport = Wiped()

    relay.publish_pending(transport)

    assert positions(transport) == [2, 3, 4, 5, 6, 7, 8]


def test_refilling_publishes_again_from_a_position(transport: bus.Bus) -> None:
    record_events(5)
    relay.publish_pending(transport)

    relay.refill(transport, start=3)
    relay.publish_pending(transport)

    assert positions(transport) == [3, 4, 5]
    assert relay.position() == sequencer.head() == 5


def test_refilling_fences_out_a_relay_at_work(transport: bus.Bus) -> None:
    record_events(5)
    relay.publish_pending(transport)
    at_work = cursors.claim(cursors.BUS, 0)
    assert at_work is not None

    relay.refill(transport, start=1)

    assert not cursors.move(at_work, before=0, to=5)


@pytest.fixture
def unreachable(settings: Any) -> Iterator[None]:
    """An installation whose bus is a NATS that nobody listens for."""
    settings.EVENTS_TRANSPORT, settings.NATS_URL = "nats", "nats://127.0.0.1:1"
    bus.default.cache_clear()
    yield
    bus.default().close()
    bus.default.cache_clear()


@pytest.mark.usefixtures("unreachable")
def test_a_bus_out_of_reach_is_logged_and_nothing_takes_its_place(caplog: pytest.LogCaptureFixture) -> None:
    record_events(2)

    assert tasks.publish() == 0

    assert relay.position() == 0
    assert "outbox.bus_unavailable" in caplog.text
    assert tasks.drain() == 0  # and the sequencer goes on
    with pytest.raises(CommandError, match="the bus can't be reached"):
        call_command("events_bus", "refill", "--from", "1")
    # A reader goes on from Postgres.
    assert [message.position for message in readers.follow(bus.default(), after=0)] == [1, 2]
