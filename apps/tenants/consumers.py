"""What tenants do because of their own events: forget what was cached, even where the process that wrote is gone."""

from __future__ import annotations

from collections.abc import Sequence

from apps.consumers import effects
from apps.events import envelope
from apps.tenants import resolution

TYPES = (
    "tenants.tenant.created",
    "tenants.tenant.updated",
    "tenants.domain.added",
    "tenants.domain.removed",
    "tenants.locale.enabled",
    "tenants.locale.disabled",
    "tenants.module.enabled",
    "tenants.module.disabled",
    "tenants.limits.changed",
    "tenants.tenant.suspended",
    "tenants.tenant.resumed",
)


class NotHeard(Exception):
    """The other processes could not be told; to be tried again."""


def plan(event: envelope.Event) -> Sequence[effects.Planned]:
    return [effects.Planned("names", {"names": resolution.names_in(event.data)})]


def forget(task: effects.Task) -> str:
    """Again what the writer did after its commit: it may have been killed, or Valkey was away. Raises NotHeard."""
    if not resolution.forget(task.tenant_id, names=task.payload["names"]):
        raise NotHeard("Valkey does not answer")
    return "forgotten"


TENANT_RESOLUTION = effects.register(
    effects.Effect(name="tenant_resolution", types=TYPES, plan=plan, perform=forget, tenancy="tenant")
)
