"""The lockout: one suite for both stores, and what happens when the shared one is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from django.conf import settings

from apps.accounts import attempts
from apps.accounts.clients import Client
from tests.accounts.conftest import at_once

POLICY = attempts.Policy(first_seconds=100, addresses_free=4)


@dataclass
class Times:
    """Lets waits end: by a clock of our own, or by deleting what Valkey would have let expire."""

    store: Any
    pass_wait: Callable[[], None]

    def take(self, account: str, address: str) -> float:
        """How long this guess has to wait."""
        return float(self.store.take(account, address).wait)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["valkey", "local"])
def times(request: pytest.FixtureRequest) -> Any:
    if request.param == "local":
        clock = Clock()

        def pass_wait() -> None:
            clock.now += attempts.LONGEST_SECONDS

        yield Times(attempts.LocalStore(POLICY, clock=clock), pass_wait)
        return
    with redis.Redis.from_url(settings.VALKEY_URL) as client:

        def end_waits() -> None:
            for key in client.scan_iter("rustok:attempts:*:wait"):
                client.delete(key)

        yield Times(attempts.ValkeyStore(client, POLICY), end_waits)


def test_of_fifty_guesses_at_once_one_is_looked_at(times: Times) -> None:
    waits = at_once(50, lambda _: times.take("1.2.3.4:ann", "1.2.3.4"))

    assert sorted(waits)[0] == 0
    assert sum(wait == 0 for wait in waits) == 1


def test_each_guess_at_an_account_costs_twice_the_wait_of_the_one_before(times: Times) -> None:
    waits = []
    for _ in range(4):
        assert times.take("1.2.3.4:ann", f"a{len(waits)}") == 0
        waits.append(times.take("1.2.3.4:ann", f"a{len(waits)}"))
        times.pass_wait()

    assert waits == pytest.approx([100, 200, 400, 800], abs=20)


def test_the_wait_is_an_hour_at_most(times: Times) -> None:
    for number in range(30):
        assert times.take("1.2.3.4:ann", f"a{number}") == 0
        times.pass_wait()
    times.take("1.2.3.4:ann", "last")

    assert times.take("1.2.3.4:ann", "later") == pytest.approx(3600, abs=20)


def test_an_address_that_tries_many_accounts_waits_too(times: Times) -> None:
    taken = [times.take(f"1.2.3.4:user-{number}", "1.2.3.4") for number in range(6)]

    assert [wait == 0 for wait in taken] == [True] * 4 + [False] * 2
    assert times.take("5.6.7.8:user-9", "5.6.7.8") == 0


def test_nobody_is_locked_out_from_another_address(times: Times) -> None:
    for _ in range(10):
        times.take("6.6.6.6:ann", "6.6.6.6")

    assert times.take("1.2.3.4:ann", "1.2.3.4") == 0


def test_who_was_right_begins_anew_and_who_was_not_looked_at_goes_on(times: Times) -> None:
    times.take("1.2.3.4:ann", "1.2.3.4")
    times.pass_wait()
    times.take("1.2.3.4:ann", "1.2.3.4")
    times.store.give_back("1.2.3.4:ann", "1.2.3.4", was_right=False)

    assert times.take("1.2.3.4:ann", "1.2.3.4") == 0, "no wait for what was not looked at"
    assert times.take("1.2.3.4:ann", "1.2.3.4") == pytest.approx(200, abs=20), "and no count cleared"

    times.store.give_back("1.2.3.4:ann", "1.2.3.4", was_right=True)
    assert times.take("1.2.3.4:ann", "1.2.3.4") == 0
    assert times.take("1.2.3.4:ann", "1.2.3.4") == pytest.approx(100, abs=20)


def test_what_a_wait_refuses_is_counted_until_the_next_guess_that_is_looked_at(times: Times) -> None:
    def refused(account: str) -> int:
        return int(times.store.take(account, "1.2.3.4").refused)

    assert [refused("1.2.3.4:ann") for _ in range(4)] == [0, 1, 2, 3]
    times.pass_wait()
    assert [refused("1.2.3.4:ann") for _ in range(2)] == [3, 1]


def test_an_address_that_has_to_wait_is_refused_once_whatever_accounts_it_names(times: Times) -> None:
    for number in range(POLICY.addresses_free):
        times.take(f"1.2.3.4:user-{number}", "1.2.3.4")

    refused = [times.store.take(f"1.2.3.4:other-{number}", "1.2.3.4").refused for number in range(5)]

    assert refused == [1, 2, 3, 4, 5]


def test_the_first_wait_is_a_second_and_ten_guesses_of_an_address_are_free() -> None:
    assert [attempts.NORMAL.account_wait(count) for count in (1, 2, 3, 12, 13)] == [1, 2, 4, 2048, 3600]
    assert [attempts.NORMAL.address_wait(count) for count in (9, 10, 19, 20, 30)] == [0, 1, 1, 2, 4]
    assert attempts.STRICT.account_wait(1) == 30


def test_a_full_local_store_lets_nobody_new_guess() -> None:
    store = attempts.LocalStore(POLICY, largest=4)

    taken = [store.take(f"a{number}", f"b{number}") for number in range(4)]

    assert [decision.wait for decision in taken] == [0, 0, 100, 100]
    assert [decision.refused for decision in taken] == [0, 0, 1, 2]


def test_without_valkey_a_strict_count_of_the_process_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = redis.Redis.from_url("unix:///nowhere/valkey.sock", retry=None)
    monkeypatch.setattr(attempts, "_shared", lambda: attempts.ValkeyStore(nobody, attempts.NORMAL))
    guess = attempts.Guess("staff", "ann@example.test", Client("1.2.3.4"))

    attempts.begin(guess)

    with pytest.raises(attempts.TooManyAttempts) as refused:
        attempts.begin(guess)
    assert 25 <= refused.value.data["retry_after"] <= 30


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "local"),
        ("nonsense", "local"),
    ],
)
def test_addresses_are_counted_as_networks(address: str, network: str) -> None:
    assert Client(address).network == network


def test_an_account_is_the_same_however_its_address_is_spelled() -> None:
    spellings = ("ann@example.test", " Ann@Example.TEST\u00a0")

    assert len({attempts.Guess("staff", who, Client("192.0.2.7")).account_key for who in spellings}) == 1
    assert (
        attempts.Guess("store:1", spellings[0], Client("192.0.2.7")).account_key
        != attempts.Guess("store:2", spellings[0], Client("192.0.2.7")).account_key
    )


def test_no_key_holds_an_address_of_a_person() -> None:
    guess = attempts.Guess("staff", "ann@example.test", Client("192.0.2.7"))
    attempts.begin(guess)

    with redis.Redis.from_url(settings.VALKEY_URL) as client:
        keys = [key.decode() for key in client.scan_iter("rustok:attempts:*")]

    assert keys
    assert not [key for key in keys if "ann" in key]
