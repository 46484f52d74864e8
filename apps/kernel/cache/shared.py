"""Level 2: encoded values in Valkey, the generations that keep old ones out, and the lock between processes.

    rustok:cache:<kind>:generations                              hash: slot → generation
    rustok:cache:<kind>:<schema>:<group>:<generation>:<entry>    string: <moment it is stale>:<value>
    rustok:cache:<kind>:absent:<slot>                            string: <generation>:<name>, a known absence
    rustok:cache:<kind>:<schema>:lock:<name>                     string: token of the process that loads

A generation is drawn from the clock of the server, so that one that was lost never comes back. Groups and absences
share a fixed number of slots: however many names are asked for, there are no more keys than that. Two groups in one
slot are dropped together, and two absences displace each other; both cost a load and nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.kernel.breaker import Breaker
from apps.kernel.cache import measures
from apps.kernel.cache.memory import slot_of

log = structlog.get_logger(__name__)

PREFIX = "rustok:cache"
# One call that hangs is the most a request loses: then nobody asks for a while.
DEADLINE_SECONDS = 0.025
OPEN_SECONDS = 1.0
# More than a process has threads: none of them is to look as if Valkey were gone.
MOST_CONNECTIONS = 10_000

# ARGV: slot, start of the value's key, entry, name, token, lease in ms. KEYS: generations, absence, lock.
# Answers the generation, what there is, its value, for how many ms it is fresh, and whether the caller is to load.
_READ = """
local generation = redis.call('HGET', KEYS[1], ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
if not generation then
    generation = string.format('%.0f', now)
    redis.call('HSET', KEYS[1], ARGV[1], generation)
end
local value, fresh, what = '', 0, 'nothing'
local found = redis.call('GET', ARGV[2] .. generation .. ':' .. ARGV[3])
if found then
    local colon = string.find(found, ':', 1, true)
    what, value = 'value', string.sub(found, colon + 1)
    fresh = tonumber(string.sub(found, 1, colon - 1)) - math.floor(now / 1000)
elseif redis.call('GET', KEYS[2]) == generation .. ':' .. ARGV[4] then
    what, fresh = 'absence', redis.call('PTTL', KEYS[2])
end
local leads = false
if fresh <= 0 then leads = redis.call('SET', KEYS[3], ARGV[5], 'NX', 'PX', ARGV[6]) end
return {generation, what, value, fresh, leads and 1 or 0}
"""
# ARGV: slot, the generation that was read before the load, token, 'value' or 'absence', fresh ms, kept ms, value, name.
# KEYS: generations, the value, absence, lock. The lock is given back only by the one who holds it. It does not decide
# who may store, since a late holder's value is as right as any of its generation.
_STORE = """
if redis.call('GET', KEYS[4]) == ARGV[3] then redis.call('DEL', KEYS[4]) end
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[4] == 'value' then
    local clock = redis.call('TIME')
    local stale_at = math.floor(clock[1] * 1000 + clock[2] / 1000) + ARGV[5]
    redis.call('SET', KEYS[2], string.format('%.0f', stale_at) .. ':' .. ARGV[7], 'PX', ARGV[6])
else
    redis.call('UNLINK', KEYS[2])
    redis.call('SET', KEYS[3], ARGV[2] .. ':' .. ARGV[8], 'PX', ARGV[6])
end
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
# KEYS: generations. ARGV: channel, kind, start of the values' keys, then slot and group by turns.
_INVALIDATE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local told = ARGV[2]
for position = 4, #ARGV, 2 do
    local slot, group = ARGV[position], ARGV[position + 1]
    local before = redis.call('HGET', KEYS[1], slot)
    if before then redis.call('UNLINK', ARGV[3] .. group .. ':' .. before .. ':') end
    redis.call('HSET', KEYS[1], slot, string.format('%.0f', math.max(now, (tonumber(before) or 0) + 1)))
    told = told .. string.char(10) .. group
end
redis.call('PUBLISH', ARGV[1], told)
"""


class Unavailable(Exception):
    """Valkey did not answer in time, or has not lately; the caller does without."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Valkey knows. `token` is set for the one who is to load; `generation` goes back with the value."""

    generation: bytes
    what: str
    value: bytes
    fresh_seconds: float
    token: str | None

    @property
    def is_fresh(self) -> bool:
        return self.fresh_seconds > 0


class Shared:
    """The values of one kind in Valkey. Everything raises Unavailable, within the deadline."""

    def __init__(self, *, kind: str, schema: str, lease_seconds: float) -> None:
        self._kind = kind
        self._values = f"{PREFIX}:{kind}:{schema}"
        self._generations = f"{PREFIX}:{kind}:generations"
        self._lease = round(lease_seconds * 1000)

    def read(self, group: str, entry: str) -> Answer:
        """What there is; the lock is taken where nothing fresh is and nobody has it."""
        slot, token = slot_of(group), secrets.token_hex(8)
        generation, what, value, fresh, leads = link().run(
            _READ,
            keys=[self._generations, self._absence(group, entry), self._lock(group, entry)],
            args=[slot, f"{self._values}:{group}:", entry, _name(group, entry), token, self._lease],
        )
        return Answer(generation, what.decode(), value, fresh / 1000, token if leads else None)

    def store(
        self,
        group: str,
        entry: str,
        value: bytes | None,
        *,
        seen: Answer,
        fresh_seconds: float,
        kept_seconds: float,
    ) -> bool:
        """Keep what was loaded, None for an absence, and give back the lock; False when the generation has changed."""
        generation = seen.generation.decode()
        stored = link().run(
            _STORE,
            keys=[
                self._generations,
                f"{self._values}:{group}:{generation}:{entry}",
                self._absence(group, entry),
                self._lock(group, entry),
            ],
            args=[
                slot_of(group),
                generation,
                seen.token or "",
                "absence" if value is None else "value",
                round(fresh_seconds * 1000),
                round(kept_seconds * 1000),
                value or b"",
                _name(group, entry),
            ],
        )
        return bool(stored)

    def release(self, group: str, entry: str, token: str) -> None:
        """Give back the lock after a load that failed, if it is still ours."""
        link().run(_RELEASE, keys=[self._lock(group, entry)], args=[token])

    def invalidate(self, groups: Sequence[str]) -> None:
        """A new generation for each of them, and all processes are told."""
        slots_and_groups = [part for group in groups for part in (slot_of(group), group)]
        link().run(
            _INVALIDATE,
            keys=[self._generations],
            args=[channel(), self._kind, f"{self._values}:", *slots_and_groups],
        )

    def _absence(self, group: str, entry: str) -> str:
        return f"{PREFIX}:{self._kind}:absent:{slot_of(_name(group, entry))}"

    def _lock(self, group: str, entry: str) -> str:
        return f"{self._values}:lock:{_name(group, entry)}"


class Link:
    """This process' way to Valkey: short deadlines, no retry, and a breaker over all kinds."""

    def __init__(self) -> None:
        self.client = redis.Redis.from_url(
            settings.CACHE_URL,
            socket_timeout=DEADLINE_SECONDS,
            socket_connect_timeout=DEADLINE_SECONDS,
            retry=Retry(NoBackoff(), 0),
            max_connections=MOST_CONNECTIONS,
        )
        self._scripts = {
            source: self.client.register_script(source) for source in (_READ, _STORE, _RELEASE, _INVALIDATE)
        }
        self.breaker = Breaker(open_seconds=OPEN_SECONDS, tell=_tell)

    def run(self, source: str, *, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        if not self.breaker.allows():
            raise Unavailable
        try:
            answer = self._scripts[source](keys=keys, args=args)
        except (redis.RedisError, OSError) as error:
            self.breaker.failed()
            raise Unavailable from error
        self.breaker.succeeded()
        return answer


@lru_cache(maxsize=1)
def link() -> Link:
    return Link()


@lru_cache(maxsize=1)
def channel() -> str:
    """Channels are the same in all databases of a server; this one is ours only."""
    return f"{PREFIX}:invalidations:{link().client.connection_pool.connection_kwargs.get('db', 0)}"


def _name(group: str, entry: str) -> str:
    return f"{group}:{entry}"


def _tell(is_open: bool) -> None:
    measures.IS_DEGRADED.set(int(is_open))
    if is_open:
        log.warning("cache.degraded", hint="Valkey does not answer; values come from memory and from their source")
    else:
        log.info("cache.recovered")
