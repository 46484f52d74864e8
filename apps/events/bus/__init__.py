"""The bus carries positioned events to other processes. It is transport, never the truth: wiping it loses nothing.

contract    what every transport promises        memory      within this process
valkey      Valkey or Redis streams              jetstream   NATS JetStream, over a nats_connection
"""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from apps.events.bus.contract import Batch, Behind, Bus, BusUnavailable, Message

__all__ = ["STREAM", "Batch", "Behind", "Bus", "BusUnavailable", "Message", "connect", "default"]

STREAM = "rustok:events"


def connect(transport: str, *, valkey_url: str = "", nats_url: str = "", shards: int = 1, stream: str = STREAM) -> Bus:
    """The bus of that name. Raises ValueError for an unknown transport: there is no silent fallback."""
    # Only the client of the transport in use is loaded.
    if transport == "valkey":
        import redis

        from apps.events.bus.valkey import ValkeyBus

        client = redis.Redis.from_url(valkey_url, socket_timeout=10, socket_connect_timeout=2)
        return ValkeyBus(client, stream=stream, shards=shards)
    if transport == "nats":
        from apps.events.bus.jetstream import JetStreamBus

        return JetStreamBus(nats_url, stream=stream, shards=shards)
    if transport == "memory":
        from apps.events.bus.memory import MemoryBus

        return MemoryBus(shards=shards)
    raise ValueError(f'unknown events transport "{transport}": use "valkey", "nats" or "memory"')


@lru_cache(maxsize=1)
def default() -> Bus:
    """The bus of this installation, by the settings."""
    return connect(
        settings.EVENTS_TRANSPORT,
        valkey_url=settings.VALKEY_URL,
        nats_url=settings.NATS_URL,
        shards=settings.EVENTS_RELAY_SHARDS,
    )
