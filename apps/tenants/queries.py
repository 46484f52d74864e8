"""Reads about tenants."""

from __future__ import annotations

import contextlib
import uuid

from django.db.models import Q

from apps.kernel import errors
from apps.tenants import models, scope


class TenantNotFound(errors.NotFound):
    """No tenant answers to this host, slug or id."""

    code = "tenant_not_found"


class TenantInactive(errors.Forbidden):
    """The tenant is switched off."""

    code = "tenant_inactive"


class TenantMismatch(errors.DomainError):
    """The host leads to one tenant, the header names another."""

    code = "tenant_mismatch"


def get_tenant(*, slug_or_id: str) -> models.Tenant:
    """Raises TenantNotFound, which suggests the nearest slug."""
    condition = Q(slug=slug_or_id)
    with contextlib.suppress(ValueError):
        condition |= Q(id=uuid.UUID(slug_or_id))
    tenant = models.Tenant.objects.filter(condition).first()
    if tenant is None:
        raise TenantNotFound(f'There is no tenant "{slug_or_id}".')
    return tenant


def find_by_host(*, host: str) -> models.Tenant | None:
    """The tenant a host name leads to, or None."""
    domain = models.Domain.objects.filter(host=host).select_related("tenant").first()
    return domain.tenant if domain else None


def scope_of(tenant: models.Tenant) -> scope.Scope:
    """The scope to work in for this tenant."""
    locales = models.TenantLocale.objects.filter(tenant=tenant, is_enabled=True).order_by("locale")
    return scope.Scope(
        tenant.id,
        tenant.slug,
        tenant.default_locale,
        tenant.currency,
        tuple(locales.values_list("locale", flat=True)),
    )


def scope_for_command(*, slug_or_id: str) -> scope.Scope:
    """The scope of an existing tenant for a command. Raises TenantNotFound naming the known ones."""
    try:
        return scope_of(get_tenant(slug_or_id=slug_or_id))
    except TenantNotFound as error:
        known = list(models.Tenant.objects.values_list("slug", flat=True)[:1000])
        hint = errors.did_you_mean(slug_or_id, known) or (
            f" There are: {', '.join(known[:10])}." if known else " Make one with create_tenant."
        )
        raise TenantNotFound(error.detail + hint) from None
