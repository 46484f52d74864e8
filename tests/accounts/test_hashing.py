"""Passwords are hashed as OWASP asks, and never more of them at once than there are slots, over all processes."""

from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import argon2
import pytest
from django.contrib.auth.hashers import check_password, make_password

from apps.accounts import hashing
from tests.accounts.conftest import at_once

pytestmark = pytest.mark.usefixtures("real_hashes")


def test_the_parameters_are_owasps_floor() -> None:
    encoded = make_password("a fine password")

    assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert check_password("a fine password", encoded)
    assert not check_password("a fine passwore", encoded)


def test_a_flood_of_logins_never_hashes_more_at_once_than_there_are_slots(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PASSWORD_HASH_SLOTS = 3
    encoded = make_password("right")
    lock, at_work, most = threading.Lock(), 0, 0
    verify = hashing._fits

    def counted(password: str, stored: str) -> bool:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        try:
            return verify(password, stored)
        finally:
            with lock:
                at_work -= 1

    monkeypatch.setattr(hashing, "_fits", counted)
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 60)
    results = at_once(100, lambda number: check_password("right", encoded))

    assert results == [True] * 100
    assert most == 3, "all slots were used, and no more"


def test_a_hash_that_finds_no_memory_is_busy_and_no_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = make_password("right")

    def no_memory(*_: Any) -> bool:
        raise argon2.exceptions.VerificationError(hashing.NO_MEMORY)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", no_memory)

    assert hashing.NO_MEMORY == "Memory allocation error"
    with pytest.raises(hashing.Busy):
        check_password("right", encoded)


def test_few_threads_hash_however_many_ask(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PASSWORD_HASH_SLOTS = 2
    encoded, threads = make_password("right"), set()
    verify = hashing._fits

    def noted(password: str, stored: str) -> bool:
        threads.add(threading.get_ident())
        return verify(password, stored)

    monkeypatch.setattr(hashing, "_fits", noted)
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 60)
    at_once(20, lambda _: check_password("right", encoded))

    assert 1 <= len(threads) <= 2


def hold(folder: Path, told: Connection) -> None:
    import django

    django.setup()
    from django.conf import settings

    settings.PASSWORD_HASH_DIR, settings.PASSWORD_HASH_SLOTS = folder, 1
    with hashing.slot():
        told.send("held")
        told.recv()


@pytest.fixture
def holder(settings: Any) -> Any:
    """Another process that holds the only slot until it is killed."""
    settings.PASSWORD_HASH_SLOTS = 1
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=hold, args=(settings.PASSWORD_HASH_DIR, theirs))
    process.start()
    assert ours.poll(30)
    yield process
    process.kill()
    process.join(30)


def test_the_slots_of_another_process_count_and_the_answer_is_to_come_back(
    holder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 0.05)

    with pytest.raises(hashing.Busy) as refused:
        make_password("anything")

    assert refused.value.status == 503
    assert refused.value.data["retry_after"] > 0


def test_a_slot_is_free_again_when_its_holder_is_killed(holder: Any) -> None:
    holder.kill()
    holder.join(30)

    assert make_password("anything").startswith("argon2$")
