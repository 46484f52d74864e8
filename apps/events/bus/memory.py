"""The transport within one process, for tests and single-process tools."""

from __future__ import annotations

import threading
import time

from apps.events.bus.contract import Batch, Behind, BusUnavailable, Message, merged


class MemoryBus:
    """Keeps everything in this process and loses it with it."""

    def __init__(self, *, shards: int = 1) -> None:
        self.shards = shards
        # Filled in ascending order of position, which is the order a dict keeps.
        self._streams: list[dict[int, Message]] = [{} for _ in range(shards)]
        self._changed = threading.Condition()

    def publish(self, batch: Batch, *, after: int = 0, shard: int = 0) -> None:
        with self._changed:
            stream = self._streams[shard]
            reached = next(reversed(stream), 0)
            if reached < after:
                raise Behind(reached)
            for message in batch.messages():
                there = stream.get(message.position)
                if there and there.fields.get("id") != message.fields.get("id"):
                    raise BusUnavailable(f"position {message.position} holds another event: the bus is another log's")
                if message.position > reached:
                    stream[message.position] = message
            self._changed.notify_all()

    def read(self, after: int, *, limit: int = 500, block_milliseconds: int | None = None) -> list[Message]:
        deadline = time.monotonic() + (block_milliseconds or 0) / 1000
        with self._changed:
            while not (found := self._above(after, limit)):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    break
            return found

    def last(self, *, shard: int = 0) -> int:
        with self._changed:
            return next(reversed(self._streams[shard]), 0)

    def trim(self, below: int) -> None:
        with self._changed:
            for stream in self._streams:
                for position in [position for position in stream if position < below][: len(stream) - 1]:
                    del stream[position]

    def wipe(self) -> None:
        with self._changed:
            self._streams = [{} for _ in range(self.shards)]

    def close(self) -> None:
        """There is nothing to let go of."""

    def _above(self, after: int, limit: int) -> list[Message]:
        streams = ([entry for position, entry in stream.items() if position > after] for stream in self._streams)
        return merged(streams, limit)
