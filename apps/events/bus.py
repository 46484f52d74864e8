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


# All entries or those up to the first refusal, in one step of the server: a later entry must never get in before an
# earlier one, because the stream would then refuse the earlier one for ever. A position that is there already counts
# as taken when it is the same event.
PUBLISH = """
local here = 1
while here <= #ARGV do
    local entry, event, words = ARGV[here], ARGV[here + 1], tonumber(ARGV[here + 2])
    local command = {'XADD', KEYS[1], entry}
    for word = 1, words do command[3 + word] = ARGV[here + 2 + word] end
    local answer = redis.pcall(unpack(command))
    if type(answer) == 'table' and answer.err then
        local there = redis.call('XRANGE', KEYS[1], entry, entry)
        local same = false
        if #there > 0 then
            for field = 1, #there[1][2], 2 do
                if there[1][2][field] == 'id' then same = there[1][2][field + 1] == event end
            end
        end
        if not same then return answer.err end
    end
    here = here + 3 + words
end
return ''
"""


class ValkeyBus:
    """A Valkey stream whose entry id is `<position>-0`: the server itself refuses a position it already has."""

    def __init__(self, client: redis.Redis, stream: str = STREAM) -> None:
        self._client = client
        self._stream = stream
        self._publish = client.register_script(PUBLISH)

    def publish(self, messages: Sequence[Message]) -> None:
        """Raises BusUnavailable also when the stream holds other events at these positions: it is another log's."""
        arguments: list[str | int] = []
        for message in messages:
            words = [word for field in message.fields.items() for word in field]
            arguments += [f"{message.position}-0", message.fields.get("id", ""), len(words), *words]
        try:
            refusal = self._publish(keys=[self._stream], args=arguments)
        except redis.RedisError as error:
            raise BusUnavailable(str(error)) from error
        if refusal:
            raise BusUnavailable(f"{refusal.decode()} (stream {self._stream}; delete it if it belongs to another log)")

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
