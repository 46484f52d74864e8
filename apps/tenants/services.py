"""Writes about tenants."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any

from django.db import IntegrityError, transaction
from pydantic import Field

from apps.audit import recording as audit
from apps.events import registry
from apps.kernel import errors, isolation, validation
from apps.outbox.append import append, unit_of_work
from apps.tenants import events, models, resolution

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


class SlugTaken(errors.Conflict):
    """Another tenant has this slug."""

    code = "tenant_slug_taken"


class DomainTaken(errors.Conflict):
    """The host leads to a tenant already."""

    code = "domain_taken"


class LocaleInUse(errors.Conflict):
    """The default locale can't be disabled."""

    code = "default_locale"


class NewTenant(validation.Input):
    slug: Annotated[validation.Slug, Field(max_length=64)]
    name: validation.Title
    default_locale: validation.Locale = "en"
    currency: validation.Currency = "USD"
    domains: list[str] = []
    locales: list[validation.Locale] = []
    settings: validation.Metadata = {}


class TenantChanges(validation.Input):
    """What is given is changed; what is absent stays."""

    name: validation.Title | None = None
    default_locale: validation.Locale | None = None
    currency: validation.Currency | None = None
    is_active: bool | None = None
    settings: validation.Metadata | None = None


class LocaleChoice(validation.Input):
    locale: validation.Locale
    name: validation.ShortText = ""


@isolation.all_tenants(reason="create tenant")
def create_tenant(*, new: NewTenant) -> models.Tenant:
    """A tenant with its domains and locales. Raises SlugTaken, DomainTaken, ValidationFailed."""
    hosts = dict.fromkeys(check_host(host) for host in new.domains)
    with unit_of_work():
        if models.Tenant.objects.filter(slug=new.slug).exists():
            raise SlugTaken(f'A tenant with the slug "{new.slug}" exists already; choose another slug.')
        tenant = models.Tenant.objects.create(
            slug=new.slug,
            name=new.name,
            default_locale=new.default_locale,
            currency=new.currency,
            settings=new.settings,
        )
        _record(tenant, events.TenantCreated(**_state(tenant)))
        for host in hosts:
            add_domain(tenant=tenant, host=host)
        for locale in dict.fromkeys([new.default_locale, *new.locales]):
            enable_locale(tenant=tenant, locale=locale)
    return tenant


def update_tenant(*, tenant: models.Tenant, changes: TenantChanges) -> models.Tenant:
    """Change a tenant's own data; nothing is written and no event recorded when nothing differs."""
    wanted = changes.model_dump(exclude_unset=True, exclude_none=True)
    with isolation.to_tenant(tenant.id), unit_of_work():
        tenant = models.Tenant.objects.select_for_update().get(pk=tenant.pk)
        different = {name: value for name, value in wanted.items() if getattr(tenant, name) != value}
        if not different:
            return tenant
        before = _state(tenant)
        for name, value in different.items():
            setattr(tenant, name, value)
        tenant.save()
        _record(tenant, events.TenantUpdated(**_state(tenant)), before=before)
        if "default_locale" in different:
            enable_locale(tenant=tenant, locale=tenant.default_locale)
    return tenant


@isolation.all_tenants(reason="add domain")
def add_domain(*, tenant: models.Tenant, host: str) -> models.Domain:
    """Lead a host name to the tenant. Raises DomainTaken, ValidationFailed."""
    host = check_host(host)
    if (slug := resolution.slug_in(host)) and slug != tenant.slug:
        raise DomainTaken(f'The domain "{host}" is kept for the tenant "{slug}": it is below a base domain.')
    with unit_of_work():
        taken = models.Domain.objects.filter(host=host).select_related("tenant").first()
        if taken is not None:
            raise DomainTaken(f'The domain "{host}" already leads to the tenant "{taken.tenant.slug}".')
        try:
            domain = models.Domain.objects.create(host=host, tenant=tenant)
        except IntegrityError:
            raise DomainTaken(f'The domain "{host}" was taken a moment ago.') from None
        _record(tenant, events.DomainAdded(host=host))
    return domain


def remove_domain(*, tenant: models.Tenant, host: str) -> None:
    """Raises NotFound when the host does not lead to this tenant."""
    with isolation.to_tenant(tenant.id), unit_of_work():
        deleted, _ = models.Domain.objects.filter(host=host.lower(), tenant=tenant).delete()
        if not deleted:
            raise errors.NotFound(f'The domain "{host}" does not lead to the tenant "{tenant.slug}".')
        _record(tenant, events.DomainRemoved(host=host.lower()), before={"host": host.lower()}, after={})


def enable_locale(*, tenant: models.Tenant, locale: str, name: str = "") -> models.TenantLocale:
    """Publish in a language; enabling one that is enabled changes nothing. Raises ValidationFailed."""
    validation.parse(LocaleChoice, {"locale": locale, "name": name})
    with isolation.to_tenant(tenant.id), unit_of_work():
        row, created = models.TenantLocale.objects.get_or_create(tenant=tenant, locale=locale, defaults={"name": name})
        if created or not row.is_enabled:
            row.is_enabled = True
            row.save()
            _record(tenant, events.LocaleEnabled(locale=locale, name=row.name))
    return row


def disable_locale(*, tenant: models.Tenant, locale: str) -> None:
    """Stop publishing in a language. Raises LocaleInUse for the default one, NotFound for one not enabled."""
    with isolation.to_tenant(tenant.id), unit_of_work():
        if locale == tenant.default_locale:
            raise LocaleInUse(f'"{locale}" is the default locale of "{tenant.slug}"; set another default first.')
        changed = models.TenantLocale.objects.filter(tenant=tenant, locale=locale, is_enabled=True).update(
            is_enabled=False
        )
        if not changed:
            raise errors.NotFound(f'The locale "{locale}" is not enabled for "{tenant.slug}".')
        _record(tenant, events.LocaleDisabled(locale=locale), before={"locale": locale}, after={})


def check_host(host: str) -> str:
    """The host in lower case. Raises ValidationFailed when it is not a host name."""
    lowered = host.strip().lower().rstrip(".")
    if not _HOST.fullmatch(lowered):
        raise errors.ValidationFailed.for_field(
            "/domains", "invalid_host", f'"{host}" is not a host name such as shop.example.com, without scheme or port.'
        )
    return lowered


def _state(tenant: models.Tenant) -> dict[str, Any]:
    return {name: getattr(tenant, name) for name in events.TenantState.model_fields}


def _record(
    tenant: models.Tenant,
    payload: registry.Payload,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    stream: dict[str, Any] = {
        "tenant_id": tenant.id,
        "aggregate_type": events.AGGREGATE,
        "aggregate_id": tenant.id,
    }
    append(payload, **stream)
    audit.record_event(payload, before=before, after=after, **stream)
    # At once, and again by the effect `tenant_resolution` in case this process ends before it has told everybody.
    names = resolution.names_in(payload.model_dump())
    transaction.on_commit(partial(resolution.forget, tenant.id, names=names), robust=True)
