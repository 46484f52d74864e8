"""What Valkey keeps of a tenant: the keys that name it or one of its hosts, and the events on the bus."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

import redis
from django.conf import settings

from apps.events import bus
from apps.kernel import errors
from apps.outbox import archived, readers, relay, sequencer

SCAN = 1000


class CacheUnreachable(errors.Conflict):
    """Without Valkey nobody can say what it still keeps."""

    code = "cache_unreachable"


def delete_keys(tenant_id: uuid.UUID, hosts: Sequence[str]) -> int:
    """Delete every key with the tenant's id or one of its hosts in its name; how many. Raises CacheUnreachable."""
    return sum(int(client.unlink(*keys)) for client, keys in _found(tenant_id, hosts))


def count_keys(tenant_id: uuid.UUID, hosts: Sequence[str]) -> int:
    """How many such keys there are. Raises CacheUnreachable."""
    return sum(len(keys) for _, keys in _found(tenant_id, hosts))


def empty_bus() -> bool:
    """Have the bus filled anew from the log, where tombstones stand, with what its readers still need.

    False when it is away: it is filled by the relay, which has only tombstones to give.
    """
    slowest = readers.slowest()
    start = max(sequencer.head() if slowest is None else slowest, archived.cold_until()) + 1
    try:
        relay.refill(bus.default(), start=min(start, sequencer.head() + 1))
    except bus.BusUnavailable:
        return False
    return True


def _found(tenant_id: uuid.UUID, hosts: Sequence[str]) -> Iterator[tuple[redis.Redis, list[bytes]]]:
    """Keys in batches, with the connection to their database: that of the bus and nudges, and that of the cache."""
    try:
        for url in (settings.VALKEY_URL, str(settings.CACHES["default"]["LOCATION"])):
            with redis.Redis.from_url(url) as client:
                for name in (str(tenant_id), *hosts):
                    keys = list(client.scan_iter(match=f"*{_escaped(name)}*", count=SCAN))
                    if keys:
                        yield client, keys
    except redis.RedisError as error:
        raise CacheUnreachable(f"Valkey can't be asked for what it keeps ({error}); run it again.") from error


def _escaped(name: str) -> str:
    return "".join(f"\\{character}" if character in "*?[]^\\" else character for character in name)
