"""Caches of numbers whose source is Valkey, so that processes can share it and count its loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings

from apps.kernel import cache
from apps.kernel.cache import shared

ENOUGH_SECONDS = 20


@dataclass(frozen=True)
class Number:
    number: int


def make(kind: str, **policy: Any) -> cache.Cache[Number]:
    """Patient by default: tests wait for what happens, not for deadlines."""
    options = {"patience": ENOUGH_SECONDS, "lease": ENOUGH_SECONDS} | policy
    return cache.Cache(kind=kind, shape=Number, policy=cache.Policy(**options))


def be_patient() -> None:
    """A busy machine must not look like a Valkey that is gone."""
    shared.link.cache_clear()
    shared.DEADLINE_SECONDS = ENOUGH_SECONDS


@lru_cache(maxsize=1)
def valkey() -> redis.Redis:
    return redis.Redis.from_url(settings.CACHE_URL)


def set_source(group: str, number: int) -> None:
    valkey().set(f"source:{group}", number)


def loads(group: str) -> int:
    return int(valkey().get(f"loads:{group}") or 0)


def load(group: str, *, wait_for: int = 0) -> Number | None:
    valkey().incr(f"loads:{group}")
    until = time.monotonic() + ENOUGH_SECONDS
    while int(valkey().get(f"arrived:{group}") or 0) < wait_for and time.monotonic() < until:
        time.sleep(0.01)
    found = valkey().get(f"source:{group}")
    return Number(int(found)) if found is not None else None


class Elsewhere:
    """A process that does what it is told by lines, and answers each by a line of JSON."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "rustok.settings"},
        )

    def ask(self, what: str, *arguments: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(" ".join([what, *map(str, arguments)]) + "\n")

    def answer(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def do(self, what: str, *arguments: object) -> Any:
        self.ask(what, *arguments)
        return self.answer()


@contextmanager
def processes(command: list[str], count: int) -> Iterator[list[Elsewhere]]:
    """Started and ready; ended afterwards."""
    started = [Elsewhere(command) for _ in range(count)]
    try:
        for process in started:
            assert process.answer() == "ready"
        yield started
    finally:
        for process in started:
            process.process.kill()
            process.process.communicate()
