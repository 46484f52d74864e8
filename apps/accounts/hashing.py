"""Password hashes: argon2id with OWASP's parameters, and no more of them at once than the machine's memory bears."""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import argon2
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from prometheus_client import Counter

from apps.kernel import errors, wording

WAIT_SECONDS = 3.0
RETRY_AFTER_SECONDS = 5
NO_MEMORY = argon2.low_level.error_to_str(-22)  # ARGON2_MEMORY_ALLOCATION_ERROR
BUSY = Counter("rustok_accounts_hashes_refused_total", "Password hashes that found no free slot in time, or no memory.")


class Busy(errors.DomainError):
    """As many passwords as the machine can hash at once are being hashed, and it stayed so while we waited; or the
    memory for one more was not to be had."""

    code = "login_busy"
    status = 503
    title = "Too many logins at once"


class SlottedArgon2Hasher(Argon2PasswordHasher):
    """argon2id, m=19 MiB, t=2, p=1: OWASP's floor, about 20 ms. Each hash holds a slot. Raises Busy."""

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return _hash_apart(lambda: super(SlottedArgon2Hasher, self).encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        """Django's own takes a hash that found no memory for one that does not fit."""
        return _hash_apart(lambda: _fits(password, f"${encoded.partition('$')[2]}"))


def _fits(password: str, encoded: str) -> bool:
    try:
        return argon2.PasswordHasher().verify(encoded, password)
    except argon2.exceptions.VerifyMismatchError:
        return False


def _hash_apart[Result](work: Callable[[], Result]) -> Result:
    """Hash in a slot, on one of as many threads of this process.

    The allocator keeps the memory of a hash for each thread that has ever made one: forty threads of a web server
    would keep 40 times 19 MiB, however few of them hash at once.
    """
    with slot():
        try:
            return _threads(os.getpid(), settings.PASSWORD_HASH_SLOTS).submit(work).result()
        except (argon2.exceptions.HashingError, argon2.exceptions.VerificationError) as error:
            if str(error) != NO_MEMORY:
                raise
            raise _busy() from error


@cache
def _threads(process: int, count: int) -> ThreadPoolExecutor:
    """Of this process: threads do not survive a fork."""
    return ThreadPoolExecutor(count, thread_name_prefix="hashing")


@contextmanager
def slot() -> Iterator[None]:
    """Hold one of the machine's PASSWORD_HASH_SLOTS for the block, waiting briefly for it. Raises Busy.

    A slot is a lock on a file, so it counts over all processes and is free again when its holder is killed.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while (held := _take_free_slot()) is None:
        if time.monotonic() >= deadline:
            raise _busy()
        time.sleep(random.uniform(0.005, 0.02))  # noqa: S311 - spreads the waiters, protects nothing
    try:
        yield
    finally:
        os.close(held)


def _busy() -> Busy:
    BUSY.inc()
    return Busy(wording.say("Too many logins at once; try again in a few seconds."), retry_after=RETRY_AFTER_SECONDS)


def _take_free_slot() -> int | None:
    """The open file whose lock is ours, or None when all are held."""
    settings.PASSWORD_HASH_DIR.mkdir(parents=True, exist_ok=True)
    for number in range(settings.PASSWORD_HASH_SLOTS):
        opened = os.open(settings.PASSWORD_HASH_DIR / f"slot-{number}", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)
        else:
            return opened
    return None
