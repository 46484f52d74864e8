"""What is published about tenants."""

from __future__ import annotations

from typing import Any

from apps.events import registry

AGGREGATE = "tenants.tenant"


class TenantState(registry.Payload):
    slug: str
    name: str
    default_locale: str
    currency: str
    is_active: bool
    settings: dict[str, Any]


@registry.event("tenants.tenant.created")
class TenantCreated(TenantState):
    """A tenant exists."""


@registry.event("tenants.tenant.updated")
class TenantUpdated(TenantState):
    """A tenant's own data changed; carries all of it."""


@registry.event("tenants.domain.added")
class DomainAdded(registry.Payload):
    host: str


@registry.event("tenants.domain.removed")
class DomainRemoved(registry.Payload):
    host: str


@registry.event("tenants.locale.enabled")
class LocaleEnabled(registry.Payload):
    locale: str
    name: str


@registry.event("tenants.locale.disabled")
class LocaleDisabled(registry.Payload):
    locale: str
