"""What every transport promises, in words and types. tests/events/test_bus.py asks each of them for all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Protocol, Self

# Ends a value in a packed batch. JSON has no control characters, and neither has any attribute of an event.
END = "\x1f"


class BusUnavailable(Exception):
    """The bus did not do it; the caller keeps its place and tries again later. The message says what to do."""


class Behind(Exception):
    """The bus does not reach as far as the caller took for granted: it was wiped or lost its end. Nothing was taken."""

    def __init__(self, reached: int) -> None:
        self.reached = reached
        super().__init__(f"the bus ends at position {reached}")


@dataclass(frozen=True, slots=True)
class Message:
    """One positioned event on the bus, attributes and data as text (CloudEvents binary mode)."""

    position: int
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages in position order, packed into one text: 500 of them cost as much Python as one.

    `names` begin with position and id and hold for every message; `text` has their values, each closed by END. An empty
    value means that the message has no such field. Raises ValueError for a text that does not add up.
    """

    names: tuple[str, ...]
    text: str
    count: int
    last: int

    def __post_init__(self) -> None:
        if (values := self.text.count(END)) != self.count * len(self.names):
            raise ValueError(f"{self.count} messages of {len(self.names)} fields do not have {values} values")

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Self:
        """The same messages packed. Raises ValueError when one can't be."""
        others = dict.fromkeys(name for message in messages for name in message.fields)
        names = tuple(dict.fromkeys(["position", "id", *others]))
        values = [message.fields.get(name, "") for message in messages for name in names]
        if any(END in value for value in values):
            raise ValueError("a field holds the control character that ends a value")
        return cls(names, _closed(values), len(messages), messages[-1].position if messages else 0)

    def records(self) -> Iterator[tuple[str, ...]]:
        """The values of each message, in the order of `names`."""
        return batched(self.text.split(END)[:-1], len(self.names))

    def messages(self) -> list[Message]:
        return [
            Message(int(record[0]), {name: value for name, value in zip(self.names, record, strict=True) if value})
            for record in self.records()
        ]


class Bus(Protocol):
    """A transport of one stream per shard, each in strictly ascending position order.

    It is never the truth: any of it may be lost at any time, and whoever reads takes a position at most once. What
    can't be done raises BusUnavailable; nothing is left undone in silence.
    """

    shards: int

    def publish(self, batch: Batch, *, after: int = 0, shard: int = 0) -> None:
        """Take all messages of the batch, those the stream has already not again; in order, so that none is left out.

        Raises Behind when the stream ends below `after`, and BusUnavailable also when it holds another event at one of
        these positions, since then it is another log's.
        """

    def read(self, after: int, *, limit: int = 500, block_milliseconds: int | None = None) -> list[Message]:
        """Up to `limit` messages above `after` in ascending position order; waits for the first one at most that long.

        Of all shards; there may be holes.
        """

    def last(self, *, shard: int = 0) -> int:
        """The newest position of a stream, 0 for an empty one."""

    def trim(self, below: int) -> None:
        """Drop messages below a position, which every declared reader has read. The newest of a stream always stays."""

    def wipe(self) -> None:
        """Drop everything, also what another number of shards wrote. The relay brings back what readers need."""

    def close(self) -> None:
        """Let go of connections; the next call opens them anew."""


def merged(streams: Iterable[list[Message]], limit: int) -> list[Message]:
    """The first `limit` of several streams, each read up to that many."""
    return sorted((message for stream in streams for message in stream), key=lambda message: message.position)[:limit]


def is_of(name: str, stream: str) -> bool:
    """Whether this is a name from `names_of(stream, …)`, for whatever number of shards."""
    return name == stream or name.startswith(f"{stream}-")


def names_of(stream: str, shards: int) -> list[str]:
    """One stream name per shard. The number of shards is part of it, so that another division never meets this one."""
    return [stream] if shards == 1 else [f"{stream}-{shard}of{shards}" for shard in range(shards)]


def _closed(values: Sequence[str]) -> str:
    return END.join([*values, ""])
