"""Writes about tenants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from django.db import IntegrityError, transaction
from pydantic import AfterValidator, Field

from apps.audit import recording as audit
from apps.events import registry
from apps.kernel import errors, isolation, validation, wording
from apps.kernel.limits import policies
from apps.outbox.append import append, unit_of_work
from apps.tenants import events, known_settings, models, modules, queries, resolution

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


class SlugTaken(errors.Conflict):
    """Another tenant has this slug. Choose another one."""

    code = "tenant_slug_taken"
    title = "The slug is taken"


class DomainTaken(errors.Conflict):
    """The host leads to a tenant already. Take another host, or remove it there first."""

    code = "domain_taken"
    title = "The domain is taken"


class LocaleInUse(errors.Conflict):
    """The default locale can't be disabled. Set another default first."""

    code = "default_locale"
    title = "The locale is the default"


def _check_host(host: str) -> str:
    lowered = host.lower().rstrip(".")
    if not host.isascii() or not _HOST.fullmatch(lowered):
        raise wording.refusal(
            "invalid_host", "this is not a host name such as shop.example.com, without scheme or port"
        )
    return lowered


# 253 characters, and a dot at the end.
Host = Annotated[str, validation.Prose(254), AfterValidator(_check_host)]
Hosts = Annotated[list[Host], Field(max_length=100)]


class NewTenant(validation.Input):
    slug: validation.ShortSlug
    name: validation.Title
    default_locale: validation.Locale = "en"
    currency: validation.Currency = "USD"
    domains: Hosts = []
    locales: Annotated[list[validation.Locale], Field(max_length=validation.MAXIMUM_LOCALES)] = []
    settings: validation.Metadata = {}


class TenantChanges(validation.Input):
    """What is given is changed; what is absent stays."""

    name: validation.Title | None = None
    default_locale: validation.Locale | None = None
    currency: validation.Currency | None = None
    settings: validation.Metadata | None = None


class PurgeBegun(errors.Conflict):
    """Part of the tenant is deleted: it can't answer any more. Finish the purge."""

    code = "tenant_purge_begun"
    title = "The tenant is being purged"


class ModuleNeeded(errors.Conflict):
    """Another module stands in the way of switching this one on or off. `modules` names those to switch first."""

    code = "module_needed"
    title = "Modules need each other"


class ModuleChoice(validation.Input):
    """What is given is changed; what is absent stays."""

    enabled: validation.Flag | None = None
    settings: validation.Metadata | None = None


class Suspension(validation.Input):
    reason: validation.Title


class LocaleChoice(validation.Input):
    locale: validation.Locale
    name: Annotated[str, validation.Line(100)] = ""


@isolation.all_tenants(reason="create tenant")
def create_tenant(*, new: NewTenant) -> models.Tenant:
    """A tenant with its domains and locales. Raises SlugTaken, DomainTaken, ValidationFailed."""
    known_settings.check(new.settings)
    hosts = dict.fromkeys(new.domains)
    with unit_of_work():
        if models.Tenant.objects.filter(slug=new.slug).exists():
            raise SlugTaken(
                wording.say('A tenant with the slug "{slug}" exists already; choose another slug.', slug=new.slug)
            )
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
    """Change a tenant's own data; nothing is written and no event recorded when nothing differs.

    Raises ValidationFailed for a setting that breaks its rule.
    """
    known_settings.check(changes.settings or {})
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
        raise DomainTaken(
            wording.say(
                'The domain "{host}" is kept for the tenant "{slug}": it is below a base domain.', host=host, slug=slug
            )
        )
    with unit_of_work():
        if models.Domain.objects.filter(host=host).exists():
            # Whose it is, is not for everybody to know.
            raise DomainTaken(wording.say('The domain "{host}" already leads to a tenant.', host=host))
        try:
            domain = models.Domain.objects.create(host=host, tenant=tenant)
        except IntegrityError:
            raise DomainTaken(wording.say('The domain "{host}" was taken a moment ago.', host=host)) from None
        _record(tenant, events.DomainAdded(host=host))
    return domain


def remove_domain(*, tenant: models.Tenant, host: str) -> None:
    """Raises NotFound when the host does not lead to this tenant."""
    with isolation.to_tenant(tenant.id), unit_of_work():
        deleted, _ = models.Domain.objects.filter(host=host.lower(), tenant=tenant).delete()
        if not deleted:
            raise errors.NotFound(
                wording.say('The domain "{host}" does not lead to the tenant "{slug}".', host=host, slug=tenant.slug)
            )
        _record(tenant, events.DomainRemoved(host=host.lower()), before={"host": host.lower()}, after={})


def enable_locale(*, tenant: models.Tenant, locale: str, name: str = "") -> models.TenantLocale:
    """Publish in a language; enabling one that is enabled changes nothing. Raises ValidationFailed."""
    choice = validation.parse(LocaleChoice, {"locale": locale, "name": name})
    with isolation.to_tenant(tenant.id), unit_of_work():
        row, created = models.TenantLocale.objects.get_or_create(
            tenant=tenant, locale=choice.locale, defaults={"name": choice.name}
        )
        if created or not row.is_enabled:
            row.is_enabled = True
            row.save()
            _record(tenant, events.LocaleEnabled(locale=row.locale, name=row.name))
    return row


def disable_locale(*, tenant: models.Tenant, locale: str) -> None:
    """Stop publishing in a language. Raises LocaleInUse for the default one, NotFound for one not enabled."""
    with isolation.to_tenant(tenant.id), unit_of_work():
        if locale == tenant.default_locale:
            raise LocaleInUse(
                wording.say(
                    '"{locale}" is the default locale of "{slug}"; set another default first.',
                    locale=locale,
                    slug=tenant.slug,
                )
            )
        changed = models.TenantLocale.objects.filter(tenant=tenant, locale=locale, is_enabled=True).update(
            is_enabled=False
        )
        if not changed:
            raise errors.NotFound(
                wording.say('The locale "{locale}" is not enabled for "{slug}".', locale=locale, slug=tenant.slug)
            )
        _record(tenant, events.LocaleDisabled(locale=locale), before={"locale": locale}, after={})


def choose_module(*, tenant: models.Tenant, slug: str, choice: ModuleChoice) -> models.TenantModule | None:
    """Switch a module on or off, or set it up; nothing is written, and None returned, when nothing differs.

    Raises UnknownModule, and ModuleNeeded naming the modules in the way.
    """
    module = modules.get(slug)
    with isolation.to_tenant(tenant.id), unit_of_work():
        models.Tenant.objects.select_for_update().get(pk=tenant.pk)  # one choice at a time
        on = queries.scope_of(tenant).modules
        row = models.TenantModule.objects.filter(tenant=tenant, slug=slug).first()
        was_on, old_settings = slug in on, row.settings if row else {}
        is_on = was_on if choice.enabled is None else choice.enabled
        settings = old_settings if choice.settings is None else choice.settings
        if (was_on, old_settings) == (is_on, settings):
            return None
        if is_on != was_on:
            _refuse_needed(tenant, module, is_on=is_on, on=on)
        row, _ = models.TenantModule.objects.update_or_create(
            tenant=tenant, slug=slug, defaults={"is_enabled": is_on, "settings": settings}
        )
        change = events.ModuleEnabled if is_on else events.ModuleDisabled
        payload = (change if is_on != was_on else events.ModuleConfigured)(module=slug, settings=settings)
        _record(tenant, payload)
    return row


def _refuse_needed(tenant: models.Tenant, module: modules.Module, *, is_on: bool, on: Sequence[str]) -> None:
    if is_on:
        if missing := [slug for slug in module.depends_on if slug not in on]:
            raise ModuleNeeded(
                wording.say(
                    '"{module}" needs {missing}, switched off for "{slug}"; switch that on first.',
                    module=module.slug,
                    missing=_named(missing),
                    slug=tenant.slug,
                ),
                modules=missing,
            )
    elif module.is_core:
        raise ModuleNeeded(
            wording.say('"{module}" is part of every tenant and can\'t be switched off.', module=module.slug),
            modules=[],
        )
    elif needing := [other.slug for other in modules.dependants_of(module.slug) if other.slug in on]:
        raise ModuleNeeded(
            wording.say(
                '"{module}" is needed by {needing}, switched on for "{slug}"; switch that off first.',
                module=module.slug,
                needing=_named(needing),
                slug=tenant.slug,
            ),
            modules=needing,
        )


def _named(slugs: Sequence[str]) -> str:
    return ", ".join(f'"{slug}"' for slug in slugs)


def set_limits(*, tenant: models.Tenant, plan: policies.Plan) -> models.Tenant:
    """Give the tenant the rate limits of its plan, all of them anew; nothing is written when nothing differs."""
    wanted = plan.chosen()
    with isolation.to_tenant(tenant.id), unit_of_work():
        tenant = models.Tenant.objects.select_for_update().get(pk=tenant.pk)
        if tenant.limits == wanted:
            return tenant
        before, tenant.limits = {"limits": tenant.limits}, wanted
        tenant.save()
        _record(tenant, events.LimitsChanged(limits=wanted), before=before)
    return tenant


def suspend_tenant(*, tenant: models.Tenant, suspension: Suspension, now: datetime) -> models.Tenant:
    """Have the tenant answer nobody, for a reason that is kept; one that is suspended stays as it is."""
    return _switch(tenant, is_active=False, reason=suspension.reason, suspended_at=now)


def resume_tenant(*, tenant: models.Tenant) -> models.Tenant:
    """Have the tenant answer again; one that does stays as it is. Raises PurgeBegun."""
    if models.Purge.objects.filter(purged_id=tenant.pk, finished_at=None).exists():
        raise PurgeBegun(
            wording.say(
                '"{slug}" is being purged, and part of it is gone; finish that with tenant_purge.', slug=tenant.slug
            )
        )
    return _switch(tenant, is_active=True, reason="", suspended_at=None)


def _switch(tenant: models.Tenant, *, is_active: bool, reason: str, suspended_at: datetime | None) -> models.Tenant:
    with isolation.to_tenant(tenant.id), unit_of_work():
        tenant = models.Tenant.objects.select_for_update().get(pk=tenant.pk)
        if tenant.is_active is is_active:
            return tenant
        former = tenant.suspended_reason
        tenant.is_active, tenant.suspended_reason, tenant.suspended_at = is_active, reason, suspended_at
        tenant.save()
        if is_active:
            _record(tenant, events.TenantResumed(reason=former), before={"reason": former}, after={})
        else:
            _record(tenant, events.TenantSuspended(reason=reason))
    return tenant


def settle_tenant(
    *, tenant: models.Tenant, has_new_slug: bool, lost_hosts: Sequence[str], new_hosts: Sequence[str]
) -> None:
    """Tell what is different about a tenant that was brought in: its slug, the hosts that did not come, those it gets.

    Also where nothing is: that there was no such tenant is known no more. Raises DomainTaken.
    """
    with isolation.to_tenant(tenant.id), unit_of_work():
        # No effect makes up for it should the process end first, since history has none; absences end soon.
        transaction.on_commit(partial(resolution.forget, tenant.id), robust=True)
        if has_new_slug:
            _record(tenant, events.TenantUpdated(**_state(tenant)))
        for host in lost_hosts:
            _record(tenant, events.DomainRemoved(host=host))
        for host in new_hosts:
            add_domain(tenant=tenant, host=host)


def check_host(host: str) -> str:
    """The host in lower case. Raises ValidationFailed when it is not a host name."""
    checked: str = validation.check(Host, host, field="domains")
    return checked


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
