"""Nudges: one in flight, quiet after a failure, never in the way of a commit."""

from typing import Any

import pytest
import redis

from apps.kernel import nudges


class RecordingTask:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def apply_async(self, **options: Any) -> None:
        self.sent.append(options)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudges, "_silent_until", 0.0)
    nudges.taken("test")


def test_one_nudge_is_in_flight_until_a_worker_takes_it() -> None:
    task = RecordingTask()

    for _ in range(5):
        nudges.send(task, "test")
    nudges.taken("test")
    nudges.send(task, "test")

    assert len(task.sent) == 2
    assert task.sent[0]["retry"] is False


def test_after_a_failure_it_stays_silent_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable = redis.Redis(unix_socket_path="/nonexistent/valkey.sock", retry=None)
    monkeypatch.setattr(nudges, "_valkey", lambda: unreachable)
    task = RecordingTask()

    with pytest.raises(redis.ConnectionError):
        nudges.send(task, "test")
    nudges.send(task, "test")

    assert task.sent == []
    nudges.taken("test")
