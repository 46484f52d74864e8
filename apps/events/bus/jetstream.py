"""The transport over NATS JetStream: a stream per shard, written by messages that each name the one they continue.

The stream's own sequence counts messages, not positions, and is found anew whenever it is not known. By it the server
refuses what comes twice, late, beside another relay or behind one that was lost, so that one answer to the last of many
messages stands for all. Message ids are not used: the server would then drop, without a word, what is published again
after a purge. Events travel in the structured mode of CloudEvents, as one JSON text: the client takes five times as
long over a header for each attribute.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

import orjson
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from apps.events.bus.contract import Batch, Behind, BusUnavailable, Message, is_of, merged, names_of
from apps.events.bus.nats_connection import ANSWER_SECONDS, Connection, Refused, checked

LOOK_AGAIN_SECONDS = 0.02
AT_ONCE = 500  # messages sent before an answer is waited for
HEADER_BYTES = 1024  # more than our headers have
STRUCTURED = "application/cloudevents+json"
# Stands before the data, which comes last: a quote within an attribute is escaped, so no attribute can hold this.
DATA = b',"data":'
OTHER_SEQUENCE, NO_STREAM = 10071, 10059


class OutOfStep(BusUnavailable):
    """The stream does not end where we thought: it was wiped, or somebody else has published."""


@dataclass(frozen=True, slots=True)
class Place:
    """A message of the stream: its position, and the sequence the server gave it."""

    position: int
    sequence: int


@dataclass(slots=True)
class Stream:
    """One shard's stream, and what is remembered of it: its `end`, and where it was `read` last. Both may be stale."""

    name: str
    subject: str
    end: Place | None = None
    read: Place | None = None
    publishing: threading.Lock = field(default_factory=threading.Lock)


class JetStreamBus:
    """Streams of a NATS server; `nats_connection.Connection` says what the URL may be."""

    def __init__(self, url: str, *, stream: str, shards: int = 1) -> None:
        self.shards = shards
        self._connection = Connection(url)
        self._name = stream.replace(":", "-")
        self._streams = [Stream(name.replace(":", "-"), name.replace(":", ".")) for name in names_of(stream, shards)]

    # --- the contract -------------------------------------------------------------------------------------

    def publish(self, batch: Batch, *, after: int = 0, shard: int = 0) -> None:
        stream = self._streams[shard]
        with stream.publishing:
            self._connection.wait_for(self._publish(stream, batch.messages(), after))

    def read(self, after: int, *, limit: int = 500, block_milliseconds: int | None = None) -> list[Message]:
        deadline = time.monotonic() + (block_milliseconds or 0) / 1000
        while not (found := self._connection.wait_for(self._read(after, limit))) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_SECONDS)
        return found

    def last(self, *, shard: int = 0) -> int:
        return self._connection.wait_for(self._find_end(self._streams[shard])).position

    def trim(self, below: int) -> None:
        self._connection.wait_for(self._trim(below))

    def wipe(self) -> None:
        self._connection.wait_for(self._wipe())

    def close(self) -> None:
        self._connection.close()

    # --- publishing ---------------------------------------------------------------------------------------

    async def _publish(self, stream: Stream, messages: Sequence[Message], after: int) -> None:
        for end in (stream.end, None):  # what is remembered may be stale; what was just asked for is not
            stream.end, known = None, end or await self._find_end(stream)
            try:
                stream.end = await self._continue(stream, known, messages, after)
                return
            except (Behind, OutOfStep, NoRespondersError):
                if end is None:
                    raise

    async def _continue(self, stream: Stream, end: Place, messages: Sequence[Message], after: int) -> Place:
        """Add what the stream does not have; its new end."""
        if end.position < after:
            raise Behind(end.position)
        missing = [message for message in messages if message.position > end.position]
        if len(missing) < len(messages):
            await self._refuse_another_log(stream, messages[len(messages) - len(missing) - 1])
        for chunk in batched(missing, AT_ONCE):
            await self._send(stream, chunk, end.sequence)
            end = Place(chunk[-1].position, end.sequence + len(chunk))
        return end

    async def _send(self, stream: Stream, messages: Sequence[Message], sequence: int) -> None:
        """Add messages after `sequence`. Only the last one is answered: it is taken only if all before it were."""
        client = await self._connection.client()
        for number, message in enumerate(messages):
            headers = {"Content-Type": STRUCTURED, "Nats-Expected-Last-Sequence": str(sequence + number)}
            body = to_body(message)
            if len(body) + HEADER_BYTES > client.max_payload:
                raise BusUnavailable(
                    f"the event at position {message.position} has {len(body):,} bytes, and the NATS server takes "
                    f"{client.max_payload:,} a message: raise its max_payload"
                )
            if number < len(messages) - 1:
                await client.publish(stream.subject, body, headers=headers)
            else:
                answer = await client.request(stream.subject, body, headers=headers, timeout=ANSWER_SECONDS)
        try:
            checked(answer)
        except Refused as error:
            if error.code == OTHER_SEQUENCE:
                raise OutOfStep("JetStream did not take all: somebody else publishes there, or it is full") from error
            raise

    async def _refuse_another_log(self, stream: Stream, message: Message) -> None:
        """Raises BusUnavailable when the stream has another event at this message's position."""
        sequence = await self._first_above(stream, message.position - 1)
        there = await self._get(stream, sequence)
        if (
            there
            and _position(there) == message.position
            and _to_message(there).fields.get("id") != message.fields.get("id")
        ):
            raise BusUnavailable(
                f"the stream {stream.name} holds another event at position {message.position}: it belongs to another "
                "log. Give this one a NATS account of its own, or empty the bus with manage.py events_bus refill"
            )

    async def _find_end(self, stream: Stream) -> Place:
        """Ask the server, and make the stream if there is none."""
        try:
            state = (await self._connection.ask(f"STREAM.INFO.{stream.name}"))["state"]
        except Refused as error:
            if error.code != NO_STREAM:
                raise
            state = await self._create(stream)
        newest = await self._get(stream, state["last_seq"]) if state["messages"] else None
        return Place(_position(newest) if newest else 0, state["last_seq"])

    async def _create(self, stream: Stream) -> dict[str, Any]:
        wanted = {
            "name": stream.name,
            "subjects": [stream.subject],
            "retention": "limits",
            "storage": "file",
            "num_replicas": self._connection.replicas,
            "allow_direct": True,
        }
        return dict((await self._connection.ask(f"STREAM.CREATE.{stream.name}", wanted))["state"])

    # --- reading ------------------------------------------------------------------------------------------

    async def _read(self, after: int, limit: int) -> list[Message]:
        return merged([await self._read_stream(stream, after, limit) for stream in self._streams], limit)

    async def _read_stream(self, stream: Stream, after: int, limit: int) -> list[Message]:
        entries = await self._continue_reading(stream, after, limit)
        if entries is None:
            first = await self._first_above(stream, after)
            entries = await self._get_many(stream, first, limit)
        if entries:
            stream.read = Place(_position(entries[-1]), _sequence(entries[-1]))
        return [_to_message(entry) for entry in entries]

    async def _continue_reading(self, stream: Stream, after: int, limit: int) -> list[Msg] | None:
        """The messages behind the one read last, which must still be where it was; None when that is not so."""
        if stream.read is None or stream.read.position != after:
            return None
        entries = await self._get_many(stream, stream.read.sequence, limit + 1)
        if not entries or Place(_position(entries[0]), _sequence(entries[0])) != stream.read:
            return None
        return entries[1:]

    async def _first_above(self, stream: Stream, after: int) -> int:
        """The sequence of the first message above a position, by bisection: both rise together."""
        try:
            state = (await self._connection.ask(f"STREAM.INFO.{stream.name}"))["state"]
        except Refused as error:
            if error.code != NO_STREAM:
                raise
            return 1
        low, high = max(state["first_seq"], 1), state["last_seq"] + 1
        while low < high:
            middle = (low + high) // 2
            entry = await self._get(stream, middle)
            if entry is None or _position(entry) > after:
                high = middle
            else:
                low = _sequence(entry) + 1
        return int(low)

    async def _get(self, stream: Stream, sequence: int) -> Msg | None:
        """The message at a sequence, or the next one there is."""
        entries = await self._get_many(stream, sequence, 1)
        return entries[0] if entries else None

    async def _get_many(self, stream: Stream, sequence: int, limit: int) -> list[Msg]:
        client = await self._connection.client()
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox, pending_msgs_limit=-1, pending_bytes_limit=-1)
        try:
            request = {"seq": max(sequence, 1), "batch": limit, "next_by_subj": stream.subject}
            await client.publish(f"$JS.API.DIRECT.GET.{stream.name}", json.dumps(request).encode(), reply=inbox)
            entries: list[Msg] = []
            while True:
                entry = await answers.next_msg(timeout=ANSWER_SECONDS)
                status = (entry.headers or {}).get("Status")
                if status in ("204", "404", "503"):  # the end, nothing there, no such stream
                    return entries
                if status:
                    raise Refused({"description": f"status {status} for a read of {stream.name}"})
                entries.append(entry)
        finally:
            await answers.unsubscribe()

    # --- the rest -----------------------------------------------------------------------------------------

    async def _trim(self, below: int) -> None:
        for stream in self._streams:
            end = await self._find_end(stream)
            first = await self._first_above(stream, min(below, end.position) - 1)
            if end.position:
                await self._connection.ask(f"STREAM.PURGE.{stream.name}", {"seq": first})

    async def _wipe(self) -> None:
        for stream in self._streams:
            stream.end = stream.read = None
        # At most 256 streams of ours; an account with more than one answer's worth of others shows them in pages.
        names: list[str] = []
        while page := (await self._connection.ask("STREAM.NAMES", {"offset": len(names)}))["streams"] or []:
            names += page
        for name in names:
            if is_of(name, self._name):
                await self._delete(name)

    async def _delete(self, name: str) -> None:
        try:
            await self._connection.ask(f"STREAM.DELETE.{name}")
        except Refused as error:
            if error.code != NO_STREAM:
                raise


def to_body(message: Message) -> bytes:
    """One JSON object; the data are JSON as they are and stay byte for byte what they were."""
    attributes = orjson.dumps({name: value for name, value in message.fields.items() if name != "data"})
    data = message.fields.get("data")
    return attributes if data is None else b"%b%b%b}" % (attributes[:-1], DATA, data.encode())


def _to_message(entry: Msg) -> Message:
    attributes, has_data, data = entry.data.partition(DATA)
    try:
        fields: dict[str, str] = orjson.loads(attributes + b"}" if has_data else attributes)
        position = int(fields["position"])
    except (ValueError, LookupError, TypeError) as error:
        raise BusUnavailable(f"the message at sequence {_sequence(entry)} is none of ours: {error}") from error
    return Message(position, fields | {"data": data[:-1].decode()} if has_data else fields)


def _position(entry: Msg) -> int:
    return _to_message(entry).position


def _sequence(entry: Msg) -> int:
    return int((entry.headers or {})["Nats-Sequence"])
