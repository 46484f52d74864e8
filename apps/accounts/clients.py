"""Who is at the other end of a request: for counting guesses, and for lists of logins."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from django.http import HttpRequest
from rest_framework.request import Request

from apps.kernel import client


@dataclass(frozen=True, slots=True)
class Client:
    """`address` is an IP address, or empty where there is none, as on a local socket."""

    address: str = ""
    user_agent: str = ""

    @property
    def network(self) -> str:
        """What attempts are counted by: the address, of IPv6 its /64, which one subscriber has to themselves."""
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return "local"
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped:
                return str(address.ipv4_mapped)
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address)


def client_of(request: HttpRequest | Request) -> Client:
    """Who the trusted proxies say it is, or the peer of the connection."""
    found = client.of(getattr(request, "_request", request))
    agent = request.headers.get("User-Agent", "").replace("\x00", "")
    return Client(address=str(found.address or ""), user_agent=agent[:255])
