"""The product's worker with tasks that tell what they see: celery --app tests.tenants.working worker

Each of them adds a line of JSON to the list `tests:told` in the Valkey of the tests.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import django
import redis
from celery import chain, chord, current_task, group
from django.apps import apps
from django.conf import settings
from django.db import connection

from rustok.celery import app

TOLD = "tests:told"
FIRST_TIME = "tests:first_time"

if os.environ.get("RUSTOK_PROCESS") == "worker":
    # Where the parts of a chord are counted; nothing in the product needs one.
    app.conf.result_backend = app.conf.broker_url

if not apps.ready:
    django.setup()

from apps.kernel import isolation  # noqa: E402
from apps.kernel.tasks import platform_task  # noqa: E402
from apps.tenants import scope, tasks  # noqa: E402


def tell(task: str) -> None:
    at_work = scope.find()
    with connection.cursor() as cursor:  # past the managers, which would refuse
        cursor.execute("SELECT vendor FROM commerce_product ORDER BY vendor")
        vendors = [vendor for (vendor,) in cursor.fetchall()]
    told = {
        "task": task,
        "tenant": at_work.slug if at_work else None,
        "shown": isolation.shown(),
        "vendors": vendors,
        "is_redelivered": bool((current_task.request.delivery_info or {}).get("redelivered")),
        "process": os.getpid(),
    }
    with redis.Redis.from_url(settings.VALKEY_URL) as valkey:
        valkey.rpush(TOLD, json.dumps(told))


def is_first_time() -> bool:
    with redis.Redis.from_url(settings.VALKEY_URL) as valkey:
        return bool(valkey.set(f"{FIRST_TIME}:{current_task.request.id}", 1, nx=True))


@tasks.tenant_task("tests.worker.look")
def look(*before: Any) -> None:
    tell("look")


@tasks.tenant_task("tests.worker.fail")
def fail() -> None:
    tell("fail")
    raise ValueError("as it happens")


@tasks.tenant_task("tests.worker.try_twice")
def try_twice() -> None:
    tell("try_twice")
    if current_task.request.retries == 0:
        raise try_twice.retry(countdown=0)


@tasks.tenant_task("tests.worker.lead")
def lead(to: str) -> None:
    """Sends more from within a task."""
    canvas = {
        "chain": lambda: chain(look.si(), look.si(), look.si()),
        "group": lambda: group(look.si(), look.si()),
        "chord": lambda: chord([look.si(), look.si()], look.si()),
    }
    canvas[to]().apply_async()


@tasks.tenant_task("tests.worker.die_alone")
def die_alone() -> None:
    """The process that works on it is killed the first time."""
    tell("die_alone")
    if is_first_time():
        os.kill(os.getpid(), signal.SIGKILL)


@tasks.tenant_task("tests.worker.die_with_all")
def die_with_all() -> None:
    """The first time the whole worker is killed."""
    tell("die_with_all")
    if is_first_time():
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


@platform_task("tests.worker.over_all")
def over_all() -> None:
    tell("over_all")


@app.task(name="tests.worker.undeclared", ignore_result=True)
def undeclared() -> None:
    """What a task sees that says nothing of tenants, whatever ran before it."""
    tell("undeclared")


for killed in (die_alone, die_with_all):
    killed.acks_late = killed.reject_on_worker_lost = True
