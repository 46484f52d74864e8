"""Who is asking, and for which host: read from the connection, and from what proxies say only as far as trusted.

A header can be sent by anybody. What `Forwarded` and `X-Forwarded-*` say counts only when the peer of the connection is
one of the trusted proxies, and then only what trusted proxies added: from right to left, up to the first hop
that is not trusted. That hop is the client. docs/explanation/tenant-resolution.md
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from apps.kernel import errors, wording

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# The proxy of a Unix socket has no address; this word trusts it.
UNIX = "unix"
VARIABLES = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO")

_HOST = re.compile(
    r"(?P<name>[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*|\[[0-9a-f:.]+\])\.?(:\d{1,5})?"
)
# One `name=value` of RFC 7239; the value is a token or a quoted text.
_PAIR = re.compile(r'\s*(?P<name>[a-z]+)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s",;=]+))\s*', re.IGNORECASE)
_LONGEST_HOST = 253
_LONGEST_FORWARDED = 2000


class MalformedHost(errors.DomainError):
    """The request names no host that could exist. Send a `Host` such as shop.example.com."""

    code = "malformed_host"


class MalformedForwarding(errors.DomainError):
    """A trusted proxy sent a forwarding header that can't be read, or two that contradict each other. Its operator must
    mend it."""

    code = "malformed_forwarding"


@dataclass(frozen=True, slots=True)
class Client:
    """`host` is lower case without port; `inner_host` is what the last proxy called us, the same without a proxy.

    `host_as_sent` may have a port. `address` is None when the peer has none.
    """

    address: Address | None
    host: str
    inner_host: str
    host_as_sent: str
    is_secure: bool


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy said about who asked it."""

    address: Address | None = None
    host: str | None = None
    scheme: str | None = None


def find(meta: dict[str, Any], *, trusted: Sequence[str], is_secure: bool = False) -> Client:
    """The client by the CGI variables of a request. Raises MalformedHost, MalformedForwarding."""
    peer = _address(meta.get("REMOTE_ADDR", ""))
    inner_host = meta.get("HTTP_HOST") or meta.get("SERVER_NAME", "")
    address, host, scheme = peer, inner_host, "https" if is_secure else "http"
    if _is_trusted(peer, trusted):
        for hop in _agreed(_by_forwarded(meta, trusted), _by_x_forwarded(meta, trusted)):
            address, host, scheme = hop.address or address, hop.host or host, hop.scheme or scheme
    return Client(address, host_name(host), host_name(inner_host), host, scheme == "https")


def host_name(text: str) -> str:
    """The name in a Host header: lower case, without port and final dot. Raises MalformedHost."""
    match = _HOST.fullmatch(text.lower()) if len(text) <= _LONGEST_HOST + 7 else None
    if match is None or len(match["name"]) > _LONGEST_HOST:
        shown = text if len(text) <= 100 else f"{text[:100]}…"
        raise MalformedHost(
            wording.say(
                '"{value}" is not a host; send one such as shop.example.com, or shop.example.com:8080.', value=shown
            )
        )
    return match["name"]


@lru_cache(maxsize=8)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks of CIDR texts or addresses. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts if text != UNIX)


def _is_trusted(address: Address | None, trusted: Sequence[str]) -> bool:
    if address is None:
        return UNIX in trusted
    return any(address in network for network in networks(tuple(trusted)) if network.version == address.version)


def _agreed(forwarded: _Hop | None, x_forwarded: _Hop | None) -> list[_Hop]:
    """A proxy that knows one of the two families hands the other through as the client sent it: they must agree."""
    if forwarded and x_forwarded:
        for name in ("address", "host", "scheme"):
            ours, theirs = getattr(forwarded, name), getattr(x_forwarded, name)
            if ours and theirs and str(ours).lower() != str(theirs).lower():
                raise MalformedForwarding(
                    wording.say(
                        "Forwarded and X-Forwarded-* name different clients ({ours} and {theirs}); the proxy must "
                        "set or remove both.",
                        ours=ours,
                        theirs=theirs,
                    )
                )
    return [hop for hop in (x_forwarded, forwarded) if hop is not None]


def _by_x_forwarded(meta: dict[str, Any], trusted: Sequence[str]) -> _Hop | None:
    hosts, schemes = _listed(meta, "HTTP_X_FORWARDED_HOST"), _listed(meta, "HTTP_X_FORWARDED_PROTO")
    addresses = [_address(text) for text in _listed(meta, "HTTP_X_FORWARDED_FOR")]
    if not (addresses or hosts or schemes):
        return None
    address, hops = _walk(addresses, trusted)
    scheme = _from_right(schemes, hops)
    return _Hop(address, _from_right(hosts, hops), _scheme(scheme) if scheme else None)


def _by_forwarded(meta: dict[str, Any], trusted: Sequence[str]) -> _Hop | None:
    text = meta.get("HTTP_FORWARDED", "")
    if not text.strip():
        return None
    elements = [_element(part) for part in _split(text, ",")]
    address, hops = _walk([element.address for element in elements], trusted)
    return _Hop(
        address,
        _from_right([element.host for element in elements], hops),
        _from_right([element.scheme for element in elements], hops),
    )


def _walk(addresses: Sequence[Address | None], trusted: Sequence[str]) -> tuple[Address | None, int]:
    """From the right to the first hop that is not trusted, and how many trusted proxies have written, at least one.

    An entry that is no address, such as `unknown`, ends the walk: what stands left of it nobody vouches for.
    """
    found, hops = None, 0
    for address in reversed(addresses):
        if address is None:
            break
        found, hops = address, hops + 1
        if not _is_trusted(address, trusted):
            break
    return found, max(hops, 1)


def _from_right[Value](values: Sequence[Value], hops: int) -> Value | None:
    """What the outermost of so many trusted proxies wrote; those that set a header anew leave a shorter list."""
    return values[-min(hops, len(values))] if values else None


def _element(text: str) -> _Hop:
    facts: dict[str, str] = {}
    for pair in _split(text, ";"):
        match = _PAIR.fullmatch(pair)
        if match is None or match["name"].lower() in facts:
            raise _unreadable(pair)
        facts[match["name"].lower()] = match["token"] or re.sub(r"\\(.)", r"\1", match["quoted"] or "")
    return _Hop(
        _address(facts.get("for", "")), facts.get("host"), _scheme(facts["proto"]) if "proto" in facts else None
    )


def _split(text: str, separator: str) -> list[str]:
    """At separators outside of quotes."""
    parts = re.findall(rf'(?:[^{separator}"]|"(?:[^"\\]|\\.)*")+', text) if len(text) <= _LONGEST_FORWARDED else []
    if separator.join(parts) != text:  # a quote that does not end, or nothing between two separators
        raise _unreadable(text)
    return parts


def _unreadable(text: str) -> MalformedForwarding:
    return MalformedForwarding(
        wording.say(
            'Forwarded: "{text}" can\'t be read; the header looks like for=192.0.2.1;host=shop.example.',
            text=text.strip()[:100],
        )
    )


def _scheme(text: str) -> str:
    if text.lower() not in {"http", "https"}:
        raise MalformedForwarding(wording.say('The forwarded protocol is http or https, not "{text}".', text=text[:20]))
    return text.lower()


def _listed(meta: dict[str, Any], name: str) -> list[str]:
    return [part.strip() for part in meta.get(name, "").split(",") if part.strip()]


def _address(text: str) -> Address | None:
    """`192.0.2.1`, `2001:db8::1`, either with a port as proxies write it, else None; IPv4 in IPv6 as IPv4."""
    bare = text.partition("]")[0].lstrip("[") if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
