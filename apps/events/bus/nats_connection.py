"""A connection to NATS for callers without asyncio: its client lives in an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from apps.events.bus.contract import BusUnavailable

ANSWER_SECONDS = 10.0
CONNECT_SECONDS = 2
OLDEST_SERVER = (2, 11)  # reads in batches
URL_OPTIONS = {"ca", "cert", "key", "credentials", "replicas"}
MOST_REPLICAS = 5


class Refused(Exception):
    """JetStream answered with an error; `code` is its err_code."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.code = error.get("err_code", 0)
        super().__init__(f"JetStream: {error.get('description', error)}")


class Connection:
    """Made at the first call, and anew by the next one after it broke.

    `url` is `nats://` or `tls://`, with `user:password@` or `token@` where needed, several servers separated by commas,
    and may end with the options `?ca=FILE&cert=FILE&key=FILE&credentials=FILE&replicas=N`. `file:///path` names a file
    that has the URL in it. Raises ValueError for other options.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        _check_options(_split(url)[1])
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._starting = threading.Lock()

    @property
    def replicas(self) -> int:
        """How many servers are to keep each stream."""
        return int(self._address()[1].get("replicas", 1))

    def wait_for[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the loop; its result. What goes wrong on the way raises BusUnavailable."""
        future = asyncio.run_coroutine_threadsafe(work, self._running_loop())
        try:
            return future.result(4 * ANSWER_SECONDS)
        except (nats.errors.Error, Refused, OSError, TimeoutError) as error:
            future.cancel()
            raise BusUnavailable(str(error) or type(error).__name__) from error

    async def client(self) -> Client:
        """The connected client, for one call."""
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                await self._disconnect()
                self._client = await self._connect()
            return self._client

    async def ask(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call of JetStream's API. Raises Refused."""
        client = await self.client()
        payload = json.dumps(body or {}).encode()
        return checked(await client.request(f"$JS.API.{call}", payload, timeout=ANSWER_SECONDS))

    def close(self) -> None:
        if self._loop is None or self._pid != os.getpid():
            return
        self.wait_for(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop = None

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
        version = client.connected_server_version
        if (version.major, version.minor) < OLDEST_SERVER:
            await client.close()
            found, oldest = (".".join(map(str, parts)) for parts in ((version.major, version.minor), OLDEST_SERVER))
            raise BusUnavailable(f"the NATS server is {found}: reading in batches needs {oldest} or newer")
        return client

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            await client.close()

    def _address(self) -> tuple[list[str], dict[str, str]]:
        """The servers and the options, read anew because a file may have changed."""
        is_file = self._url.startswith("file://")
        return _split(Path(unquote(urlsplit(self._url).path)).read_text().strip() if is_file else self._url)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None or self._pid != os.getpid():  # threads do not survive a fork
                self._loop, self._pid, self._client = asyncio.new_event_loop(), os.getpid(), None
                self._connecting = asyncio.Lock()  # belongs to the loop it is first waited for in
                self._thread = threading.Thread(target=_run, args=[self._loop], name="nats", daemon=True)
                self._thread.start()
            return self._loop


def checked(answer: Msg) -> dict[str, Any]:
    """What JetStream answered. Raises Refused."""
    decoded: dict[str, Any] = json.loads(answer.data)
    if "error" in decoded:
        raise Refused(decoded["error"])
    return decoded


def _split(url: str) -> tuple[list[str], dict[str, str]]:
    servers, _, query = url.partition("?")
    return servers.split(","), dict(parse_qsl(query))


def _check_options(options: dict[str, str]) -> None:
    if unknown := sorted(options.keys() - URL_OPTIONS):
        raise ValueError(f"NATS_URL has the unknown option {', '.join(unknown)}: use {', '.join(sorted(URL_OPTIONS))}")
    replicas = options.get("replicas", "1")
    if not replicas.isdecimal() or not 1 <= int(replicas) <= MOST_REPLICAS:
        raise ValueError(f'NATS_URL has "{replicas}" replicas: use a number from 1 to {MOST_REPLICAS}')


def _tls(options: dict[str, str]) -> ssl.SSLContext | None:
    if not {"ca", "cert"} & options.keys():
        return None
    context = ssl.create_default_context(cafile=options.get("ca"))
    if "cert" in options:
        context.load_cert_chain(options["cert"], options.get("key"))
    return context


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
