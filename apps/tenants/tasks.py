"""Celery tasks that work for one tenant: it travels in the headers of the message, and is at work in the body only."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import Task, current_task, shared_task
from django.utils import timezone

from apps.kernel import isolation, wording
from apps.kernel.tasks import platform_task
from apps.tenants import idempotency, resolution, scope

HEADER = "rustok_tenant"


class TenantTask(Task):  # type: ignore[misc] # Celery is not typed
    """Sends itself for the tenant at work.

    What a task leads to, the next of a chain or the body of a chord, is sent after its own body and so outside of its
    scope; it takes the tenant from the message at hand. Raises NoTenantScope where there is neither.
    """

    tenancy = "tenant"

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        return super().apply_async(args, kwargs, **_with_tenant(options))

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        return super().apply(args, kwargs, **_with_tenant(options))


def tenant_task[**P, Result](name: str) -> Callable[[Callable[P, Result]], Any]:
    """A task for the tenant that was at work where it was sent. A worker process keeps nothing of it for the next one.

    The body raises TenantNotFound, TenantInactive, and NoTenantScope for a message that names no tenant.
    """

    def register(work: Callable[P, Result]) -> Any:
        task: Any = None

        @wraps(work)
        def run(*args: P.args, **options: P.kwargs) -> Result:
            with scope.use(_scope_of(task.request)):
                return work(*args, **options)

        task = shared_task(name=name, base=TenantTask, ignore_result=True)(run)
        return task

    return register


@platform_task("tenants.forget_idempotency_keys")
def forget_idempotency_keys() -> int:
    """Delete idempotency records that are over a day old; returns how many went."""
    return idempotency.forget_old(now=timezone.now())


def _with_tenant(options: dict[str, Any]) -> dict[str, Any]:
    at_work = scope.find()
    tenant_id = str(at_work.tenant_id) if at_work else _tenant_in(current_task.request if current_task else None)
    if tenant_id is None:
        scope.current()
    return {**options, "headers": {**(options.get("headers") or {}), HEADER: tenant_id}}


def _tenant_in(request: Any) -> str | None:
    """What a message says; a worker puts its headers beside the other facts, work done in place keeps them apart."""
    if request is None:
        return None
    tenant_id: str | None = (request.headers or {}).get(HEADER) or request.get(HEADER)
    return tenant_id


def _scope_of(request: Any) -> scope.Scope:
    tenant_id = _tenant_in(request)
    if tenant_id is None:
        if request.called_directly:  # a plain call of the function, in the scope of the caller
            return scope.current()
        raise scope.NoTenantScope("the message names no tenant: send the task within tenants.scope.use(...)")
    with isolation.to_nobody():
        known = resolution.find_by_name(tenant_id)
    if known is None:
        raise scope.TenantNotFound
    if not known.is_active:
        raise resolution.TenantInactive(wording.say('The tenant "{slug}" is switched off.', slug=known.scope.slug))
    return known.scope
