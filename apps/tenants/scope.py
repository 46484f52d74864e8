"""The tenant scope: whose rows a query may see. Without one there is nothing, loudly."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import structlog

from apps.kernel import errors, isolation, wording


@dataclass(frozen=True, slots=True)
class Scope:
    """The tenant at work: what a request, task or command needs to know of it without a query."""

    tenant_id: uuid.UUID
    slug: str
    default_locale: str
    currency: str
    locales: tuple[str, ...]
    modules: tuple[str, ...]
    # Of its plan, in place of the installation's: `kernel.limits.Plan`.
    limits: dict[str, int] = field(default_factory=dict, hash=False)

    def has_one_of(self, slugs: Iterable[str]) -> bool:
        """Whether one of these modules is switched on."""
        return any(slug in self.modules for slug in slugs)

    def refusal_of(self, locale: str) -> str:
        """What is wrong with a locale the tenant does not publish in, and what to do."""
        return wording.say(
            '"{locale}" is not enabled for the tenant "{slug}"; enabled: {locales}.{hint} Use one of these, or '
            "enable it first.",
            **self._lacks(locale),
        )

    def not_enabled(self, locale: str) -> str:
        """The same for who is at a terminal."""
        return wording.say(
            '"{locale}" is not enabled for the tenant "{slug}"; enabled: {locales}.{hint} Enable it with: manage.py '
            "enable_locale {slug} {locale}",
            **self._lacks(locale),
        )

    def _lacks(self, locale: str) -> dict[str, str]:
        hint = errors.did_you_mean(locale, self.locales)
        return {"locale": locale, "slug": self.slug, "locales": ", ".join(self.locales), "hint": hint}


_NOBODY_ANSWERS = wording.say(
    "No tenant answers here: use a domain of the tenant, or send X-Tenant with its slug or id from a host of the "
    "installation. Whatever names a tenant must name the same one."
)


class TenantNotFound(errors.NotFound):
    """No tenant answers to what was named: a host, a slug, an id, or several that do not name the same one.

    Over HTTP the text is always the same, so that nobody learns which of them exist.
    """

    code = "tenant_not_found"

    def __init__(self, detail: str = _NOBODY_ANSWERS) -> None:
        super().__init__(detail)


class NoTenantScope(RuntimeError):
    """Tenant data was asked for outside a tenant scope."""


_scope: ContextVar[Scope | None] = ContextVar("rustok_tenant_scope", default=None)


def find() -> Scope | None:
    """The scope at work, or None; within `isolation.all_tenants` there is none."""
    scope = _scope.get()
    return scope if scope is not None and isolation.shown() == str(scope.tenant_id) else None


def current() -> Scope:
    """The scope at work. Raises NoTenantScope."""
    scope = find()
    if scope is None:
        raise NoTenantScope(
            "no tenant is in scope: wrap the work in tenants.scope.use(...), or in isolation.all_tenants(reason=...)"
        )
    return scope


def current_id() -> uuid.UUID:
    """The id of the tenant at work. Raises NoTenantScope."""
    return current().tenant_id


def require_agreement(tenant_id: uuid.UUID) -> None:
    """What a request proved to belong to, such as its API key's tenant, must be the tenant at work.

    Raises TenantNotFound otherwise, as for one that does not exist, and where no tenant is at work.
    """
    at_work = find()
    if at_work is None or at_work.tenant_id != tenant_id:
        raise TenantNotFound


@contextmanager
def use(scope: Scope) -> Iterator[Scope]:
    """Work for this tenant within the block."""
    token = _scope.set(scope)
    try:
        with isolation.to_tenant(scope.tenant_id), structlog.contextvars.bound_contextvars(tenant=scope.slug):
            yield scope
    finally:
        _scope.reset(token)
