"""The windows in Valkey: one script asks all policies and counts in all of them or in none.

    rustok:{limits}:<policy>:<who>     hash: moment it stops to count, in µs → how much of it

A moment is the end of the window after the request, rounded up to the policy's step. With a step of 1 µs that is an
exact log of requests; with one of seconds it is as many numbers as the window has steps, whatever the limit. Either way
what was admitted in any window is never more than the limit, and what is refused would also be refused by an exact log
of a window longer by one step.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.retry import Retry

from apps.kernel.breaker import Breaker
from apps.kernel.limits import measures
from apps.kernel.limits.policies import WINDOW_SECONDS, Charge, Standing

log = structlog.get_logger(__name__)

# To connect and to answer: together they are the most that an absent Valkey costs a request.
DEADLINE_SECONDS = 0.025
OPEN_SECONDS = 1.0
_WINDOW = WINDOW_SECONDS * 1_000_000

# ARGV: the moment in µs or '' for the server's clock, which is the same for all processes; the window in µs; then
# limit, cost and step of each key. Answers for each key: what is left, µs to wait, and whether it is over.
_TAKE = """
local now, window = tonumber(ARGV[1]), tonumber(ARGV[2])
if not now then
    local clock = redis.call('TIME')
    now = clock[1] * 1000000 + clock[2]
end
local answer, is_admitted, moments = {}, true, {}
for index, key in ipairs(KEYS) do
    local limit, cost, step = tonumber(ARGV[3 * index]), tonumber(ARGV[3 * index + 1]), tonumber(ARGV[3 * index + 2])
    local entries, counted, first = {}, 0, nil
    local stored = redis.call('HGETALL', key)
    for place = 1, #stored, 2 do
        local ends, count = tonumber(stored[place]), tonumber(stored[place + 1])
        if ends > now then
            entries[#entries + 1] = {ends, count}
            counted = counted + count
            if not first or ends < first then first = ends end
        else
            redis.call('HDEL', key, stored[place])
        end
    end
    moments[index] = math.ceil((now + window) / step) * step
    local excess, changes = counted + cost - limit, first or moments[index]
    if excess > 0 then
        is_admitted = false
        table.sort(entries, function(one, other) return one[1] < other[1] end)
        local place, gone = 1, entries[1][2]
        while gone < excess do
            place = place + 1
            gone = gone + entries[place][2]
        end
        changes = entries[place][1]
    end
    answer[3 * index - 2] = limit - counted
    answer[3 * index - 1] = changes - now
    answer[3 * index] = excess > 0 and 1 or 0
end
for index, key in ipairs(KEYS) do
    if is_admitted then
        local cost, step = tonumber(ARGV[3 * index + 1]), tonumber(ARGV[3 * index + 2])
        local counted = redis.call('HINCRBY', key, string.format('%.0f', moments[index]), cost)
        if counted == cost then redis.call('PEXPIRE', key, math.ceil((window + step) / 1000)) end
        answer[3 * index - 2] = answer[3 * index - 2] - cost
    end
    answer[3 * index - 2] = math.max(0, answer[3 * index - 2])
end
return answer
"""


_TAKE_SHA = hashlib.sha1(_TAKE.encode(), usedforsecurity=False).hexdigest()


class Unavailable(Exception):
    """Valkey did not answer in time, or has not lately; the caller decides by itself."""


class Shared:
    """This process' way to the windows of all: a short deadline, no retry, and a breaker."""

    def __init__(self) -> None:
        self._pool = redis.ConnectionPool.from_url(
            settings.VALKEY_URL,
            socket_timeout=DEADLINE_SECONDS,
            socket_connect_timeout=DEADLINE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._idle: list[ConnectionInterface] = []
        self._breaker = Breaker(open_seconds=OPEN_SECONDS, tell=_tell)

    def take(self, charges: Sequence[Charge], *, now_microseconds: int | None = None) -> list[Standing]:
        """Ask all and count in all or none. Raises Unavailable. Only tests have a clock of their own."""
        if not self._breaker.allows():
            raise Unavailable
        arguments: list[str | int] = ["" if now_microseconds is None else now_microseconds, _WINDOW]
        for charge in charges:
            arguments += [charge.limit, charge.cost, charge.step_microseconds]
        try:
            answer = self._run([charge.key for charge in charges], arguments)
        except (redis.RedisError, OSError) as error:
            self._breaker.failed()
            raise Unavailable from error
        self._breaker.succeeded()
        return [
            Standing(charge, answer[3 * index], answer[3 * index + 1] / 1_000_000, bool(answer[3 * index + 2]))
            for index, charge in enumerate(charges)
        ]

    def _run(self, keys: Sequence[str], arguments: Sequence[str | int]) -> list[Any]:
        """The script's answer.

        Every request passes here. The client's own way costs another system call, to see whether the connection is
        still good, and as much processor time again; here an idle one is just tried, and a new one after it.
        """
        while self._idle:
            with suppress(IndexError, redis.ConnectionError):  # another thread was faster, or the server was restarted
                return self._run_on(self._idle.pop(), keys, arguments)
        return self._run_on(self._pool.make_connection(), keys, arguments)

    def _run_on(
        self, connection: ConnectionInterface, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> list[Any]:
        try:
            try:
                answer = _call(connection, "EVALSHA", _TAKE_SHA, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                answer = _call(connection, "EVAL", _TAKE, len(keys), *keys, *arguments)
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call] # its next answer would be that of this call
            raise
        self._idle.append(connection)
        return answer


def _call(connection: ConnectionInterface, *command: str | int) -> list[Any]:
    connection.send_command(*command, check_health=False)  # type: ignore[no-untyped-call]
    answer: list[Any] = connection.read_response()
    return answer


@lru_cache(maxsize=1)
def windows() -> Shared:
    return Shared()


os.register_at_fork(after_in_child=windows.cache_clear)  # two processes must not share a connection


def _tell(is_open: bool) -> None:
    measures.IS_DEGRADED.set(int(is_open))
    if is_open:
        log.warning("limits.degraded", hint="Valkey does not answer; each process limits by itself")
    else:
        log.info("limits.recovered")
