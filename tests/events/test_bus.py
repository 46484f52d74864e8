"""One conformance suite for every transport."""

import uuid
from collections.abc import Callable

import pytest
import redis
from django.conf import settings

from apps.events import bus


def message(position: int, text: str = "") -> bus.Message:
    return bus.Message(position, {"id": f"event-{position}", "data": text})


@pytest.fixture(params=["memory", "valkey"])
def transport(request: pytest.FixtureRequest) -> bus.Bus:
    if request.param == "memory":
        return bus.MemoryBus()
    return bus.ValkeyBus(redis.Redis.from_url(settings.VALKEY_URL), stream=f"test:{uuid.uuid4().hex}")


def positions(transport: bus.Bus, after: int = 0) -> list[int]:
    return [entry.position for entry in transport.read(after)]


def test_messages_come_back_whole_and_in_order(transport: bus.Bus) -> None:
    transport.publish([message(1, "ä"), message(2), message(5)])

    assert transport.read(0)[0] == message(1, "ä")
    assert positions(transport) == [1, 2, 5]
    assert positions(transport, after=2) == [5]


def test_publishing_again_changes_nothing(transport: bus.Bus) -> None:
    transport.publish([message(1), message(2)])
    transport.publish([message(1), message(2), message(3)])

    assert positions(transport) == [1, 2, 3]


def test_a_late_relay_cannot_insert_below_the_end(transport: bus.Bus) -> None:
    transport.publish([message(1), message(2), message(3)])
    transport.publish([message(2, "late")])

    assert [entry.fields["data"] for entry in transport.read(0)] == ["", "", ""]


def test_reading_is_limited(transport: bus.Bus) -> None:
    transport.publish([message(position) for position in range(1, 11)])

    assert len(transport.read(0, limit=4)) == 4


def test_an_empty_bus_reads_empty(transport: bus.Bus) -> None:
    assert transport.read(0) == []


def test_trimming_keeps_what_is_not_below(transport: bus.Bus) -> None:
    transport.publish([message(position) for position in range(1, 501)])

    transport.trim(400)

    assert positions(transport)[-1] == 500
    assert set(range(400, 501)) <= {entry.position for entry in transport.read(0, limit=1000)}


def test_an_unreachable_bus_is_named_not_swallowed() -> None:
    unreachable = bus.ValkeyBus(redis.Redis(unix_socket_path="/nonexistent/valkey.sock", retry=None))

    calls: list[Callable[[], object]] = [
        lambda: unreachable.publish([message(1)]),
        lambda: unreachable.read(0),
        lambda: unreachable.trim(1),
    ]
    for call in calls:
        with pytest.raises(bus.BusUnavailable):
            call()


def test_a_refused_start_lets_nothing_later_in() -> None:
    client = redis.Redis.from_url(settings.VALKEY_URL)
    stream = f"test:{uuid.uuid4().hex}"
    broken = bus.Message(2, {})  # a stream entry needs at least one field

    with pytest.raises(bus.BusUnavailable):
        bus.ValkeyBus(client, stream=stream).publish([message(1), broken, message(3)])
    bus.ValkeyBus(client, stream=stream).publish([message(1), message(2), message(3)])

    assert positions(bus.ValkeyBus(client, stream=stream)) == [1, 2, 3]


def test_the_stream_of_another_log_is_refused_not_taken_for_ours() -> None:
    client = redis.Redis.from_url(settings.VALKEY_URL)
    stream = bus.ValkeyBus(client, stream=f"test:{uuid.uuid4().hex}")
    stream.publish([message(1), message(2)])

    with pytest.raises(bus.BusUnavailable, match="delete it if it belongs to another log"):
        stream.publish([bus.Message(1, {"id": "another-event", "data": ""})])


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(ValueError, match='unknown events transport "kafka"'):
        bus.connect("kafka", "")
