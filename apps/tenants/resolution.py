"""Which tenant a name leads to: a domain, a sub-domain of a base domain, a slug or an id. Cached in two levels.

One entry holds all that is needed to work for the tenant, and every name of the tenant has one. A change of the tenant
therefore drops all its names. docs/explanation/tenant-resolution.md
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from apps.kernel import cache, errors, isolation, wording
from apps.tenants import models, queries
from apps.tenants.scope import Scope

_SLUG = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")
_LONGEST_SLUG = 64


class MalformedTenantName(errors.DomainError):
    """What is to name a tenant, such as the header `X-Tenant`, is neither a slug nor an id. Send one of these."""

    code = "malformed_tenant_name"


class TenantInactive(errors.Forbidden):
    """The tenant is switched off and answers nobody. Ask who operates the installation."""

    code = "tenant_inactive"
    title = "The tenant is switched off"


@dataclass(frozen=True, slots=True)
class Known:
    """A tenant as a request needs it."""

    scope: Scope
    is_active: bool


_known: cache.Cache[Known] = cache.Cache(kind="tenants", shape=Known)


def find_by_host(host: str) -> Known | None:
    """The tenant of a host in lower case, by its domain or as `<slug>.<base domain>`.

    None without one, and where a domain and the base domain name different tenants.
    """
    by_domain = _find(f"host:{host}")
    slug = slug_in(host)
    by_slug = _find(f"slug:{slug}") if slug else None
    if by_domain and by_slug and by_domain.scope.tenant_id != by_slug.scope.tenant_id:
        return None
    return by_domain or by_slug


def find_by_name(name: str) -> Known | None:
    """The tenant with this slug or id. Raises MalformedTenantName."""
    try:
        return _find(f"id:{uuid.UUID(name)}")
    except ValueError:
        if len(name) > _LONGEST_SLUG or not _SLUG.fullmatch(name):
            raise MalformedTenantName(
                wording.say(
                    '"{name}" is neither the slug of a tenant (a-z, 0-9 and hyphens) nor its id.', name=name[:100]
                )
            ) from None
        return _find(f"slug:{name}")


def slug_in(host: str) -> str | None:
    """The label of `<label>.<base domain>`, if it is a single one and not a host of the installation itself."""
    if host in settings.PLATFORM_HOSTS or host in settings.BASE_DOMAINS:
        return None
    label, _, parent = host.partition(".")
    return label if parent in settings.BASE_DOMAINS and _SLUG.fullmatch(label) else None


def names_of(tenant_id: uuid.UUID) -> list[str]:
    """Every name the tenant is known by, as they are to be given to `forget` after it was deleted."""
    with isolation.all_tenants(reason="tenant resolution"):
        slugs = models.Tenant.objects.filter(id=tenant_id).values_list("slug", flat=True)
        hosts = models.Domain.objects.filter(tenant_id=tenant_id).values_list("host", flat=True)
        return [f"id:{tenant_id}", *(f"slug:{slug}" for slug in slugs), *(f"host:{host}" for host in hosts)]


def names_in(facts: Mapping[str, Any]) -> list[str]:
    """The names that an event about a tenant speaks of."""
    return [f"{kind}:{facts[kind]}" for kind in ("slug", "host") if facts.get(kind)]


def forget(tenant_id: uuid.UUID, *, names: Iterable[str] = ()) -> bool:
    """What was known of a tenant is known no more, in any process, within a second; to be called after the commit.

    `names` are those it no longer has. Whether Valkey has heard of it; else that is made up for when it is back.
    """
    return _known.invalidate([*names_of(tenant_id), *names])


def _find(name: str) -> Known | None:
    return _known.get(name, lambda: _load(name))


def _load(name: str) -> Known | None:
    """One query."""
    kind, _, value = name.partition(":")
    field = {"host": "domains__host", "slug": "slug", "id": "id"}[kind]
    with isolation.all_tenants(reason="tenant resolution"):
        tenant = queries.with_scopes().filter(**{field: value}).first()
        return Known(queries.scope_of(tenant), tenant.is_active) if tenant else None
