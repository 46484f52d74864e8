"""One conformance suite for every transport."""

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from apps.events import bus
from apps.events.bus import nats_connection
from rustok.servers.nats import Nats
from rustok.servers.places import Places

TRANSPORTS = ["memory", "valkey", "nats"]


def message(position: int, text: str = "data", *, event: str = "") -> bus.Message:
    return bus.Message(position, {"position": str(position), "id": event or f"event-{position}", "data": text})


def batch(*positions: int) -> bus.Batch:
    return bus.Batch.of([message(position) for position in positions])


@pytest.fixture
def connect(nats_url: str) -> Iterator[Callable[..., bus.Bus]]:
    """Opens transports on one set of streams of this test's own, emptied afterwards."""
    stream = f"test:{uuid.uuid4().hex}"
    opened: list[bus.Bus] = []

    def connect(transport: str, *, shards: int = 1) -> bus.Bus:
        urls = {"valkey_url": settings.VALKEY_URL, "nats_url": nats_url}
        opened.append(bus.connect(transport, shards=shards, stream=stream, **urls))
        return opened[-1]

    yield connect
    for transport in opened:
        transport.wipe()
        transport.close()


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, connect: Callable[..., bus.Bus]) -> bus.Bus:
    return connect(request.param)


@pytest.fixture(params=["valkey", "nats"])
def pair(request: pytest.FixtureRequest, connect: Callable[..., bus.Bus]) -> tuple[bus.Bus, bus.Bus]:
    """Two connections to the same streams, as two processes have."""
    return connect(request.param), connect(request.param)


def positions(transport: bus.Bus, after: int = 0) -> list[int]:
    return [entry.position for entry in transport.read(after, limit=10_000)]


def test_messages_come_back_whole_and_in_order(transport: bus.Bus) -> None:
    transport.publish(bus.Batch.of([message(1, '{"a": "ä\\n\\u0000"}'), message(2, "x" * 200_000), message(5)]))

    assert transport.read(0) == [message(1, '{"a": "ä\\n\\u0000"}'), message(2, "x" * 200_000), message(5)]
    assert positions(transport, after=2) == [5]
    assert positions(transport, after=3) == [5]
    assert positions(transport, after=5) == []


def test_a_field_without_a_value_is_left_out(transport: bus.Bus) -> None:
    traced = bus.Message(2, message(2).fields | {"traceparent": "00-abc"})

    transport.publish(bus.Batch.of([message(1), traced]))

    assert transport.read(0) == [message(1), traced]


def test_publishing_again_changes_nothing(transport: bus.Bus) -> None:
    transport.publish(batch(1, 2))
    transport.publish(batch(1, 2, 3))
    transport.publish(batch(2, 3))

    assert positions(transport) == [1, 2, 3]


def test_a_late_relay_cannot_insert_below_the_end(transport: bus.Bus) -> None:
    transport.publish(batch(1, 3))
    transport.publish(batch(2))

    assert positions(transport) == [1, 3]


def test_another_event_at_a_position_is_refused(transport: bus.Bus) -> None:
    transport.publish(batch(1, 2, 3))

    with pytest.raises(bus.BusUnavailable, match=r"another event at position 2|position 2 holds another event"):
        transport.publish(bus.Batch.of([message(2, event="of-another-log"), message(4)]))
    assert positions(transport) == [1, 2, 3]


def test_a_bus_that_lost_its_end_says_how_far_it_reaches(transport: bus.Bus) -> None:
    transport.publish(batch(1, 2))

    with pytest.raises(bus.Behind) as behind:
        transport.publish(batch(6), after=5)

    assert behind.value.reached == 2
    assert positions(transport) == [1, 2]
    transport.publish(batch(3), after=2)
    assert positions(transport) == [1, 2, 3]


def test_the_newest_position_is_known(transport: bus.Bus) -> None:
    assert transport.last() == 0

    transport.publish(batch(4, 7))

    assert transport.last() == 7


def test_reading_is_limited_and_goes_on(transport: bus.Bus) -> None:
    transport.publish(batch(*range(1, 11)))

    assert [entry.position for entry in transport.read(0, limit=4)] == [1, 2, 3, 4]
    assert [entry.position for entry in transport.read(4, limit=4)] == [5, 6, 7, 8]
    assert [entry.position for entry in transport.read(8, limit=4)] == [9, 10]
    assert transport.read(10, limit=4) == []
    assert [entry.position for entry in transport.read(1, limit=1)] == [2]


def test_a_batch_may_be_larger_than_the_transport_takes_at_once(transport: bus.Bus) -> None:
    transport.publish(batch(*range(1, 2502)))

    assert positions(transport) == list(range(1, 2502))


def test_an_empty_bus_reads_empty(transport: bus.Bus) -> None:
    assert transport.read(0) == []
    assert transport.read(0, block_milliseconds=10) == []


def test_a_reader_waits_for_the_first_message(transport: bus.Bus) -> None:
    found: list[bus.Message] = []
    reader = threading.Thread(target=lambda: found.extend(transport.read(0, block_milliseconds=20_000)))
    reader.start()

    transport.publish(batch(1))

    reader.join(timeout=10)
    assert [entry.position for entry in found] == [1]


def test_trimming_keeps_what_is_not_below_and_always_the_newest(transport: bus.Bus) -> None:
    transport.publish(batch(*range(1, 501)))

    transport.trim(400)
    assert set(range(400, 501)) <= set(positions(transport))
    transport.trim(9999)

    assert positions(transport)[-1] == transport.last() == 500
    transport.publish(batch(501), after=500)
    assert positions(transport, after=499) == [500, 501]


def test_a_wiped_bus_is_empty_and_takes_older_positions_again(transport: bus.Bus) -> None:
    transport.publish(batch(1, 2, 3))
    assert positions(transport) == [1, 2, 3]

    transport.wipe()

    assert (transport.last(), positions(transport)) == (0, [])
    transport.publish(batch(2, 3))
    assert positions(transport) == [2, 3]


def test_connections_open_again_after_they_were_closed(transport: bus.Bus) -> None:
    transport.publish(batch(1))

    transport.close()

    assert positions(transport) == [1]


@pytest.mark.parametrize("name", TRANSPORTS)
def test_shards_are_streams_of_their_own_read_as_one(connect: Callable[..., bus.Bus], name: str) -> None:
    sharded = connect(name, shards=3)
    sharded.publish(batch(3, 6, 9), shard=2)
    sharded.publish(batch(1, 4, 7), shard=0)
    sharded.publish(batch(2, 5, 8), shard=1)

    assert positions(sharded) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [entry.position for entry in sharded.read(2, limit=3)] == [3, 4, 5]
    assert [sharded.last(shard=shard) for shard in range(3)] == [7, 8, 9]
    with pytest.raises(bus.Behind):
        sharded.publish(batch(10), after=8, shard=0)
    assert positions(connect(name, shards=2)) == []


def test_two_relays_at_once_leave_one_order(pair: tuple[bus.Bus, bus.Bus]) -> None:
    stalled, other = pair
    stalled.publish(batch(1, 2))
    other.publish(batch(1, 2, 3, 4), after=0)
    stalled.publish(batch(3, 4, 5), after=2)
    other.publish(batch(5, 6), after=4)

    assert positions(stalled) == positions(other) == [1, 2, 3, 4, 5, 6]


def test_a_bus_wiped_by_somebody_else_is_noticed(pair: tuple[bus.Bus, bus.Bus]) -> None:
    relay, operator = pair
    relay.publish(batch(1, 2, 3))
    assert positions(relay) == [1, 2, 3]

    operator.wipe()

    with pytest.raises(bus.Behind):
        relay.publish(batch(4), after=3)
    operator.publish(batch(2, 3, 4))
    assert positions(relay, after=3) == [4]


@pytest.mark.parametrize("name", ["valkey", "nats"])
def test_an_unreachable_bus_is_named_not_swallowed(name: str) -> None:
    urls = {"valkey_url": "unix:///nonexistent/valkey.sock", "nats_url": "nats://127.0.0.1:1"}
    unreachable = bus.connect(name, **urls)

    calls: list[Callable[[], object]] = [
        lambda: unreachable.publish(batch(1)),
        lambda: unreachable.read(0),
        unreachable.last,
        lambda: unreachable.trim(1),
        unreachable.wipe,
    ]
    for call in calls:
        with pytest.raises(bus.BusUnavailable):
            call()
    unreachable.close()


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[Nats]:
    """A server nobody else uses, to be stopped at will."""
    nats = Nats(Places(tmp_path), say=lambda message: None)
    nats.places.logs.mkdir()
    nats.start()
    yield nats
    nats.stop()


def test_an_embedded_nats_that_was_restarted_elsewhere_is_found_again(own_nats: Nats) -> None:
    transport = bus.connect("nats", nats_url=f"file://{own_nats.places.nats_address}")
    transport.publish(batch(1, 2))

    own_nats.stop()
    with pytest.raises(bus.BusUnavailable):
        transport.publish(batch(3), after=2)
    own_nats.start()

    transport.publish(batch(3), after=2)
    assert positions(transport) == [1, 2, 3]
    transport.close()


def test_nobody_gets_into_the_embedded_nats_without_its_token(nats: Nats) -> None:
    address = nats.places.nats_address.read_text().strip()
    assert nats.places.nats_address.stat().st_mode & 0o777 == 0o600

    stranger = bus.connect("nats", nats_url=f"nats://{address.rpartition('@')[2]}")

    with pytest.raises(bus.BusUnavailable, match=r"[Aa]uthorization|reset"):
        stranger.last()
    stranger.close()


def test_a_stranger_on_our_subject_is_named(connect: Callable[..., bus.Bus]) -> None:
    transport = connect("nats")
    transport.publish(batch(1))

    async def shout() -> None:
        client = await transport._connection.client()
        await client.request(transport._streams[0].subject, b"hello")

    transport._connection.wait_for(shout())

    with pytest.raises(bus.BusUnavailable, match="the message at sequence 2 is none of ours"):
        transport.read(1)


def test_a_nats_that_is_too_old_is_refused(connect: Callable[..., bus.Bus], monkeypatch: pytest.MonkeyPatch) -> None:
    transport = connect("nats")

    with monkeypatch.context() as future:
        future.setattr(nats_connection, "OLDEST_SERVER", (99, 0))
        with pytest.raises(bus.BusUnavailable, match=r"the NATS server is \d+\.\d+: reading in batches needs 99\.0"):
            transport.last()


def test_an_event_larger_than_nats_takes_is_named(connect: Callable[..., bus.Bus]) -> None:
    with pytest.raises(bus.BusUnavailable, match=r"position 2 has 9,000,0.. bytes.*raise its max_payload"):
        connect("nats").publish(bus.Batch.of([message(1), message(2, "x" * 9_000_000)]))


def test_a_batch_that_does_not_add_up_is_refused() -> None:
    whole = batch(1, 2, 3)

    with pytest.raises(ValueError, match="3 messages of 3 fields do not have 8 values"):
        bus.Batch(whole.names, whole.text.replace("event-2\x1f", ""), 3, 3)


def test_a_value_that_would_end_a_field_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        bus.Batch.of([message(1, "a\x1fb")])


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(ValueError, match='unknown events transport "kafka"'):
        bus.connect("kafka")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("credential=/nats.creds", "unknown option credential: use ca, cert, credentials"),
        ("replicas=many", '"many" replicas: use a number from 1 to 5'),
        ("replicas=6", '"6" replicas'),
    ],
)
def test_a_wrong_option_of_the_nats_url_is_refused(query: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        bus.connect("nats", nats_url=f"tls://nats.example?{query}")
