"""Logins as they are in production: real hashes, a clean count of guesses, and many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection

from apps.accounts import attempts

# As NORMAL, but slower than any machine the tests run on: no wait ends by itself in the middle of a test.
UNHURRIED = attempts.Policy(first_seconds=100, addresses_free=attempts.NORMAL.addresses_free)


@pytest.fixture(autouse=True)
def no_guesses_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits and nobody has been counted."""
    with redis.Redis.from_url(django_settings.VALKEY_URL) as client:
        store = attempts.ValkeyStore(client, UNHURRIED)
        monkeypatch.setattr(attempts, "_shared", lambda: store)
        cache.clear()
        attempts._local._counts.clear()
        for key in client.scan_iter("rustok:attempts:*"):
            client.delete(key)
        yield


@pytest.fixture
def real_hashes(settings: Any, tmp_path: Path) -> None:
    """The hasher of production, with slots nobody else holds."""
    settings.PASSWORD_HASHERS = ["apps.accounts.hashing.SlottedArgon2Hasher"]
    settings.PASSWORD_HASH_DIR = tmp_path


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """The results of `work(number)` in threads that start together; an error is the result of its thread."""
    results: list[Any] = [None] * count
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            barrier.wait()
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# What needs Django is brought in late: processes of the tests of hashing import this without it.
@pytest.fixture
def tenant(db: None) -> Any:
    from tests import factories

    return factories.make_tenant(default_locale="en", locales=["de"], currency="EUR")


@pytest.fixture
def at_work(tenant: Any) -> Iterator[Any]:
    from tests import factories

    with factories.at_work(tenant) as entered:
        yield entered
