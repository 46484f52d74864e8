"""The one way out: requests to addresses that others gave us, which must not reach what only we can reach.

A name is resolved once, every address it has is judged, and the connection goes to one that was judged: what a name
server says a moment later no longer counts. Redirects are answers like any other. Everything has an end: connecting,
reading, the whole, and the size. docs/explanation/edge.md
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import structlog
import urllib3
from django.conf import settings
from prometheus_client import Counter, Histogram
from urllib3.exceptions import HTTPError

from apps.kernel import errors, wording

log = structlog.get_logger(__name__)

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Resolver = Callable[[str, int], list[str]]

USER_AGENT = "RusToK"
LONGEST_URL = 2048
_BLOCK = 64 * 1024
_PRIVATE = re.compile(r"(?<=//)[^/]*@|[?#].*", re.DOTALL)
_PORTS = {"https": 443, "http": 80}
_TOO_LONG = wording.say("it took too long")
# What `is_global` takes for the internet and leads back into a network: IPv4 in IPv6, by translation or tunnel.
_TUNNELS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")))

REQUESTS = Counter("rustok_kernel_outbound_requests_total", "Requests to others, by what became of them.", ["outcome"])
SECONDS = Histogram("rustok_kernel_outbound_seconds", "Duration of requests to others.")


class OutboundRefused(errors.DomainError):
    """The address leads where we do not go; nothing was sent."""

    code = "outbound_refused"
    status = 422
    title = "We do not go there"


class OutboundFailed(errors.DomainError):
    """The other side could not be reached, took too long or said too much."""

    code = "outbound_failed"
    status = 502
    title = "The other side did not answer properly"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much, in seconds and bytes; `total` is from resolving the name to the last byte."""

    connect: float = 3.0
    read: float = 5.0
    total: float = 10.0
    size: int = 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; a redirect is one, and is not followed. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _system_resolver(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests within limits. `inside` are networks that may be reached all the same, for tests and own hosts."""

    limits: Limits = Limits()
    schemes: tuple[str, ...] = field(default_factory=lambda: tuple(settings.OUTBOUND_SCHEMES))
    ports: frozenset[int] = frozenset(_PORTS.values())
    inside: tuple[str, ...] = field(default_factory=lambda: tuple(settings.OUTBOUND_INSIDE))
    resolver: Resolver = _system_resolver
    authorities: str | None = None

    def send(
        self,
        method: Literal["GET", "HEAD", "POST", "PUT", "DELETE"],
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Raises OutboundRefused, OutboundFailed."""
        started = time.monotonic()
        try:
            answer = self._send(method, url, body, headers or {}, deadline=started + self.limits.total)
        except errors.DomainError as error:
            REQUESTS.labels(error.code.removeprefix("outbound_")).inc()
            log.warning("outbound.not_done", code=error.code, reason=error.detail)
            raise
        finally:
            SECONDS.observe(time.monotonic() - started)
        REQUESTS.labels("answered").inc()
        return answer

    def check(self, url: str) -> None:
        """Raises OutboundRefused for an address that is refused before its name is resolved."""
        self._split(url)

    def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, deadline: float
    ) -> Answer:
        parts = self._split(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        address = self._address(host, port, deadline)
        target = parts.path.replace(" ", "%20") or "/"
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers, "Host": parts.netloc}
        with self._pool(parts.scheme, address, port, host) as pool, _Deadline(deadline, pool) as watched:
            try:
                answer = pool.urlopen(
                    method,
                    f"{target}?{parts.query}" if parts.query else target,
                    body=body,
                    headers=sent,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
                found = Answer(answer.status, _plain(answer.headers), self._read(answer))
            except (HTTPError, HTTPException, OSError, ValueError) as error:
                reason = _TOO_LONG if watched.is_over else type(error).__name__
                raise _failed(parts.netloc, reason) from error
        if watched.is_over:  # a body without a length ends where the connection does
            raise _failed(parts.netloc, _TOO_LONG)
        return found

    def _split(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _refused(url, wording.say("it is no address")) from None
        if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or "\\" in url:
            template = wording.mark("an address has at most {limit:,} printable ASCII characters and no backslash")
            raise _refused(url, wording.say(template, limit=LONGEST_URL))
        if parts.scheme not in self.schemes:
            raise _refused(url, wording.say("the scheme must be one of {known}", known=", ".join(self.schemes)))
        if not parts.hostname or "@" in parts.netloc or "%" in parts.netloc:
            raise _refused(url, wording.say("it needs a host, and no user or password"))
        if port is not None and port not in self.ports:
            known = ", ".join(map(str, sorted(self.ports)))
            raise _refused(url, wording.say("the port must be one of {known}", known=known))
        return parts

    def _address(self, host: str, port: int, deadline: float) -> Address:
        """The first of the addresses, all of which must be allowed: a name that has others as well is a trap."""
        resolving = _resolvers.submit(self.resolver, host.rstrip("."), port)
        try:
            texts = resolving.result(timeout=max(0.0, deadline - time.monotonic()))
        except (OSError, UnicodeError, TookTooLong) as error:
            raise OutboundFailed(wording.say('The host "{host}" could not be resolved.', host=host)) from error
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in texts]
        if not addresses:
            raise OutboundFailed(wording.say('The host "{host}" has no address.', host=host))
        for address in addresses:
            if not self._may_reach(address):
                said = wording.say('The host "{host}" leads into a network that is not public.', host=host)
                raise OutboundRefused(said)
        return addresses[0]

    def _may_reach(self, address: Address) -> bool:
        if any(address in ipaddress.ip_network(network) for network in self.inside):
            return True
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is not None:
                return self._may_reach(address.ipv4_mapped)
            if any(address in network for network in _TUNNELS):
                return False
            if address.is_site_local:
                return False
        return address.is_global and not (address.is_multicast or address.is_reserved)

    def _pool(self, scheme: str, address: Address, port: int, host: str) -> urllib3.HTTPConnectionPool:
        """Connects to the address that was judged, and takes the certificate of the name that was asked for."""
        timeout = urllib3.Timeout(connect=self.limits.connect, read=self.limits.read)
        if scheme == "http":
            return urllib3.HTTPConnectionPool(str(address), port, timeout=timeout, maxsize=1)
        return urllib3.HTTPSConnectionPool(
            str(address),
            port,
            timeout=timeout,
            maxsize=1,
            cert_reqs="CERT_REQUIRED",
            ca_certs=self.authorities,
            server_hostname=host,
            assert_hostname=host,
        )

    def _read(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        parts, size = [], 0
        try:
            for block in answer.stream(_BLOCK, decode_content=False):
                parts.append(block)
                size += len(block)
                if size > self.limits.size:
                    raise OutboundFailed(
                        wording.say("The answer has more than {limit:,} bytes.", limit=self.limits.size)
                    )
        finally:
            answer.close()
        return b"".join(parts)


class _Deadline:
    """Ends the connections of a request that takes too long, wherever it is waiting.

    A side that sends a byte now and then never exceeds the time for one read.
    """

    def __init__(self, deadline: float, pool: urllib3.HTTPConnectionPool) -> None:
        self.is_over = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._end)
        self._timer.daemon = True
        pool.ConnectionCls = _watched(pool.ConnectionCls, self._sockets)

    def _end(self) -> None:
        self.is_over = True
        for opened in self._sockets:
            with suppress(OSError):  # the other side was faster
                opened.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        for opened in self._sockets:
            opened.close()


def _watched(made: Any, sockets: list[socket.socket]) -> Any:
    """The class of connection that leaves a second handle of each socket in the list: TLS takes the first one away."""

    class Watched(made):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            opened: socket.socket = super()._new_conn()
            sockets.append(opened.dup())
            return opened

    return Watched


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _refused(url: str, reason: str) -> OutboundRefused:
    """Without passwords and query, which are nobody's business."""
    shown = _PRIVATE.sub("", url[:LONGEST_URL]).encode("ascii", "replace").decode()[:200]
    return OutboundRefused(wording.say('"{url}" is not sent to: {reason}.', url=shown, reason=reason))


def _failed(host: str, reason: str) -> OutboundFailed:
    return OutboundFailed(wording.say("{host} did not answer properly: {reason}.", host=host, reason=reason))


_resolvers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="outbound-resolver")
