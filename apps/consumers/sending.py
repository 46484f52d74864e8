"""Performing planned effects: claim, do, record. At least once to the outside, with the same key at every attempt."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import orjson
import structlog
from django.db import connection

from apps.consumers import effects
from apps.kernel import failpoints, isolation

log = structlog.get_logger(__name__)

# A claim is a time in the future: a sender that dies gives its tasks back when it passes, without a rescuer.
CLAIM_SECONDS = 120
BATCH = 20
FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 3600

CLAIM = """
UPDATE consumers_effect SET attempts = attempts + 1, next_at = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE key IN (
    SELECT key FROM consumers_effect
    WHERE state = 'pending' AND next_at <= clock_timestamp() AND consumer = ANY(%(consumers)s)
      AND tenant_id <> ALL(%(paused)s)
    ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING consumer, key, tenant_id, target, payload, attempts
"""
# An attempt counts only while its claim holds: a slow sender must not overwrite what a later one recorded.
RECORD = """
UPDATE consumers_effect
SET state = %(state)s, response = %(response)s, next_at = clock_timestamp() + make_interval(secs => %(pause)s),
    done_at = CASE WHEN %(state)s = 'done' THEN clock_timestamp() END
WHERE key = %(key)s AND state = 'pending' AND attempts = %(attempt)s
"""


type Paused = Callable[[], Sequence[uuid.UUID]]

_paused: list[Paused] = []


def pause_for(tenants: Paused) -> None:
    """Have `tenants` asked whose effects are to wait; for floors above this one."""
    if tenants not in _paused:
        _paused.append(tenants)


@isolation.all_tenants(reason="send effects")
def send_pending(*, deadline: float | None = None) -> int:
    """Perform what is due until nothing is, or until `deadline` (time.monotonic); returns how many were attempted."""
    consumers = [effect.name for effect in effects.all_effects()]
    attempted = 0
    while deadline is None or time.monotonic() < deadline:
        claimed = _claim(consumers)
        if claimed:
            failpoints.reach("sending.after_claim")
        for name, task in claimed:
            effect = effects.find(name)
            if effect is not None:
                _attempt(effect, task)
        attempted += len(claimed)
        if not claimed:
            break
    return attempted


def _claim(consumers: Sequence[str]) -> list[tuple[str, effects.Task]]:
    with connection.cursor() as cursor:
        paused = [tenant_id for tenants in _paused for tenant_id in tenants()]
        cursor.execute(
            CLAIM, {"seconds": CLAIM_SECONDS, "consumers": list(consumers), "limit": BATCH, "paused": paused}
        )
        return [
            (row[0], effects.Task(row[1], row[2], row[3], orjson.loads(row[4]), row[5])) for row in cursor.fetchall()
        ]


def _attempt(effect: effects.Effect, task: effects.Task) -> None:
    try:
        with _shown_to(effect, task):
            response = effect.perform(task)
        failpoints.reach("sending.after_perform_before_record")
    except effects.Undeliverable as error:
        log.warning("consumers.effect_undeliverable", effect=effect.name, effect_key=task.key, error=str(error))
        _record(task, "failed", str(error))
    except Exception as error:
        log.exception("consumers.effect_failed", effect=effect.name, effect_key=task.key, attempt=task.attempt)
        _record(task, "failed" if task.attempt >= effect.attempts else "pending", repr(error))
    else:
        _record(task, "done", response)


def _shown_to(effect: effects.Effect, task: effects.Task) -> AbstractContextManager[None]:
    if effect.tenancy == "tenant":
        return isolation.to_tenant(task.tenant_id)
    if effect.tenancy == "platform":
        return isolation.all_tenants(reason=f"effect {effect.name}")
    return isolation.to_nobody()


def _record(task: effects.Task, state: str, response: str) -> None:
    longest = min(FIRST_PAUSE_SECONDS * 4 ** (task.attempt - 1), LONGEST_PAUSE_SECONDS)
    # Jitter: tasks that failed together are not tried again together, and none at once.
    pause = random.uniform(longest / 2, longest)  # noqa: S311 - not a secret
    with connection.cursor() as cursor:
        cursor.execute(
            RECORD,
            {"key": task.key, "attempt": task.attempt, "state": state, "response": response[:2000], "pause": pause},
        )
