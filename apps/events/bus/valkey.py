"""The transport over Valkey or Redis: a stream per shard whose entry ids are `<position>-0`."""

from __future__ import annotations

from typing import Any

import redis

from apps.events.bus.contract import Batch, Behind, BusUnavailable, Message, is_of, merged, names_of

# One call per batch, and the server makes the entries: a client that packs each XADD by itself spends most of its time
# there. ARGV: the values, the position the stream must have reached, then the names. Answers are words and a number.
PUBLISH = r"""
local stream, width = KEYS[1], #ARGV - 2
local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
local reached = newest and tonumber(string.match(newest[1], '^%d+')) or 0
if reached < tonumber(ARGV[2]) then return {'behind', reached} end
if not newest then redis.call('DEL', stream) end

local function is_other(position, event)
    local there = redis.call('XRANGE', stream, position .. '-0', position .. '-0')[1]
    if not there then return false end
    for field = 1, #there[2], 2 do
        if there[2][field] == 'id' then return there[2][field + 1] ~= event end
    end
    return true
end

local command, words, column, position, event = {'XADD', stream}, 3, 0
for value in string.gmatch(ARGV[1], '([^\31]*)\31') do
    column = column + 1
    if column == 1 then position = value elseif column == 2 then event = value end
    if value ~= '' then
        command[words + 1], command[words + 2], words = ARGV[column + 2], value, words + 2
    end
    if column == width then
        if tonumber(position) > reached then
            command[3] = position .. '-0'
            redis.call(unpack(command, 1, words))
        elseif is_other(position, event) then
            return {'other', tonumber(position)}
        end
        words, column = 3, 0
    end
end
return {'taken', 0}
"""


class ValkeyBus:
    """Streams of a Valkey. The server itself refuses a position at or below the newest."""

    def __init__(self, client: redis.Redis, *, stream: str, shards: int = 1) -> None:
        self.shards = shards
        self._client = client
        self._stream = stream
        self._streams = names_of(stream, shards)
        self._publish = client.register_script(PUBLISH)

    def publish(self, batch: Batch, *, after: int = 0, shard: int = 0) -> None:
        stream = self._streams[shard]
        try:
            word, position = self._publish(keys=[stream], args=[batch.text, after, *batch.names])
        except redis.RedisError as error:
            raise BusUnavailable(str(error)) from error
        if word == b"behind":
            raise Behind(int(position))
        if word == b"other":
            raise BusUnavailable(
                f"the stream {stream} holds another event at position {position}: it belongs to another log. Give this "
                "one a Valkey database of its own, or empty the bus with manage.py events_bus refill"
            )

    def read(self, after: int, *, limit: int = 500, block_milliseconds: int | None = None) -> list[Message]:
        starts = dict.fromkeys(self._streams, f"{after}-0")
        try:
            # redis-py types the keys of this dict invariantly.
            answer: Any = self._client.xread(starts, count=limit, block=block_milliseconds)  # type: ignore[arg-type]
        except redis.RedisError as error:
            raise BusUnavailable(str(error)) from error
        found = answer.items() if isinstance(answer, dict) else answer
        return merged(([_to_message(entry) for entry in entries] for _, entries in found), limit)

    def last(self, *, shard: int = 0) -> int:
        try:
            newest: Any = self._client.xrevrange(self._streams[shard], count=1)
        except redis.RedisError as error:
            raise BusUnavailable(str(error)) from error
        return _position(newest[0][0]) if newest else 0

    def trim(self, below: int) -> None:
        for shard, stream in enumerate(self._streams):
            oldest = min(below, self.last(shard=shard))
            try:
                self._client.xtrim(stream, minid=f"{oldest}-0", approximate=True)
            except redis.RedisError as error:
                raise BusUnavailable(str(error)) from error

    def wipe(self) -> None:
        try:
            names = [name.decode() for name in self._client.scan_iter(match=f"{self._stream}*", count=1000)]
            for name in names:
                if is_of(name, self._stream):
                    self._client.unlink(name)
        except redis.RedisError as error:
            raise BusUnavailable(str(error)) from error

    def close(self) -> None:
        self._client.close()


def _position(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])


def _to_message(entry: Any) -> Message:
    entry_id, fields = entry
    return Message(_position(entry_id), {name.decode(): value.decode() for name, value in fields.items()})
