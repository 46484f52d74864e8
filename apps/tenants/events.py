"""What is published about tenants."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from apps.events import fields, registry

AGGREGATE = "tenants.tenant"
PURGE = "tenants.purge"
FIELD_SCHEMA = "tenants.field_schema"


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


@registry.event("tenants.limits.changed", aggregate=AGGREGATE)
class LimitsChanged(registry.Payload):
    """The plan of the tenant has other rate limits."""

    limits: Annotated[
        dict[str, int],
        Field(description="Requests in 60 seconds by policy, 0 without bound; what is absent is the installation's."),
    ]


@registry.event("tenants.tenant.suspended")
class TenantSuspended(registry.Payload):
    """The tenant answers no request, and nothing is told to the outside for it, until it is resumed."""

    reason: str


@registry.event("tenants.tenant.resumed")
class TenantResumed(registry.Payload):
    """The tenant answers again."""

    reason: Annotated[str, Field(description="Why it had been suspended.")]


@registry.event("tenants.tenant.purged", aggregate=PURGE)
class TenantPurged(registry.Payload):
    """Nothing of a tenant is left. Recorded for the installation; whose data it was stands in the receipt only."""

    rows: Annotated[int, Field(description="Rows that were deleted.")]
    events: Annotated[int, Field(description="Events that became tombstones.")]
    files: int
    receipt_sha256: Annotated[str, Field(description="The checksum of the receipt.")]


class ModuleChoice(registry.Payload):
    """What a tenant has chosen about a module."""

    module: Annotated[str, Field(description="The slug of the module.")]
    settings: dict[str, Any]


@registry.event("tenants.module.enabled", aggregate=AGGREGATE)
class ModuleEnabled(ModuleChoice):
    """A module is switched on for the tenant."""


@registry.event("tenants.module.configured", aggregate=AGGREGATE)
class ModuleConfigured(ModuleChoice):
    """The settings of a module changed, and nothing else of it."""


@registry.event("tenants.module.disabled", aggregate=AGGREGATE)
class ModuleDisabled(ModuleChoice):
    """A module is switched off for the tenant: it answers 404, its data stay."""


class FieldSchema(registry.Payload):
    """Which things have fields of their own."""

    subject: Annotated[str, Field(description="Such as `node` or `product`.")]
    name: Annotated[str, Field(description="A kind of node, or a type of product.")]


@registry.event("tenants.field_schema.set")
class FieldSchemaSet(FieldSchema):
    """These things have these fields, and no others."""

    definition: Annotated[dict[str, Any], Field(description="A JSON Schema 2020-12 of an object.")]


@registry.event("tenants.field_schema.deleted")
class FieldSchemaDeleted(FieldSchema):
    """These things have no fields of their own any more."""
