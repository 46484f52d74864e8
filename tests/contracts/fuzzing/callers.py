"""Everybody who can ask the API, each in the tenant that is fuzzed."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import connections
from django.utils import timezone

from apps.accounts import clients, realms
from apps.accounts import models as accounts
from apps.accounts import services as account_services
from apps.accounts.access import break_glass, catalogue, matrix, members
from apps.accounts.services import keys
from apps.kernel import isolation
from apps.tenants import services
from tests import factories
from tests.accounts import calling
from tests.sweep.mirrored import Side

ANONYMOUS, CUSTOMER, API_KEY = "anonymous", "a customer", "an API key"
# What a key with few scopes may do; everything else is refused it.
SCOPES = ["products:read", "products:list", "products:update", "nodes:read", "nodes:list", "tags:create"]
# A caller that has ended its session or its account has to be another one afterwards.
ENDS_THE_CALLER = {
    "account_logout",
    "account_password_change",
    "account_session_revoke",
    "account_sessions_revoke_all",
    "logout",
    "me_update",
    "password_change",
    "session_revoke",
    "sessions_revoke_all",
    "totp_confirm",
    "totp_disable",
    "totp_enrol",
}
# After these the tenant may have no modules, languages or members left for all that follows.
CHANGES_THE_TENANT = {"locale_disable", "locale_enable", "module_choose", "tenant_update"}
# Access tokens last ten minutes.
FRESH_SECONDS = 240


def names() -> list[str]:
    """Of all kinds of callers."""
    return [ANONYMOUS, CUSTOMER, API_KEY, *matrix.system_roles()]


@dataclass
class Caller:
    """Somebody who asks; `make` gives credentials of somebody new of the same kind, None for nobody."""

    name: str
    side: Side
    make: Callable[[], str | None]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _token: str | None = None
    _made_at: float = 0.0

    def credentials(self, operation: str) -> str | None:
        """What to send to an operation. One that ends sessions gets somebody of its own."""
        with self._lock:
            if operation in ENDS_THE_CALLER:
                return self._made()
            if time.monotonic() - self._made_at > FRESH_SECONDS or not self._made_at:
                self._token, self._made_at = self._made(), time.monotonic()
            return self._token

    def refresh(self) -> None:
        """Be somebody new from the next request on."""
        self._made_at = 0.0

    def _made(self) -> str | None:
        with _at_work(self.side):
            return self.make()


def make_caller(name: str, side: Side) -> Caller:
    """The kind of caller with this name, in the tenant of this side."""
    makers: dict[str, Callable[[], str | None]] = {
        ANONYMOUS: lambda: None,
        CUSTOMER: lambda: _customer_token(side),
        API_KEY: lambda: _key(side),
    }
    return Caller(name, side, makers.get(name) or (lambda: _staff_token(side, name)))


def restore_tenant(side: Side) -> None:
    """Switch on again what the tenant had."""
    with _at_work(side):
        tenant = type(side.tenant).objects.get(pk=side.tenant.pk)
        changes = services.TenantChanges(
            name=side.tenant.name,
            default_locale=side.tenant.default_locale,
            currency=side.tenant.currency,
            settings=side.tenant.settings,
        )
        for locale in ("de", "en", "fr"):
            services.enable_locale(tenant=tenant, locale=locale)
        services.update_tenant(tenant=tenant, changes=changes)
        for slug in tenant.modules.filter(is_enabled=False).values_list("slug", flat=True):
            services.choose_module(tenant=tenant, slug=slug, choice=services.ModuleChoice(enabled=True))


@contextmanager
def _at_work(side: Side) -> Iterator[None]:
    """In the tenant, and in a thread of the fuzzer, which keeps no connection of its own."""
    try:
        with isolation.all_tenants(reason="test"), factories.at_work(side.tenant):
            yield
    finally:
        if threading.current_thread() is not threading.main_thread():
            connections.close_all()


@cache
def _password() -> str:
    """Hashed once for all: it is slow on purpose."""
    return make_password(factories.PASSWORD)


def _make_user(**fields: Any) -> accounts.User:
    return accounts.User.objects.create(email=f"{uuid.uuid4().hex}@people.test", password=_password(), **fields)


def _staff_token(side: Side, role: str) -> str:
    if role == matrix.SUPER_ADMIN:
        return factories.make_tokens(_make_user(is_superuser=True, is_staff=True)).access_token
    if role in matrix.assignable():
        user = _make_user()
        members.put_member(user=user, roles=[role], by=None)
        return factories.make_tokens(user).access_token
    user = _make_user(is_staff=True)
    user.user_permissions.add(calling.platform_permission(catalogue.OPEN_BREAK_GLASS))
    opening = break_glass.Opening(reason="somebody who helps", write=role == matrix.SUPPORT_WRITER)
    break_glass.open_access(user=user, opening=opening, now=timezone.now())
    return factories.make_tokens(user).access_token


def _customer_token(side: Side) -> str:
    now = timezone.now()
    customer = accounts.Customer.objects.create(
        email=f"{uuid.uuid4().hex}@buyers.test",
        password=_password(),
        created_at=now,
        email_verified_at=now,
    )
    return account_services.open_session(
        realm=realms.STORE, account=customer, client=clients.Client(), now=now
    ).access_token


def _key(side: Side) -> str:
    owner = _make_user()
    members.put_member(user=owner, roles=["owner"], by=None)
    new = keys.NewApiKey(name="fuzzed", scopes=SCOPES)
    return keys.create_key(new=new, by=owner, now=timezone.now()).key
