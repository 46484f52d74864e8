"""Liveness and readiness, for load balancers and for `make dev`.

Live: this process answers. Ready: it can serve, because the database answers, its migrations are applied, its events
get positions and Valkey answers. Valkey counts because without it the limits, the cache and the wake-ups of every
request are gone at once; a balancer should then prefer a machine that has them.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import redis
import structlog
from django.conf import settings
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.outbox import sequencer

log = structlog.get_logger(__name__)

CHECK_TIMEOUT_SECONDS = 2.0

# Threads, because a check that hangs must not hang the answer. More probes than threads wait and time out.
_threads = ThreadPoolExecutor(max_workers=6, thread_name_prefix="health")


class Unhealthy(Exception):
    """A check found something that a visitor may be told."""


@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    running = {name: (time.perf_counter(), _threads.submit(check)) for name, check in CHECKS.items()}
    checks = {name: _outcome(name, started, check) for name, (started, check) in running.items()}
    is_ready = all(check["status"] == "ok" for check in checks.values())
    body = {"status": "ok" if is_ready else "unavailable", "checks": checks}
    return JsonResponse(body, status=200 if is_ready else 503)


def _outcome(name: str, started: float, check: Future[None]) -> dict[str, object]:
    problem = None
    try:
        check.result(timeout=max(0.0, started + CHECK_TIMEOUT_SECONDS - time.perf_counter()))
    except TimeoutError:
        check.cancel()
        problem = f"no answer in {CHECK_TIMEOUT_SECONDS:g} s"
    except Unhealthy as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "not ready", and the log has the rest
        problem = f"{type(error).__name__}, see the log"
        log.warning("health.check_failed", check=name, error=str(error))
    latency_ms = round((time.perf_counter() - started) * 1000, 1)
    if problem is not None:
        return {"status": "failed", "latency_ms": latency_ms, "problem": problem}
    return {"status": "ok", "latency_ms": latency_ms}


def _database_answers() -> None:
    connection = connections["default"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def _migrations_are_applied() -> None:
    connection = connections["default"]
    try:
        applied = set(MigrationRecorder(connection).applied_migrations())
    finally:
        connection.close()
    missing = sorted(f"{app}.{name}" for app, name in _migrations_on_disk() - applied)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise Unhealthy(f"not applied: {', '.join(missing[:3])}{more}; run manage.py migrate")


@cache
def _migrations_on_disk() -> set[tuple[str, str]]:
    return set(MigrationLoader(None).graph.nodes)


def _events_get_positions() -> None:
    connection = connections["default"]
    try:
        if sequencer.is_foreign():
            raise Unhealthy(sequencer.FOREIGN)
    finally:
        connection.close()


def _valkey_answers() -> None:
    with redis.Redis.from_url(
        settings.VALKEY_URL,
        socket_timeout=CHECK_TIMEOUT_SECONDS,
        socket_connect_timeout=CHECK_TIMEOUT_SECONDS,
        retry=None,
    ) as client:
        client.ping()


CHECKS: dict[str, Callable[[], None]] = {
    "database": _database_answers,
    "migrations": _migrations_are_applied,
    "events": _events_get_positions,
    "valkey": _valkey_answers,
}
