"""Reads about tenants."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, QuerySet

from apps.kernel import errors, isolation, validation, wording
from apps.tenants import models, modules, scope

_SHOWN_TENANTS = 10


class LocaleRefused(errors.DomainError):
    """A command is to work in a locale that is none, or that the tenant does not publish in."""

    code = "locale_refused"


@isolation.all_tenants(reason="find tenant")
def get_tenant(*, slug_or_id: str) -> models.Tenant:
    """Raises TenantNotFound, which suggests the nearest slug."""
    condition = Q(slug=slug_or_id)
    # What is no UUID can still be a slug.
    with contextlib.suppress(ValueError):
        condition |= Q(id=uuid.UUID(slug_or_id))
    tenant = models.Tenant.objects.filter(condition).first()
    if tenant is None:
        raise scope.TenantNotFound(wording.say('There is no tenant "{tenant}".', tenant=slug_or_id))
    return tenant


def with_scopes() -> QuerySet[models.Tenant]:
    """Tenants that come with what `scope_of` needs, in the same query; for work over all tenants, or for the one."""
    locales = models.TenantLocale.objects.filter(tenant=OuterRef("pk"), is_enabled=True).order_by("locale")
    chosen = models.TenantModule.objects.filter(tenant=OuterRef("pk"))
    return models.Tenant.objects.annotate(
        enabled_locales=ArraySubquery(locales.values("locale")),
        modules_on=ArraySubquery(chosen.filter(is_enabled=True).values("slug")),
        modules_off=ArraySubquery(chosen.filter(is_enabled=False).values("slug")),
    )


def scope_of(tenant: models.Tenant) -> scope.Scope:
    """The scope to work in for this tenant; asks a query unless it came from `with_scopes`."""
    found: Any = tenant
    if not hasattr(tenant, "enabled_locales"):
        with isolation.to_tenant(tenant.pk):
            found = with_scopes().get(pk=tenant.pk)
    return scope.Scope(
        found.id,
        found.slug,
        found.default_locale,
        found.currency,
        tuple(found.enabled_locales),
        modules.switched_on(dict.fromkeys(found.modules_on, True) | dict.fromkeys(found.modules_off, False)),
        found.limits,
    )


def current_name() -> str:
    """What the tenant in scope is called."""
    name: str = models.Tenant.objects.values_list("name", flat=True).get(pk=scope.current_id())
    return name


def suspended_ids() -> list[uuid.UUID]:
    """The tenants that are suspended."""
    with isolation.all_tenants(reason="suspended tenants"):
        return list(models.Tenant.objects.filter(is_active=False).values_list("id", flat=True))


@isolation.all_tenants(reason="find tenant")
def scope_for_command(*, slug_or_id: str) -> scope.Scope:
    """The scope of an existing tenant for a command. Raises TenantNotFound naming the known ones."""
    try:
        return scope_of(get_tenant(slug_or_id=slug_or_id))
    except scope.TenantNotFound as error:
        known = list(models.Tenant.objects.order_by("slug").values_list("slug", flat=True))
        raise scope.TenantNotFound(
            wording.join("", [error.detail, errors.did_you_mean(slug_or_id, known) or _known_tenants(known)])
        ) from None


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
            wording.say(
                '--locale: "{locale}" is no locale; one looks like "en" or "en-GB". Enabled for the tenant "{slug}": '
                "{locales}.{hint}",
                locale=locale,
                slug=at_work.slug,
                locales=", ".join(at_work.locales),
                hint=errors.did_you_mean(locale, at_work.locales),
            )
        ) from None
    raise LocaleRefused(wording.say("{field}: {problem}", field="--locale", problem=at_work.not_enabled(locale)))


class _LocaleChoice(validation.Input):
    locale: validation.Locale


def _known_tenants(slugs: Sequence[str]) -> str:
    if not slugs:
        return " Make one with create_tenant."
    more = f" and {len(slugs) - _SHOWN_TENANTS:,} more" if len(slugs) > _SHOWN_TENANTS else ""
    return f" There are: {', '.join(slugs[:_SHOWN_TENANTS])}{more}."
