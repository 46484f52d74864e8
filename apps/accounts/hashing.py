"""Password hashes: argon2id with OWASP's parameters, and no more of them at once than the machine's memory bears."""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from prometheus_client import Counter

from apps.kernel import errors, wording

WAIT_SECONDS = 3.0
RETRY_AFTER_SECONDS = 5
BUSY = Counter("rustok_accounts_hashes_refused_total", "Password hashes that found no free slot in time.")


class Busy(errors.DomainError):
    """As many passwords as the machine can hash at once are being hashed, and it stayed so while we waited."""

    code = "login_busy"
    status = 503
    title = "Too many logins at once"


class SlottedArgon2Hasher(Argon2PasswordHasher):
    """argon2id, m=19 MiB, t=2, p=1: OWASP's floor, about 20 ms. Each hash holds a slot. Raises Busy."""

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with slot():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with slot():
            return super().verify(password, encoded)


@contextmanager
def slot() -> Iterator[None]:
    """Hold one of the machine's PASSWORD_HASH_SLOTS for the block, waiting briefly for it. Raises Busy.

    A slot is a lock on a file, so it counts over all processes and is free again when its holder is killed.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while (held := _take_free_slot()) is None:
        if time.monotonic() >= deadline:
            BUSY.inc()
            raise Busy(
                wording.say("Too many logins at once; try again in a few seconds."), retry_after=RETRY_AFTER_SECONDS
            )
        time.sleep(random.uniform(0.005, 0.02))  # noqa: S311 - spreads the waiters, protects nothing
    try:
        yield
    finally:
        os.close(held)


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
