"""The lockout: a guess is paid for before it is looked at, and each one costs twice the time of the one before.

Counted per (address, account) and, less strictly, per address; never per account alone, so that nobody can lock out
somebody else. The accounts are told apart by a digest: neither Valkey nor a log learns an e-mail address.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import redis
import structlog
from django.conf import settings
from prometheus_client import Counter

from apps.accounts.clients import Client
from apps.kernel import errors, validation, wording

log = structlog.get_logger(__name__)

LONGEST_SECONDS = 3600.0
ATTEMPTS = Counter("rustok_accounts_attempts_total", "Guesses by decision and store.", ["decision", "store"])


class TooManyAttempts(errors.DomainError):
    """This address has to wait before its next guess; nothing was looked at. Try again after `Retry-After`.

    `refused` is of the `Decision`.
    """

    code = "too_many_attempts"
    status = 429
    title = "Too many attempts"

    def __init__(self, detail: str, *, refused: int, retry_after: int) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds to wait after the first guess at an account, doubled by each further one; every `addresses_free` guesses
    of an address at whatever accounts double a wait of its own."""

    first_seconds: float
    addresses_free: int

    def account_wait(self, count: int) -> float:
        return float(min(LONGEST_SECONDS, self.first_seconds * 2 ** min(count - 1, 20)))

    def address_wait(self, count: int) -> float:
        steps = count // self.addresses_free
        return float(min(LONGEST_SECONDS, self.first_seconds * 2 ** min(steps - 1, 20))) if steps else 0.0


NORMAL = Policy(first_seconds=1, addresses_free=10)
STRICT = Policy(first_seconds=30, addresses_free=3)


@dataclass(frozen=True, slots=True)
class Guess:
    """Somebody at `client` tries a secret of the account named `who`, in the realm `realm`."""

    realm: str
    who: str
    client: Client

    @property
    def account_key(self) -> str:
        named = hashlib.sha256(f"{self.realm}\x00{validation.find_email(self.who)}".encode()).hexdigest()[:32]
        return f"{self.client.network}:{named}"

    @property
    def address_key(self) -> str:
        return f"{self.client.network}:{self.realm.partition(':')[0]}"


@dataclass(frozen=True, slots=True)
class Decision:
    """`wait` is 0 for a guess that may be looked at, else the seconds that are left.

    `refused` counts the guesses refused by that wait, this one included; of a guess that may be looked at, those
    refused by the waits before it. A wait of the address counts whatever accounts were named.
    """

    wait: float
    refused: int


class Store(Protocol):
    def take(self, account: str, address: str) -> Decision:
        """Count a guess and begin its wait; one that has to wait for those before it is not counted as a guess."""

    def give_back(self, account: str, address: str, *, was_right: bool) -> None:
        """Take the guess out of the count and end the wait; one that was right clears the account's count."""


class ValkeyStore:
    """Counts for all processes: one script, so that of many guesses at once one is first."""

    TAKE = """
    local first, free, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
    local of_address = redis.call('PTTL', KEYS[3])
    local left = math.max(redis.call('PTTL', KEYS[1]), of_address)
    if left > 0 then
        local refused_key = KEYS[5]
        if of_address > 0 then refused_key = KEYS[6] end
        local refused = redis.call('INCR', refused_key)
        redis.call('PEXPIRE', refused_key, math.ceil(left + longest * 1000))
        return {left, refused}
    end
    local refused = tonumber(redis.call('GET', KEYS[5]) or '0') + tonumber(redis.call('GET', KEYS[6]) or '0')
    redis.call('DEL', KEYS[5], KEYS[6])
    local function wait(count_key, wait_key, per)
        local count = redis.call('INCR', count_key)
        local steps = math.floor(count / per)
        local seconds = 0
        if steps > 0 then seconds = math.min(longest, first * 2 ^ math.min(steps - 1, 20)) end
        if seconds > 0 then redis.call('SET', wait_key, 1, 'PX', math.ceil(seconds * 1000)) end
        redis.call('PEXPIRE', count_key, math.ceil((seconds + longest) * 1000))
    end
    wait(KEYS[2], KEYS[1], 1)
    wait(KEYS[4], KEYS[3], free)
    return {0, refused}
    """
    GIVE_BACK = """
    redis.call('DEL', KEYS[1], KEYS[3])
    if ARGV[1] == '1' then redis.call('DEL', KEYS[2]) end
    for _, key in ipairs({KEYS[2], KEYS[4]}) do
        if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
    end
    return 0
    """

    def __init__(self, client: redis.Redis, policy: Policy) -> None:
        self._policy = policy
        self._take = client.register_script(self.TAKE)
        self._give_back = client.register_script(self.GIVE_BACK)

    def take(self, account: str, address: str) -> Decision:
        arguments = [self._policy.first_seconds, self._policy.addresses_free, LONGEST_SECONDS]
        milliseconds, refused = self._take(self._keys(account, address), arguments)
        return Decision(int(milliseconds) / 1000, int(refused))

    def give_back(self, account: str, address: str, *, was_right: bool) -> None:
        self._give_back(self._keys(account, address), [int(was_right)])

    def _keys(self, account: str, address: str) -> list[str]:
        prefix = "rustok:attempts"
        return [
            f"{prefix}:account:{account}:wait",
            f"{prefix}:account:{account}:count",
            f"{prefix}:address:{address}:wait",
            f"{prefix}:address:{address}:count",
            f"{prefix}:account:{account}:refused",
            f"{prefix}:address:{address}:refused",
        ]


@dataclass(slots=True)
class _Count:
    number: int = 0
    until: float = 0.0
    refused: int = 0


@dataclass(slots=True)
class LocalStore:
    """Counts for this process. When it is full, nobody new may guess."""

    policy: Policy
    clock: Callable[[], float] = time.monotonic
    largest: int = 10_000
    _counts: dict[str, _Count] = field(default_factory=dict)
    _turned_away: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, account: str, address: str) -> Decision:
        now = self.clock()
        with self._lock:
            self._forget_old(now)
            if len(self._counts) >= self.largest:
                self._turned_away += 1
                return Decision(self.policy.first_seconds, self._turned_away)
            of_account = self._counts.setdefault(f"account:{account}", _Count())
            of_address = self._counts.setdefault(f"address:{address}", _Count())
            left = max(of_account.until, of_address.until) - now
            if left > 0:
                waiting = of_address if of_address.until > now else of_account
                waiting.refused += 1
                return Decision(left, waiting.refused)
            refused = of_account.refused + of_address.refused
            of_account.refused = of_address.refused = 0
            of_account.number += 1
            of_address.number += 1
            of_account.until = now + self.policy.account_wait(of_account.number)
            of_address.until = now + self.policy.address_wait(of_address.number)
        return Decision(0.0, refused)

    def give_back(self, account: str, address: str, *, was_right: bool) -> None:
        with self._lock:
            for key in (f"account:{account}", f"address:{address}"):
                if (count := self._counts.get(key)) is not None:
                    count.number, count.until = max(count.number - 1, 0), 0.0
            if was_right:
                self._counts.pop(f"account:{account}", None)

    def _forget_old(self, now: float) -> None:
        if len(self._counts) >= self.largest:
            self._counts = {key: count for key, count in self._counts.items() if count.until + LONGEST_SECONDS > now}


_local = LocalStore(STRICT)


@lru_cache(maxsize=1)
def _shared() -> ValkeyStore:
    client = redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=0.3, socket_connect_timeout=0.3, retry=None)
    return ValkeyStore(client, NORMAL)


def begin(guess: Guess) -> int:
    """Pay for a guess before anything is looked at; how many were refused before it. Raises TooManyAttempts.

    Without Valkey a strict count of this process alone decides.
    """
    store = "valkey"
    try:
        decision = _shared().take(guess.account_key, guess.address_key)
    except redis.RedisError as error:
        log.warning("accounts.attempts_local", error=str(error))
        store, decision = "local", _local.take(guess.account_key, guess.address_key)
    ATTEMPTS.labels(decision="refused" if decision.wait else "taken", store=store).inc()
    if decision.wait:
        seconds = max(1, int(decision.wait + 0.999))
        detail = wording.say("Too many attempts; try again in {seconds} s.", seconds=seconds)
        raise TooManyAttempts(detail, refused=decision.refused, retry_after=seconds)
    return decision.refused


def was_right(guess: Guess) -> None:
    """The guess was no guess: the account's count is cleared."""
    _give_back(guess, was_right=True)


def was_not_looked_at(guess: Guess) -> None:
    """The guess could not be judged, so it is not counted."""
    _give_back(guess, was_right=False)


def _give_back(guess: Guess, *, was_right: bool) -> None:
    _local.give_back(guess.account_key, guess.address_key, was_right=was_right)
    try:
        _shared().give_back(guess.account_key, guess.address_key, was_right=was_right)
    except redis.RedisError as error:
        log.warning("accounts.attempts_local", error=str(error))
