"""Reads about tenants."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence

from django.db.models import Q

from apps.kernel import errors, isolation, validation
from apps.tenants import models, scope

_SHOWN_TENANTS = 10


class TenantNotFound(errors.NotFound):
    """No tenant answers to this host, slug or id."""

    code = "tenant_not_found"


class LocaleRefused(errors.DomainError):
    """A command is to work in a locale that is none, or that the tenant does not publish in."""

    code = "locale_refused"


class TenantInactive(errors.Forbidden):
    """The tenant is switched off."""

    code = "tenant_inactive"


class TenantMismatch(errors.DomainError):
    """The host leads to one tenant, the header names another."""

    code = "tenant_mismatch"


@isolation.all_tenants(reason="find tenant")
def get_tenant(*, slug_or_id: str) -> models.Tenant:
    """Raises TenantNotFound, which suggests the nearest slug."""
    condition = Q(slug=slug_or_id)
    with contextlib.suppress(ValueError):
        condition |= Q(id=uuid.UUID(slug_or_id))
    tenant = models.Tenant.objects.filter(condition).first()
    if tenant is None:
        raise TenantNotFound(f'There is no tenant "{slug_or_id}".')
    return tenant


@isolation.all_tenants(reason="find tenant")
def find_by_host(*, host: str) -> models.Tenant | None:
    """The tenant a host name leads to, or None."""
    domain = models.Domain.objects.filter(host=host).select_related("tenant").first()
    return domain.tenant if domain else None


def scope_of(tenant: models.Tenant) -> scope.Scope:
    """The scope to work in for this tenant."""
    with isolation.to_tenant(tenant.id):
        enabled = models.TenantLocale.objects.filter(tenant=tenant, is_enabled=True).order_by("locale")
        locales = tuple(enabled.values_list("locale", flat=True))
    return scope.Scope(tenant.id, tenant.slug, tenant.default_locale, tenant.currency, locales)


@isolation.all_tenants(reason="find tenant")
def scope_for_command(*, slug_or_id: str) -> scope.Scope:
    """The scope of an existing tenant for a command. Raises TenantNotFound naming the known ones."""
    try:
        return scope_of(get_tenant(slug_or_id=slug_or_id))
    except TenantNotFound as error:
        known = list(models.Tenant.objects.order_by("slug").values_list("slug", flat=True))
        raise TenantNotFound(error.detail + (errors.did_you_mean(slug_or_id, known) or _known_tenants(known))) from None


def locale_for_command(*, at_work: scope.Scope, locale: str | None) -> str:
    """What `--locale` names, without it the tenant's default. Raises LocaleRefused."""
    if locale is None:
        return at_work.default_locale
    if locale in at_work.locales:
        return locale
    try:
        validation.parse(_LocaleChoice, {"locale": locale})
    except errors.ValidationFailed:
        raise LocaleRefused(
            f'--locale: "{locale}" is no locale; one looks like "en" or "en-GB". Enabled for the tenant '
            f'"{at_work.slug}": {", ".join(at_work.locales)}.{errors.did_you_mean(locale, at_work.locales)}'
        ) from None
    raise LocaleRefused(f"--locale: {at_work.not_enabled(locale)}")


class _LocaleChoice(validation.Input):
    locale: validation.Locale


def _known_tenants(slugs: Sequence[str]) -> str:
    if not slugs:
        return " Make one with create_tenant."
    more = f" and {len(slugs) - _SHOWN_TENANTS:,} more" if len(slugs) > _SHOWN_TENANTS else ""
    return f" There are: {', '.join(slugs[:_SHOWN_TENANTS])}{more}."
