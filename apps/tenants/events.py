"""What is published about tenants."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from apps.events import fields, registry

AGGREGATE = "tenants.tenant"


class TenantState(registry.Payload):
    """A tenant's own data."""

    slug: Annotated[str, Field(description="Names the tenant in addresses and commands.")]
    name: str
    default_locale: fields.Locale
    currency: fields.Currency
    is_active: Annotated[bool, Field(description="A tenant that is switched off answers no request.")]
    settings: dict[str, Any]


@registry.event("tenants.tenant.created")
class TenantCreated(TenantState):
    """A tenant exists."""


@registry.event("tenants.tenant.updated")
class TenantUpdated(TenantState):
    """A tenant's own data changed; carries all of it."""


@registry.event("tenants.domain.added", aggregate=AGGREGATE)
class DomainAdded(registry.Payload):
    """A host leads to the tenant."""

    host: str


@registry.event("tenants.domain.removed", aggregate=AGGREGATE)
class DomainRemoved(registry.Payload):
    """A host no longer leads to the tenant."""

    host: str


@registry.event("tenants.locale.enabled", aggregate=AGGREGATE)
class LocaleEnabled(registry.Payload):
    """The tenant publishes in this language too."""

    locale: fields.Locale
    name: str


@registry.event("tenants.locale.disabled", aggregate=AGGREGATE)
class LocaleDisabled(registry.Payload):
    """The tenant no longer publishes in this language."""

    locale: fields.Locale
