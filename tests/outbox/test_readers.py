"""Readers of the bus get every event once and in order, whatever the bus does."""

import random
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from apps.consumers import models as consumer_models
from apps.consumers import tasks
from apps.events import bus
from apps.events.bus import memory
from apps.outbox import readers, relay
from tests.outbox.recording import record_events

pytestmark = pytest.mark.usefixtures("committed_db")


class HostileBus(memory.MemoryBus):
    """Wipes, repeats, holds back and shuffles what readers get, as `chance` has it."""

    def __init__(self, chance: random.Random, tricks: set[str]) -> None:
        super().__init__()
        self.chance, self.tricks = chance, tricks

    def read(self, after: int, *, limit: int = 500, block_milliseconds: int | None = None) -> list[bus.Message]:
        if "wipe" in self.tricks and self.chance.random() < 0.3:
            self.wipe()
        if "unreachable" in self.tricks and self.chance.random() < 0.3:
            raise bus.BusUnavailable("connection refused")
        start = self.chance.randint(0, after) if "duplicate" in self.tricks else after
        found = super().read(start, limit=limit)
        if "delay" in self.tricks:
            found = [message for message in found if self.chance.random() < 0.7]
        if "duplicate" in self.tricks:
            found += self.chance.choices(found, k=3) if found else []
        if "reorder" in self.tricks:
            self.chance.shuffle(found)
        return found


def fold(transport: bus.Bus, name: str, *, write: Callable[[], None], steps: int) -> list[tuple[int, str]]:
    """What a reader has seen at the end: the relay and the writer go on between its steps."""
    seen: list[tuple[int, str]] = []
    for _ in range(steps):
        write()
        relay.publish_pending(transport)
        for message in readers.follow(transport, after=seen[-1][0] if seen else 0, limit=7):
            seen.append((message.position, message.fields["id"]))
        readers.acknowledge(name, seen[-1][0] if seen else 0)
    while messages := readers.follow(transport, after=seen[-1][0], limit=7):
        seen += [(message.position, message.fields["id"]) for message in messages]
    return seen


@pytest.mark.parametrize("trick", ["wipe", "duplicate", "delay", "reorder", "unreachable"])
def test_a_hostile_bus_changes_nothing_in_the_end(trick: str) -> None:
    transport = HostileBus(random.Random(7), {trick})
    readers.declare("reader", at=0)

    seen = fold(transport, "reader", write=lambda: record_events(5), steps=8)

    assert [position for position, _ in seen] == list(range(1, 41))
    assert len({event for _, event in seen}) == 40


def test_every_mixture_of_tricks_changes_nothing_either() -> None:
    """The log stays as it is over all examples; each reads it from the beginning."""
    record_events(40)
    tricks = st.sets(st.sampled_from(["wipe", "duplicate", "delay", "reorder", "unreachable"]))

    @examples(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(seed=st.integers(0, 2**32), tricks=tricks)
    def reads_all(seed: int, tricks: set[str]) -> None:
        transport = HostileBus(random.Random(seed), tricks)
        relay.refill(transport, start=1)
        readers.declare("reader", at=0)
        seen = fold(transport, "reader", write=lambda: None, steps=3)
        assert [position for position, _ in seen] == list(range(1, 41))

    reads_all()


def test_what_is_refilled_equals_what_was_published() -> None:
    transport = bus.connect("memory")
    record_events(5)
    relay.publish_pending(transport)
    published = readers.follow(transport, after=0)
    assert published == transport.read(0)

    transport.wipe()

    assert readers.follow(transport, after=0) == published
    assert readers.follow(transport, after=2, limit=2) == published[2:4]
    assert readers.follow(transport, after=5) == []


def test_a_reader_may_be_ahead_of_the_relays_cursor_but_never_over_a_hole() -> None:
    transport = bus.connect("memory")
    record_events(6)
    relay.publish_pending(transport)
    messages = transport.read(0)
    relay.refill(transport, start=3)
    for part in (messages[2:4], messages[5:]):  # published, and the cursor not moved yet
        transport.publish(bus.Batch.of(part))

    assert [message.position for message in readers.follow(transport, after=0)] == [1, 2, 3, 4]


def test_readers_of_several_shards_get_one_order() -> None:
    transport = bus.connect("memory", shards=3)
    record_events(30)
    relay.publish_pending(transport)

    assert [message.position for message in readers.follow(transport, after=0)] == list(range(1, 31))


def test_the_bus_keeps_what_a_declared_reader_has_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = bus.default()
    monkeypatch.setattr(tasks, "_TRIM_EVERY", 1)
    record_events(300)
    readers.declare("region-two", at=50)
    tasks.drain()
    consumer_models.Checkpoint.objects.update(position=300)

    tasks.trim_bus()
    assert [message.position for message in transport.read(50, limit=500)] == list(range(51, 301))

    readers.acknowledge("region-two", 290)
    tasks.trim_bus()
    kept = [message.position for message in transport.read(0, limit=500)]
    assert kept[0] > 51
    assert kept[-11:] == list(range(290, 301))


def test_a_reader_stays_where_it_is_and_never_goes_back() -> None:
    record_events(3)
    assert readers.declare("reader") == 3
    assert readers.declare("reader", at=0) == 3

    readers.acknowledge("reader", 2)

    assert readers.slowest() == 3
    readers.retire("reader")
    assert readers.slowest() is None


def test_an_unknown_reader_is_named_with_those_there_are() -> None:
    readers.declare("region-two")

    for call in (lambda: readers.acknowledge("region-three", 1), lambda: readers.retire("region-three")):
        with pytest.raises(readers.UnknownReader, match='no bus reader "region-three"; declared are: region-two'):
            call()


def test_the_command_shows_refills_and_retires(capsys: pytest.CaptureFixture[str]) -> None:
    transport = bus.default()
    record_events(4)
    relay.publish_pending(transport)
    readers.declare("region-two", at=1)

    call_command("events_bus", "status", "--json")
    assert '"position": 4' in capsys.readouterr().out
    call_command("events_bus", "refill", "--from", "3")
    assert "from position 3" in capsys.readouterr().out
    relay.publish_pending(transport)
    assert [message.position for message in transport.read(0)] == [2, 3, 4]  # region-two needs 2
    call_command("events_bus", "retire", "region-two")
    assert readers.slowest() is None
    with pytest.raises(CommandError, match="region-two"):
        call_command("events_bus", "retire", "region-two")


@pytest.mark.parametrize("wrong", [["refill"], ["refill", "--from", "0"], ["refill", "--from", "2"], ["retire"]])
def test_the_command_says_what_is_missing_or_wrong(wrong: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("events_bus", *wrong)
