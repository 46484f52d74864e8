"""The bus carries positioned events to other processes. It is transport, never the truth: wiping it loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import redis
from django.conf import settings

STREAM = "rustok:events"


class BusUnavailable(Exception):
    """The bus did not take the messages; the caller keeps its cursor and tries again later."""


@dataclass(frozen=True, slots=True)
class Message:
    """One positioned event on the bus, attributes as text (CloudEvents binary mode)."""

    position: int
    fields: dict[str, str]


class Bus(Protocol):
    """A transport. Publishing the same positions twice changes nothing; positions arrive in ascending order."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Take all messages or raise BusUnavailable."""

    def read(self, after: int, *, limit: int = 500, block_milliseconds: int | None = None) -> list[Message]:
        """Messages above position `after`, in order; waits up to `block_milliseconds` for the first. May have holes."""

    def trim(self, below: int) -> None:
        """Drop messages under position `below`, which every declared reader has read."""


class MemoryBus:
    """In-process transport for tests and single-process tools."""

    def __init__(self) -> None:
        self._messages: dict[int, Message] = {}

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._messages.setdefault(message.position, message)

    def read(self, after: int, *, limit: int = 500, block_milliseconds: int | None = None) -> list[Message]:
        return [self._messages[position] for position in sorted(self._messages) if position > after][:limit]

    def trim(self, below: int) -> None:
        self._messages = {position: entry for position, entry in self._messages.items() if position >= below}


class ValkeyBus:
    """A Valkey stream whose entry id is `<position>-0`: the server itself refuses a position it already has."""

    def __init__(self, client: redis.Redis, stream: str = STREAM) -> None:
        self._client = client
        self._stream = stream

    def publish(self, messages: Sequence[Message]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for message in messages:
            pipeline.xadd(self._stream, message.fields, id=f"{message.position}-0")  # type: ignore[arg-type]
        try:
            answers = pipeline.execute(raise_on_error=False)
        except redis.RedisError as error:
            raise BusUnavailable(str(error)) from error
        for answer in answers:
            if isinstance(answer, Exception) and "equal or smaller than the target stream top item" not in str(answer):
                raise BusUnavailable(str(answer)) from answer

    def read(self, after: int, *, limit: int = 500, block_milliseconds: int | None = None) -> list[Message]:
        try:
            answer: Any = self._client.xread({self._stream: f"{after}-0"}, count=limit, block=block_milliseconds)
        except redis.RedisError as error:
            raise BusUnavailable(str(error)) from error
        return [
            Message(int(entry_id.split(b"-")[0]), {key.decode(): value.decode() for key, value in fields.items()})
            for _, entries in answer
            for entry_id, fields in entries
        ]

    def trim(self, below: int) -> None:
        try:
            self._client.xtrim(self._stream, minid=f"{below}-0", approximate=True)
        except redis.RedisError as error:
            raise BusUnavailable(str(error)) from error


def connect(transport: str, valkey_url: str) -> Bus:
    """The bus of that name. Raises ValueError for an unknown transport: there is no silent fallback."""
    if transport == "valkey":
        client = redis.Redis.from_url(valkey_url, socket_timeout=10, socket_connect_timeout=2)
        return ValkeyBus(client)
    if transport == "memory":
        return MemoryBus()
    raise ValueError(f'unknown events transport "{transport}": use "valkey" or "memory"')


@lru_cache(maxsize=1)
def default() -> Bus:
    """The bus of this installation, by the settings."""
    return connect(settings.EVENTS_TRANSPORT, settings.VALKEY_URL)
