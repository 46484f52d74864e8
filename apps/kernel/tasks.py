"""Celery tasks that say whose rows they work on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import shared_task

from apps.kernel import isolation


def platform_task[**P, Result](name: str) -> Callable[[Callable[P, Result]], Any]:
    """A task over the rows of all tenants. A worker process keeps nothing of it for the next one."""

    def register(work: Callable[P, Result]) -> Any:
        @wraps(work)
        def run(*args: P.args, **options: P.kwargs) -> Result:
            with isolation.all_tenants(reason=f"task {name}"):
                return work(*args, **options)

        # As an option it is on the task of every Celery application, also of one that comes later.
        return shared_task(name=name, ignore_result=True, tenancy="platform")(run)

    return register
