"""The transport over NATS JetStream (server 2.12 or newer): a stream per shard, written in atomic batches.

The stream's own sequence counts messages, not positions, and is found anew whenever it is not known. Each batch names
the sequence it continues, so the server refuses what comes twice, late or beside another relay. Message ids are not
used: the server would then drop, without a word, what is published again after a purge. Events travel in the
structured mode of CloudEvents, as one JSON text: the client takes five times as long over a header for each attribute.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import threading
import time
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import nats
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from apps.events.bus.contract import Batch, Behind, BusUnavailable, Message, is_of, merged, names_of

ANSWER_SECONDS = 10.0
CONNECT_SECONDS = 2
LOOK_AGAIN_SECONDS = 0.02
MOST_AT_ONCE = 1000  # messages of one atomic batch, a limit of the server
HEADER_BYTES = 1024  # more than our headers have
STRUCTURED = "application/cloudevents+json"
# Stands before the data, which comes last: a quote within an attribute is escaped, so no attribute can hold this.
DATA = b',"data":'
OTHER_SEQUENCE, NO_STREAM = 10071, 10059
URL_OPTIONS = {"ca", "cert", "key", "credentials", "replicas"}


class Refused(Exception):
    """JetStream answered with an error; `code` is its err_code."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.code = error.get("err_code", 0)
        super().__init__(f"JetStream: {error.get('description', error)}")


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
    publishing: asyncio.Lock = field(default_factory=asyncio.Lock)


class JetStreamBus:
    """Streams of a NATS server. Its client lives in an event loop in a thread of this object's own.

    `url` is `nats://` or `tls://`, with `user:password@` or `token@` where needed, and may end with the options
    `?ca=FILE&cert=FILE&key=FILE&credentials=FILE&replicas=N`. `file:///path` names a file that has the URL in it.
    """

    def __init__(self, url: str, *, stream: str, shards: int = 1) -> None:
        if unknown := set(dict(parse_qsl(url.partition("?")[2]))) - URL_OPTIONS:
            known = ", ".join(sorted(URL_OPTIONS))
            raise ValueError(f"NATS_URL has the unknown option {', '.join(sorted(unknown))}: use {known}")
        self.shards = shards
        self._url = url
        self._name = stream.replace(":", "-")
        self._streams = [Stream(name.replace(":", "-"), name.replace(":", ".")) for name in names_of(stream, shards)]
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._starting = threading.Lock()

    # --- the contract -------------------------------------------------------------------------------------

    def publish(self, batch: Batch, *, after: int = 0, shard: int = 0) -> None:
        self._wait_for(self._publish(self._streams[shard], batch, after))

    def read(self, after: int, *, limit: int = 500, block_milliseconds: int | None = None) -> list[Message]:
        deadline = time.monotonic() + (block_milliseconds or 0) / 1000
        while not (found := self._wait_for(self._read(after, limit))) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_SECONDS)
        return found

    def last(self, *, shard: int = 0) -> int:
        return self._wait_for(self._find_end(self._streams[shard])).position

    def trim(self, below: int) -> None:
        self._wait_for(self._trim(below))

    def wipe(self) -> None:
        self._wait_for(self._wipe())

    def close(self) -> None:
        if self._loop is None or self._pid != os.getpid():
            return
        self._wait_for(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop = None

    # --- publishing ---------------------------------------------------------------------------------------

    async def _publish(self, stream: Stream, batch: Batch, after: int) -> None:
        messages = batch.messages()
        async with stream.publishing:
            for end in (stream.end, None):  # what is remembered may be stale; what was just asked for is not
                known = end or await self._find_end(stream)
                try:
                    stream.end = await self._continue(stream, known, messages, after)
                    return
                except (Behind, Refused, nats.errors.NoRespondersError) as error:
                    stream.end = None
                    if not isinstance(error, Behind) and getattr(error, "code", OTHER_SEQUENCE) != OTHER_SEQUENCE:
                        raise
                    if end is None:
                        raise

    async def _continue(self, stream: Stream, end: Place, messages: Sequence[Message], after: int) -> Place:
        """Add what the stream does not have; its new end."""
        if end.position < after:
            raise Behind(end.position)
        missing = [message for message in messages if message.position > end.position]
        if len(missing) < len(messages):
            await self._refuse_another_log(stream, messages[len(messages) - len(missing) - 1])
        for chunk in batched(missing, MOST_AT_ONCE):
            end = Place(chunk[-1].position, await self._send(stream, chunk, end.sequence))
        return end

    async def _send(self, stream: Stream, messages: Sequence[Message], sequence: int) -> int:
        """One atomic batch after `sequence`; the sequence of its last message."""
        client = await self._connected()
        batch = uuid.uuid4().hex
        for number, message in enumerate(messages, 1):
            headers = {"Content-Type": STRUCTURED, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
            if number == 1:
                headers["Nats-Expected-Last-Sequence"] = str(sequence)
            body = to_body(message)
            if len(body) + HEADER_BYTES > client.max_payload:
                raise BusUnavailable(
                    f"the event at position {message.position} has {len(body):,} bytes, and the NATS server takes "
                    f"{client.max_payload:,} a message: raise its max_payload"
                )
            if number < len(messages):
                await client.publish(stream.subject, body, headers=headers)
            else:
                headers["Nats-Batch-Commit"] = "1"
                answer = await client.request(stream.subject, body, headers=headers, timeout=ANSWER_SECONDS)
        return int(_checked(answer)["seq"])

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
            state = (await self._ask(f"STREAM.INFO.{stream.name}"))["state"]
        except Refused as error:
            if error.code != NO_STREAM:
                raise
            state = await self._create(stream)
        newest = await self._get(stream, state["last_seq"]) if state["messages"] else None
        return Place(_position(newest) if newest else 0, state["last_seq"])

    async def _create(self, stream: Stream) -> dict[str, Any]:
        _, options = self._address()
        wanted = {
            "name": stream.name,
            "subjects": [stream.subject],
            "retention": "limits",
            "storage": "file",
            "num_replicas": int(options.get("replicas", 1)),
            "allow_direct": True,
            "allow_atomic": True,
        }
        made = await self._ask(f"STREAM.CREATE.{stream.name}", wanted)
        if not made["config"].get("allow_atomic"):
            raise BusUnavailable("the NATS server is too old for atomic batches: use 2.12 or newer")
        return dict(made["state"])

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
            state = (await self._ask(f"STREAM.INFO.{stream.name}"))["state"]
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
        client = await self._connected()
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
                await self._ask(f"STREAM.PURGE.{stream.name}", {"seq": first})

    async def _wipe(self) -> None:
        for stream in self._streams:
            stream.end = stream.read = None
        # At most 256 streams of ours; an account with more than one answer's worth of others shows them in pages.
        names: list[str] = []
        while page := (await self._ask("STREAM.NAMES", {"offset": len(names)}))["streams"] or []:
            names += page
        for name in names:
            if is_of(name, self._name):
                await self._delete(name)

    async def _delete(self, name: str) -> None:
        try:
            await self._ask(f"STREAM.DELETE.{name}")
        except Refused as error:
            if error.code != NO_STREAM:
                raise

    async def _ask(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call of JetStream's API. Raises Refused."""
        client = await self._connected()
        payload = json.dumps(body or {}).encode()
        return _checked(await client.request(f"$JS.API.{call}", payload, timeout=ANSWER_SECONDS))

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                await self._disconnect()
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> Client:
        servers, options = self._address()
        client, problems = Client(), list[str]()

        async def note(error: Exception) -> None:
            problems.append(str(error))

        try:
            await client.connect(
                servers,
                name="rustok",
                # The next call connects anew, and a call in between is told at once.
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS,
                error_cb=note,
                tls=_tls(options),
                user_credentials=options.get("credentials"),
            )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            await client.close()
            raise BusUnavailable("; ".join(dict.fromkeys([*problems, str(error)]))) from error
        return client

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            await client.close()

    def _address(self) -> tuple[list[str], dict[str, str]]:
        """The servers and the options of the URL, read anew because a file may have changed."""
        url = self._url
        if url.startswith("file://"):
            url = Path(unquote(urlsplit(url).path)).read_text().strip()
        servers, _, query = url.partition("?")
        return servers.split(","), dict(parse_qsl(query))

    def _wait_for[T](self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._running_loop())
        try:
            return future.result(4 * ANSWER_SECONDS)
        except (nats.errors.Error, Refused, OSError, TimeoutError) as error:
            future.cancel()
            raise BusUnavailable(str(error) or type(error).__name__) from error

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None or self._pid != os.getpid():  # threads do not survive a fork
                self._loop, self._pid, self._client = asyncio.new_event_loop(), os.getpid(), None
                # A lock belongs to the loop it was first waited for in.
                self._connecting = asyncio.Lock()
                for stream in self._streams:
                    stream.publishing = asyncio.Lock()
                self._thread = threading.Thread(target=_run, args=[self._loop], name="nats", daemon=True)
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.run_until_complete(_finish())
    loop.close()


async def _finish() -> None:
    """Let what a closed client has left end properly."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)  # sockets are closed in the turn after


def _tls(options: dict[str, str]) -> ssl.SSLContext | None:
    if not {"ca", "cert"} & options.keys():
        return None
    context = ssl.create_default_context(cafile=options.get("ca"))
    if "cert" in options:
        context.load_cert_chain(options["cert"], options.get("key"))
    return context


def _checked(answer: Msg) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(answer.data)
    if "error" in decoded:
        raise Refused(decoded["error"])
    return decoded


def to_body(message: Message) -> bytes:
    """One JSON object; the data are JSON as they are and stay byte for byte what they were."""
    attributes = orjson.dumps({name: value for name, value in message.fields.items() if name != "data"})
    data = message.fields.get("data")
    return attributes if data is None else b"%b%b%b}" % (attributes[:-1], DATA, data.encode())


def _to_message(entry: Msg) -> Message:
    attributes, has_data, data = entry.data.partition(DATA)
    fields: dict[str, str] = orjson.loads(attributes + b"}" if has_data else attributes)
    position = int(fields["position"])
    return Message(position, fields | {"data": data[:-1].decode()} if has_data else fields)


def _position(entry: Msg) -> int:
    return _to_message(entry).position


def _sequence(entry: Msg) -> int:
    return int((entry.headers or {})["Nats-Sequence"])
