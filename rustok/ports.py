"""Which TCP port a development server can have."""

import contextlib
import errno
import socket
import sys
from dataclasses import dataclass

import psutil

TRIED_PORTS = 50


class PortTaken(Exception):
    """The port that was asked for cannot be had; the message names its holder where the system tells."""


@dataclass(frozen=True)
class Reservation:
    """A port promised to us until it is released or the process ends, also against a second checkout."""

    port: int
    _promise: socket.socket

    def release(self) -> None:
        self._promise.close()


def reserve(host: str, port: int) -> Reservation:
    """Take exactly this port. Raises PortTaken."""
    promise = _promise(port)
    problem = _problem(host, port)
    if promise and not problem:
        return Reservation(port, promise)
    problem = problem or "another checkout is about to use it"
    if promise:
        promise.close()
    raise PortTaken(f"Port {port} on {host} cannot be used: {problem}. Set RUSTOK_PORT to another one.")


def reserve_next_free(host: str, port: int) -> Reservation:
    """Take this port or the first free one above it. Raises PortTaken when there is none in reach."""
    for candidate in range(port, min(port + TRIED_PORTS, 65536)):
        # Taken: the next one may be free.
        with contextlib.suppress(PortTaken):
            return reserve(host, candidate)
    raise PortTaken(
        f"No port from {port} to {port + TRIED_PORTS - 1} on {host} is free. Set RUSTOK_PORT to another one."
    )


def _promise(port: int) -> socket.socket | None:
    """An abstract socket as a lock of the whole machine, which the kernel drops with the process. Linux only."""
    promise = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if sys.platform == "linux":
        try:
            promise.bind(f"\0rustok-port-{port}")
        except OSError:
            promise.close()
            return None
    return promise


def _problem(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections that are closing do not matter, a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return _holder(port) if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
    return None


def _holder(port: int) -> str:
    # The holder may be another user's, or gone: then the message does without its name.
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid}) listens on it"
    return "something listens on it"
