"""Whatever a bus and its network do to the relay, the bus ends up with the log, and a reader gets every event once."""

from __future__ import annotations

import os
import random
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import connection

from apps.events import bus
from apps.events.bus import memory
from apps.outbox import pages, readers, relay, sequencer
from tests.faults import invariants
from tests.outbox.recording import record_events

pytestmark = pytest.mark.usefixtures("committed_db")

STEPS = 3000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 200
READER = "elsewhere"


class Died(BaseException):
    """The relay's process ends here."""


class HostileBus(memory.MemoryBus):
    """Each time something is published, one of the things that happen on the way to a server and back."""

    def __init__(self, chance: random.Random, *, shards: int) -> None:
        super().__init__(shards=shards)
        self._chance = chance
        self._late: list[Callable[[], None]] = []
        self._is_healed = False
        self.happened: Counter[str] = Counter()

    def heal(self) -> None:
        self._is_healed = True

    def publish(self, batch: bus.Batch, *, after: int = 0, shard: int = 0) -> None:
        """Faults first, then what was delayed earlier, so that it arrives out of order."""

        def take() -> None:
            super(HostileBus, self).publish(batch, after=after, shard=shard)

        faults = [self._takes, self._takes_twice, self._refuses, self._loses_the_answer, self._takes_a_part]
        faults += [self._delays, self._dies, self._stalls, self._forgets]
        fault = self._takes if self._is_healed else self._chance.choice(faults)
        self.happened[fault.__name__] += 1
        fault(take, batch, shard)

    def _takes(self, take: Callable[[], None], batch: bus.Batch, shard: int) -> None:
        take()

    def _takes_twice(self, take: Callable[[], None], batch: bus.Batch, shard: int) -> None:
        take()
        take()

    def _refuses(self, take: Callable[[], None], batch: bus.Batch, shard: int) -> None:
        raise bus.BusUnavailable("connection refused")

    def _loses_the_answer(self, take: Callable[[], None], batch: bus.Batch, shard: int) -> None:
        take()
        raise bus.BusUnavailable("connection reset")

    def _takes_a_part(self, take: Callable[[], None], batch: bus.Batch, shard: int) -> None:
        messages = batch.messages()
        part = messages[: self._chance.randint(0, len(messages))]
        if part:
            super().publish(bus.Batch.of(part), shard=shard)
        raise bus.BusUnavailable("connection reset")

    def _delays(self, take: Callable[[], None], batch: bus.Batch, shard: int) -> None:
        """The relay hears nothing; the messages arrive when others have."""
        self._late.append(take)
        raise bus.BusUnavailable("timed out")

    def _dies(self, take: Callable[[], None], batch: bus.Batch, shard: int) -> None:
        take()
        raise Died

    def _stalls(self, take: Callable[[], None], batch: bus.Batch, shard: int) -> None:
        """So long that the lease is over and another relay has done the work."""
        let_leases_end()
        record_events(self._chance.randint(0, 2))
        self._is_healed, before = True, self._is_healed
        relay.publish_pending(self)
        self._is_healed = before
        take()

    def _forgets(self, take: Callable[[], None], batch: bus.Batch, shard: int) -> None:
        self.wipe()
        take()

    def let_late_ones_arrive(self) -> None:
        late, self._late = self._late, []
        self._chance.shuffle(late)
        for take in late:
            try:
                take()
            except bus.Behind:
                self.happened["arrived at a stream that had been wiped"] += 1


def let_leases_end() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_sinkcursor SET lease_until = now() - interval '1 second'")


@pytest.mark.parametrize("shards", [1, 3])
def test_faults_of_the_bus_change_nothing_in_the_end(monkeypatch: pytest.MonkeyPatch, shards: int) -> None:
    monkeypatch.setattr(pages, "EVENTS", 3)
    chance = random.Random(shards)
    transport = HostileBus(chance, shards=shards)
    readers.declare(READER)
    readers.declare("one that never reads", at=0)  # for its sake the bus has to keep everything
    aggregates = [uuid.uuid4() for _ in range(6)]
    got: list[str] = []

    def follow() -> None:
        came = readers.follow(transport, after=len(got), limit=chance.randint(1, 10))
        assert [message.position for message in came] == list(range(len(got) + 1, len(got) + len(came) + 1))
        got.extend(message.fields["id"] for message in came)
        readers.acknowledge(READER, len(got))

    for _ in range(STEPS):
        record_events(chance.randint(0, 2), aggregate_id=chance.choice(aggregates))
        let_leases_end()
        # The faults under test; what counts is what is published in the end.
        with suppress(bus.BusUnavailable, Died):
            relay.publish_pending(transport)
        if chance.random() < 0.3:
            transport.let_late_ones_arrive()
        if chance.random() < 0.5:
            follow()
    transport.heal()
    transport.let_late_ones_arrive()
    let_leases_end()
    relay.publish_pending(transport)
    while len(got) < sequencer.head():
        follow()

    assert got == [event_id for _, event_id in invariants.positions()]
    assert invariants.on_the_bus(transport) == []
    assert [message.position for message in transport.read(0, limit=10**6)] == list(range(1, sequencer.head() + 1))
    assert relay.position() == sequencer.head() > STEPS / 2
    assert len(transport.happened) >= 9, transport.happened
