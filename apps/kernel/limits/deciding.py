"""The verdict over a request: Valkey's, or while it is away that of this process alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings

from apps.kernel import errors
from apps.kernel.limits import measures, shared
from apps.kernel.limits.local import Local
from apps.kernel.limits.policies import AUTH, Charge, Standing, Verdict

VALKEY, LOCAL, MEMORY = "valkey", "local", "memory"
# How much less than its share a process admits of what guards secrets, while nobody knows of the others.
STRICTNESS = 5


class QuotaExceeded(errors.DomainError):
    """More requests than a rate limit admits; nothing was done, and the request does not count."""

    code = "quota_exceeded"
    status = 429
    title = "Too many requests"

    def __init__(self, verdict: Verdict) -> None:
        violated: dict[str, Any] = {"violated-policies": [standing.charge.policy for standing in verdict.over]}
        limit = verdict.told[0].charge
        super().__init__(
            f'The limit "{limit.policy}" admits {limit.limit} requests in 60 seconds; try again in '
            f"{verdict.retry_after_seconds} s.",
            retry_after=verdict.retry_after_seconds,
            **violated,
        )


class Refusals:
    """What this process heard refused, until it could be admitted: asking again would be the same answer.

    A flood from one client so costs no round trip. A limit that was raised meanwhile is asked for anew.
    """

    def __init__(self, *, largest: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._largest, self._clock = largest, clock
        self._until: dict[Charge, float] = {}
        self._lock = threading.Lock()

    def find(self, charges: Sequence[Charge]) -> Verdict | None:
        if not self._until:
            return None
        now = self._clock()
        lefts = [(charge, self._until.get(charge, 0.0) - now) for charge in charges]
        known = [Standing(charge, 0, left, is_over=True) for charge, left in lefts if left > 0]
        return Verdict(known, MEMORY) if known else None

    def remember(self, verdict: Verdict) -> None:
        now = self._clock()
        with self._lock:
            if len(self._until) >= self._largest:
                self._until = {charge: until for charge, until in self._until.items() if until > now}
            if len(self._until) < self._largest:
                self._until |= {standing.charge: now + standing.seconds for standing in verdict.over}


def decide(charges: Sequence[Charge]) -> Verdict:
    """Ask all policies and count in all or none; without Valkey by the share of this process."""
    verdict = _refusals().find(charges) or _ask(charges)
    if not verdict.is_admitted and verdict.store != MEMORY:
        _refusals().remember(verdict)
    _measure(verdict)
    return verdict


def find_refusal(charges: Sequence[Charge]) -> Verdict | None:
    """A refusal this process knows of without asking, or None; nothing is counted."""
    verdict = _refusals().find(charges)
    if verdict is not None:
        _measure(verdict)
    return verdict


def forget_process() -> None:
    """Begin anew, for tests."""
    for made in (_refusals, _local, shared.windows):
        made.cache_clear()


def share(charge: Charge) -> Charge:
    """What this process admits of a limit while it knows of no other."""
    parts = settings.WEB_PROCESSES * (STRICTNESS if charge.policy == AUTH else 1)
    return charge.of_limit(charge.limit // parts)


def _ask(charges: Sequence[Charge]) -> Verdict:
    try:
        return Verdict(shared.windows().take(charges), VALKEY)
    except shared.Unavailable:
        return Verdict(_local().take([share(charge) for charge in charges]), LOCAL)


def _measure(verdict: Verdict) -> None:
    decision = "admitted" if verdict.is_admitted else "refused"
    for standing in verdict.told[:1] if verdict.is_admitted else verdict.over:
        measures.DECISIONS.labels(standing.charge.policy, decision, verdict.store).inc()


@lru_cache(maxsize=1)
def _refusals() -> Refusals:
    return Refusals()


@lru_cache(maxsize=1)
def _local() -> Local:
    return Local()
