"""Who is at the other end of a request, as far as the connection tells."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from django.http import HttpRequest
from rest_framework.request import Request


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
    """The peer of the connection. Headers of proxies are not believed here."""
    agent = request.headers.get("User-Agent", "").replace("\x00", "")
    return Client(address=str(request.META.get("REMOTE_ADDR") or "")[:64], user_agent=agent[:255])
