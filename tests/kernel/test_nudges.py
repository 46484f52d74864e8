"""Nudges: one in flight, coalesced, quiet after a failure, never in the way of a commit."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from apps.kernel import nudges


class RecordingTask:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.was_sent = threading.Event()

    def apply_async(self, **options: Any) -> None:
        self.sent.append(options)
        self.was_sent.set()


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    nudges.taken("test")
    yield
    nudges.taken("test")


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> nudges._Sender:
    """Without its thread: what is wanted waits for `flush`."""
    sender = nudges._Sender()
    sender._thread = threading.current_thread()
    monkeypatch.setattr(nudges, "_sender", sender)
    return sender


@pytest.mark.usefixtures("sender")
def test_one_nudge_is_in_flight_until_a_worker_takes_it() -> None:
    task = RecordingTask()

    for _ in range(5):
        nudges.send(task, "test")
        nudges.flush()
    nudges.taken("test")
    nudges.send(task, "test")
    nudges.flush()

    assert len(task.sent) == 2
    assert task.sent[0]["retry"] is False


def test_a_thread_sends_it_by_itself() -> None:
    task = RecordingTask()

    nudges.send(task, "test")

    assert task.was_sent.wait(5)


@pytest.mark.usefixtures("sender")
def test_after_a_failure_it_stays_silent_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts: list[str] = []

    def refuse(task: Any, name: str) -> None:
        attempts.append(name)
        raise redis.ConnectionError("nobody listens")

    monkeypatch.setattr(nudges, "_send", refuse)
    task = RecordingTask()

    for _ in range(3):
        nudges.send(task, "test")
        nudges.flush()

    assert attempts == ["test"]
    assert task.sent == []


def test_asking_does_not_wait_for_a_valkey_that_is_away(
    monkeypatch: pytest.MonkeyPatch, sender: nudges._Sender
) -> None:
    unreachable = redis.Redis(unix_socket_path="/nonexistent/valkey.sock", retry=None)
    monkeypatch.setattr(nudges, "_valkey", lambda: unreachable)
    task = RecordingTask()

    nudges.send(task, "test")
    nudges.flush()
    nudges.taken("test")

    assert task.sent == []


def test_a_forked_process_starts_anew(sender: nudges._Sender) -> None:
    nudges.send(RecordingTask(), "test")

    nudges._begin_anew()

    assert nudges._sender is not sender
    assert not nudges._sender._wanted
